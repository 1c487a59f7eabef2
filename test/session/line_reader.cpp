// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Lines, their ends, and where there are no more of them.

#define BOOST_TEST_MODULE session.line_reader
#include <duet/line_reader.hpp>
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;
using reader = duet::line_reader;
using line = std::optional<std::string_view>;

namespace {

asio::awaitable<std::vector<std::string>> lines_of(reader& lines)
{
    std::vector<std::string> all;
    for (;;)
    {
        auto const one = co_await lines.next();
        if (!one)
            break;
        all.emplace_back(*one);
    }
    co_return all;
}

}  // namespace

// Every split of a short stream: what the lines are does not depend on it.
BOOST_AUTO_TEST_CASE(lines_end_with_lf_or_cr_lf_however_they_arrive)
{
    std::string const stream = "one\r\n\ntwo\n\r\r\nthree\n";
    std::vector<std::string> const expected{"one", "", "two", "\r", "three"};
    for (std::size_t split = 0; split <= stream.size(); ++split)
    {
        BOOST_TEST_CONTEXT("split at " << split)
        {
            memory_talk talk;
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    reader lines{s, 100};
                    talk.peer.send_all(std::string_view{stream}.substr(0, split));
                    started<std::vector<std::string>> reading{executor, lines_of(lines)};
                    co_await settle();
                    talk.peer.send_all(std::string_view{stream}.substr(split));
                    talk.peer.shutdown_write();
                    auto const all = co_await reading.result();
                    BOOST_TEST(all == expected, boost::test_tools::per_element());
                    auto const again = co_await lines.next();
                    BOOST_TEST(!again.has_value());
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(half_a_line_is_no_line)
{
    memory_talk talk;
    talk.peer.send_all("one\ntw");
    talk.peer.shutdown_write();
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            reader lines{s, 100};
            auto const one = co_await lines.next();
            BOOST_TEST(one.value() == "one");
            co_await expect_error(awaited<line>(lines.next()), errc::truncated);
        });
}

BOOST_AUTO_TEST_CASE(a_line_beyond_the_limit_is_refused_alone_or_among_others)
{
    for (std::string const before : {"", "a\n", "a\nb\n"})
    {
        memory_talk talk;
        talk.peer.send_all(before + "12345678\n1234567890\n");
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                reader lines{s, 9};
                for (std::size_t i = 0; i < before.size() / 2; ++i)
                    co_await lines.next();
                auto const longest = co_await lines.next();
                BOOST_TEST(longest.value() == "12345678");
                co_await expect_error(awaited<line>(lines.next()), errc::limit_exceeded);
            });
    }
}

BOOST_AUTO_TEST_CASE(a_request_to_finish_ends_the_wait_for_a_line)
{
    memory_talk talk;
    talk.peer.send_all("one\n");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            reader lines{s, 100};
            started<std::vector<std::string>> reading{executor, lines_of(lines)};
            co_await settle();
            s.message_received();
            s.request_finish();
            auto const all = co_await reading.result();
            BOOST_TEST(all.size() == 1U);
            BOOST_TEST(s.close_reason() == duet::close_reason::none);
        });
}

BOOST_AUTO_TEST_CASE(what_has_arrived_is_given_after_a_request_to_finish_but_not_all_that_may_come)
{
    memory_talk talk;
    talk.peer.send_all("one\ntwo\nthr");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            reader lines{s, 100};
            auto const one = co_await lines.next();
            BOOST_TEST(one.value() == "one");
            s.request_finish();
            auto const two = co_await lines.next();
            BOOST_TEST(two.value() == "two");
            talk.peer.send_all("ee\n");  // it had begun
            auto const three = co_await lines.next();
            BOOST_TEST(three.value() == "three");
            talk.peer.send_all("and so on, for ever\n");
            auto const end = co_await lines.next();
            BOOST_TEST(!end.has_value());
        });
}

BOOST_AUTO_TEST_CASE(a_cancelled_wait_keeps_what_it_has_read)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            reader lines{s, 100};
            started<line> waiting{executor, awaited<line>(lines.next())};
            co_await settle();
            talk.peer.send_all("half ");
            co_await settle();
            waiting.cancel();
            co_await expect_error(waiting.result(), asio::error::operation_aborted);
            talk.peer.send_all("and half\n");
            auto const whole = co_await lines.next();
            BOOST_TEST(whole.value() == "half and half");
        });
}
