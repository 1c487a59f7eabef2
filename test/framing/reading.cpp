// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Whole messages of a session: however they arrive, where they end, what is too large, and what a drain does.

#define BOOST_TEST_MODULE framing.reading
#include <duet/framing.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using duet::errc;
using message = std::optional<std::string_view>;

namespace {

template <class Reader>
asio::awaitable<std::vector<std::string>> all_of(Reader& messages)
{
    std::vector<std::string> all;
    for (;;)
    {
        auto const one = co_await messages.next();
        if (!one)
            break;
        all.emplace_back(*one);
    }
    co_return all;
}

/// `stream` has these messages, wherever it is split, and at whichever byte it arrives.
template <class Framing>
void comes_out_right(Framing const& framing, std::string const& stream, std::vector<std::string> const& expected)
{
    for (std::size_t split = 0; split <= stream.size(); ++split)
        for (bool const single : {false, true})
            BOOST_TEST_CONTEXT("split at " << split << ", then byte by byte: " << single)
            {
                memory_talk talk;
                talk.play(
                    [&](memory_session& s) -> asio::awaitable<void>
                    {
                        auto const executor = co_await asio::this_coro::executor;
                        duet::frame_reader messages{s, framing, 100};
                        talk.peer.send_all(std::string_view{stream}.substr(0, split));
                        started<std::vector<std::string>> reading{executor, all_of(messages)};
                        co_await settle();
                        auto const step = single ? std::size_t{1} : stream.size();
                        for (auto at = split; at < stream.size(); at += step)
                        {
                            talk.peer.send_all(std::string_view{stream}.substr(at, step));
                            co_await settle();
                        }
                        talk.peer.shutdown_write();
                        auto const all = co_await reading.result();
                        BOOST_TEST(all == expected, boost::test_tools::per_element());
                        auto const again = co_await messages.next();
                        BOOST_TEST(!again.has_value());
                    });
            }
}

duet::length_prefix const two{.bytes = 2};

}  // namespace

BOOST_AUTO_TEST_CASE(a_length_prefix_however_it_arrives)
{
    comes_out_right(two, "\0\3one\0\0\0\1x"s, {"one", "", "x"});
    duet::length_prefix const itself{.bytes = 4, .order = std::endian::little, .includes_itself = true};
    comes_out_right(itself, "\7\0\0\0one\4\0\0\0"s, {"one", ""});
}

BOOST_AUTO_TEST_CASE(a_varint_however_it_arrives)
{
    comes_out_right(duet::varint_prefix{}, "\3one\0\x81\0x"s, {"one", "", "x"});
}

BOOST_AUTO_TEST_CASE(a_delimiter_however_it_arrives)
{
    comes_out_right(duet::delimiter{"\r\n\r\n"}, "one\r\n\r\r\n\r\n\r\n\r\nx\r\n\r\n", {"one\r\n\r", "", "x"});
}

BOOST_AUTO_TEST_CASE(lines_however_they_arrive)
{
    comes_out_right(duet::lines{}, "one\r\n\ntwo\n\r\r\n", {"one", "", "two", "\r"});
    comes_out_right(duet::lines{duet::line_end::lf}, "one\r\n\ntwo\n", {"one\r", "", "two"});
    comes_out_right(duet::lines{duet::line_end::crlf}, "one\r\n\r\nt\nwo\r\r\n", {"one", "", "t\nwo\r"});
}

BOOST_AUTO_TEST_CASE(a_fixed_size_however_it_arrives)
{
    comes_out_right(duet::fixed_size{3}, "onetwosix", {"one", "two", "six"});
}

BOOST_AUTO_TEST_CASE(an_end_in_the_middle_is_truncated_at_every_byte)
{
    auto const stream = "\0\3one\0\5three"s;
    for (std::size_t size = 0; size <= stream.size(); ++size)
        for (bool const waits : {false, true})
            BOOST_TEST_CONTEXT(size << " bytes, waits " << waits)
            {
                memory_talk talk;
                talk.play(
                    [&](memory_session& s) -> asio::awaitable<void>
                    {
                        auto const executor = co_await asio::this_coro::executor;
                        duet::frame_reader messages{s, two, 100};
                        talk.peer.send_all(std::string_view{stream}.substr(0, size));
                        if (!waits)
                            talk.peer.shutdown_write();
                        started<std::vector<std::string>> reading{executor, all_of(messages)};
                        co_await settle();
                        if (waits)
                            talk.peer.shutdown_write();
                        auto const end = co_await outcome_of(reading.result());
                        bool const between = size == 0 || size == 5 || size == stream.size();
                        BOOST_TEST(end.code == (between ? duet::error_code{} : duet::error_code{errc::truncated}));
                        if (!between)
                            BOOST_TEST(end.operation == "next");
                        auto const again = co_await outcome_of(awaited<message>(messages.next()));
                        BOOST_TEST(again.code == end.code);
                    });
            }
}

BOOST_AUTO_TEST_CASE(a_frame_beyond_the_limit_is_refused_before_its_bytes_come)
{
    for (auto const& before : {""s, "\0\1x"s})
    {
        memory_talk talk;
        talk.peer.send_all(before + "\0\7exactly\0\10"s);  // limit 9: seven bytes and the two before them
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                duet::frame_reader messages{s, two, 9};
                if (!before.empty())
                    co_await awaited<message>(messages.next());
                auto const largest = co_await messages.next();
                BOOST_TEST(largest.value() == "exactly");
                for (int i = 0; i < 2; ++i)
                {
                    auto const end = co_await outcome_of(awaited<message>(messages.next()));
                    BOOST_TEST(end.code == errc::limit_exceeded);
                    BOOST_TEST(end.code == duet::condition::invalid_message);
                }
                BOOST_TEST(messages.unread() == "\0\10"s);
            });
    }
}

BOOST_AUTO_TEST_CASE(a_line_without_an_end_is_refused_at_the_limit)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, duet::lines{}, 9};
            started<message> reading{executor, awaited<message>(messages.next())};
            co_await settle();
            talk.peer.send_all("12345678");
            co_await settle();
            BOOST_TEST(!reading.done());
            talk.peer.send_all("9");
            co_await expect_error(reading.result(), errc::limit_exceeded);
        });
}

BOOST_AUTO_TEST_CASE(what_is_no_frame_is_malformed)
{
    memory_talk talk;
    talk.peer.send_all("\1\0"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::length_prefix const itself{.bytes = 1, .includes_itself = true};
            duet::frame_reader messages{s, itself, 100};
            auto const empty = co_await messages.next();
            BOOST_TEST(empty.value() == "");
            auto const none = messages.next_buffered();
            BOOST_TEST(!none.has_value());
            for (int i = 0; i < 2; ++i)
            {
                auto const end = co_await outcome_of(awaited<message>(messages.next()));
                BOOST_TEST(end.code == errc::malformed_frame);
                BOOST_TEST(end.code == duet::condition::invalid_message);
                BOOST_TEST(end.text == "next memory:b: not how a frame begins");
            }
        });
}

BOOST_AUTO_TEST_CASE(a_view_lives_until_the_next_call_and_what_is_buffered_needs_none)
{
    memory_talk talk;
    talk.peer.send_all("\0\3one\0\3two\0\5thr"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, two, 100};
            auto const none = messages.next_buffered();
            BOOST_TEST(!none.has_value());  // it does not read
            auto const one = co_await messages.next();
            auto const two_ = messages.next_buffered();
            BOOST_TEST(one.value() == "one");
            BOOST_TEST(two_.value() == "two");
            BOOST_TEST(!messages.next_buffered().has_value());
            BOOST_TEST(messages.unread() == "\0\5thr"s);
            BOOST_TEST(s.bytes_received() == 15U);
        });
}

// The buffer grows and moves: nothing of any message is lost.
BOOST_AUTO_TEST_CASE(messages_of_all_sizes_come_through_one_after_the_other)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::length_prefix const four;
            duet::frame_reader messages{s, four, 300'000};
            std::vector<std::size_t> const sizes{0, 1, 4091, 4092, 4093, 100, 70'000, 8192, 299'996, 3, 65'536, 5000};
            std::string all;
            for (auto const size : sizes)
            {
                auto const body = pattern(size, size);
                all += std::string{std::string_view{four.head(body)}} + body;
            }
            started<std::size_t> sending{executor, talk.peer.send(all)};
            for (auto const size : sizes)
            {
                auto const one = co_await messages.next();
                BOOST_TEST((one.value() == pattern(size, size)));
            }
            co_await sending.result();
        });
}

BOOST_AUTO_TEST_CASE(a_cancelled_or_late_wait_keeps_what_it_has_read)
{
    for (bool const late : {false, true})
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                duet::frame_reader messages{s, two, 100};
                started<message> waiting{executor, awaited<message>(messages.next().within(5s))};
                co_await settle();
                talk.peer.send_all("\0\6hal"s);
                co_await settle();
                if (!late)
                    waiting.cancel();
                auto const begin = talk.now();
                auto const end = co_await outcome_of(waiting.result());
                BOOST_TEST((talk.now() - begin == (late ? 5s + tick : 0s)));
                BOOST_TEST(end.code == (late ? duet::error_code{errc::call_timed_out}
                                             : duet::error_code{asio::error::operation_aborted}));
                BOOST_TEST(end.bytes == 5U);
                talk.peer.send_all("ves");
                auto const whole = co_await messages.next();
                BOOST_TEST(whole.value() == "halves");
            });
    }
}

BOOST_AUTO_TEST_CASE(one_next_at_a_time)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, two, 100};
            started<message> first{executor, awaited<message>(messages.next())};
            co_await settle();
            co_await expect_error(awaited<message>(messages.next()), errc::read_in_progress);
            talk.peer.send_all("\0\1x"s);
            auto const one = co_await first.result();
            BOOST_TEST(one.value() == "x");
        });
}

// A message that is there goes to the call that has found it, even if its handler is still to be called.
BOOST_AUTO_TEST_CASE(a_message_is_given_to_one_call_only)
{
    memory_talk talk;
    talk.peer.send_all("\0\1w\0\1x\0\1y"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, two, 100};
            co_await messages.next();
            std::string got;
            auto const tell = [&](duet::error_code error, message one)
            { got += error ? error.message() + ';' : std::string{one.value()} + ';'; };
            messages.next()(tell);
            messages.next()(tell);
            auto const none = messages.next_buffered();
            BOOST_TEST(!none.has_value());
            co_await settle();
            BOOST_TEST(got == "x;" + duet::error_code{errc::read_in_progress}.message() + ';');
            auto const one = co_await messages.next();
            BOOST_TEST(one.value() == "y");
        });
}

// The size that a prefix announces, and what is in front of it in the buffer, are together more than a number can say.
BOOST_AUTO_TEST_CASE(without_a_limit_the_largest_size_is_waited_for)
{
    memory_talk talk{std::size_t{1} << 20};
    duet::length_prefix const eight{.bytes = 8};
    auto const body = pattern(65'536 - 20 - 8);
    auto const all = std::string{std::string_view{eight.head(body)}} + body + "\xff\xff\xff\xff\xff\xff\xff\xff"s;
    talk.peer.send_all(all + pattern(65'536 - all.size()));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, eight, std::numeric_limits<std::size_t>::max()};
            auto const one = co_await messages.next();
            BOOST_TEST((one.value() == body));
            co_await expect_error(awaited<message>(messages.next().within(1s)), errc::call_timed_out);
        });
}

BOOST_AUTO_TEST_CASE(a_session_that_is_empty_or_moved)
{
    memory_talk talk;
    talk.peer.send_all("\0\1x"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, two, 100};
            memory_session moved{std::move(s)};
            auto const one = co_await messages.next();
            BOOST_TEST(one.value() == "x");
            duet::frame_reader nothing{s, two, 100};
            co_await expect_error(awaited<message>(nothing.next()), errc::closed);
            s = std::move(moved);
        });
}

BOOST_AUTO_TEST_CASE(any_completion_token)
{
    memory_talk talk;
    talk.peer.send_all("\0\1x\0\1y"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, two, 100};
            std::string got;
            messages.next()(
                [&](duet::error_code error, message one) { got += error ? "?" : std::string{one.value()}; });
            co_await settle();
            messages.next()(
                [&](duet::error_code error, message one) { got += error ? "?" : std::string{one.value()}; });
            BOOST_TEST(got == "x");  // not from within
            co_await settle();
            BOOST_TEST(got == "xy");
        });
}
