// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Reads of whole messages: where the peer may finish, and how read_until() and read_all() are called without a
// coroutine.

#define BOOST_TEST_MODULE session.read_loops
#include <duet/session.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <array>
#include <future>
#include <optional>
#include <string>
#include <tuple>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::errc;

BOOST_AUTO_TEST_CASE(a_read_that_meets_the_fin_fails_whether_or_not_a_part_has_arrived)
{
    struct
    {
        std::string sent;
        errc code;
        condition kind;
    } const rows[] = {{"", errc::ended, condition::ended}, {"abc", errc::truncated, condition::truncated}};
    for (auto const& row : rows)
    {
        memory_talk talk;
        talk.peer.send_all(row.sent);
        talk.peer.shutdown_write();
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                std::string body(4, '\0');
                auto const end = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(body))));
                BOOST_TEST(end.code == row.code);
                BOOST_TEST(end.code == row.kind);
                BOOST_TEST(end.bytes == row.sent.size());
                BOOST_TEST(body.substr(0, row.sent.size()) == row.sent);
                BOOST_TEST(end.operation == "read");
                // It stays so: a loop that reads on does not spin on empty messages.
                auto const again = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(body))));
                BOOST_TEST(again.code == errc::ended);
            });
    }
}

BOOST_AUTO_TEST_CASE(read_or_end_tells_a_whole_message_from_the_end_in_its_place)
{
    memory_talk talk;
    talk.peer.send_all("onetwo");
    talk.peer.shutdown_write();
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 3> message{};
            std::string all;
            for (;;)
            {
                auto const whole = co_await s.read_or_end(asio::buffer(message));
                if (!whole)
                    break;
                all.append(message.data(), message.size());
            }
            BOOST_TEST(all == "onetwo");
            BOOST_TEST(s.receive_state() == duet::receive_state::ended);
        });
    memory_talk cut;
    cut.peer.send_all("onetw");
    cut.peer.shutdown_write();
    cut.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 3> message{};
            auto const first = co_await s.read_or_end(asio::buffer(message));
            BOOST_TEST(static_cast<bool>(first));
            auto const end = co_await outcome_of(awaited<duet::whole_or_end>(s.read_or_end(asio::buffer(message))));
            BOOST_TEST(end.code == errc::truncated);
            BOOST_TEST(end.operation == "read_or_end");
        });
}

BOOST_AUTO_TEST_CASE(read_or_end_meets_the_deadline_of_the_first_message)
{
    memory_talk talk;
    talk.peer.send_all("abc");
    talk.play(with({.first_message = 5s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::array<char, 3> message{};
            auto const whole = co_await s.read_or_end(asio::buffer(message));
            BOOST_TEST(static_cast<bool>(whole));
            started<std::string> next{executor, read(s)};
            co_await talk.pause(10s);
            talk.peer.send_all("late, but the first was in time");
            auto const heard = co_await next.result();
            BOOST_TEST(heard.size() == 31U);
        });
}

BOOST_AUTO_TEST_CASE(read_until_and_read_all_take_completion_tokens)
{
    memory_talk talk;
    talk.peer.send_all("line\nrest");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer;
            auto const line =
                co_await s.read_until(buffer, "\n", 100)(asio::as_tuple(asio::deferred))(asio::use_awaitable);
            BOOST_TEST(!std::get<0>(line));
            BOOST_TEST(std::get<1>(line) == 5U);
            buffer.erase(0, 5);
            auto future = s.read_until(buffer, "\n", 100)(asio::use_future);
            std::optional<duet::error_code> told;
            co_await settle();
            talk.peer.send_all(" of it\nand");
            co_await settle();
            BOOST_TEST(future.get() == 11U);
            buffer.erase(0, 11);
            talk.peer.shutdown_write();
            s.read_until(buffer, "\n", 100)([&](duet::error_code error, std::size_t) { told = error; });
            BOOST_TEST(!told.has_value());  // not from within the call
            co_await settle();
            BOOST_REQUIRE(told.has_value());
            BOOST_TEST(*told == errc::truncated);
            BOOST_TEST(buffer == "and");
            auto const all = co_await s.read_all(100)(asio::as_tuple(asio::deferred))(asio::use_awaitable);
            BOOST_TEST(!std::get<0>(all));
            BOOST_TEST(std::get<1>(all).empty());
        });
}

BOOST_AUTO_TEST_CASE(a_token_of_a_coroutine_throws_with_the_operation_and_the_peer)
{
    memory_talk talk;
    talk.peer.send_all("and");
    talk.peer.shutdown_write();
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer;
            auto const end = co_await outcome_of(awaited<std::size_t>(s.read_until(buffer, "\n", 100)(asio::deferred)));
            BOOST_TEST(end.code == errc::truncated);
            BOOST_TEST(end.operation == "read_until");
        });
}

BOOST_AUTO_TEST_CASE(a_cancelled_read_until_with_a_token_leaves_what_it_has_read)
{
    for (auto const type : {asio::cancellation_type::partial, asio::cancellation_type::terminal})
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                std::string buffer;
                asio::cancellation_signal signal;
                std::optional<duet::error_code> told;
                s.read_until(buffer, "\n", 100)(asio::bind_cancellation_slot(
                    signal.slot(), [&](duet::error_code error, std::size_t) { told = error; }));
                co_await settle();
                talk.peer.send_all("half a li");
                co_await settle();
                signal.emit(type);
                co_await settle();
                BOOST_REQUIRE(told.has_value());
                BOOST_TEST(*told == condition::cancelled);
                BOOST_TEST(!signal.slot().has_handler());  // whatever comes now reaches nobody
                BOOST_TEST(buffer == "half a li");
                talk.peer.send_all("ne\n");
                auto const size = co_await s.read_until(buffer, "\n", 100);
                BOOST_TEST(size == 12U);
            });
    }
}

// Total cancellation would have to leave no byte read.
BOOST_AUTO_TEST_CASE(total_cancellation_does_not_end_a_read_until_with_a_token)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer;
            asio::cancellation_signal signal;
            std::optional<duet::error_code> told;
            s.read_until(buffer, "\n", 100)(asio::bind_cancellation_slot(
                signal.slot(), [&](duet::error_code error, std::size_t) { told = error; }));
            co_await settle();
            talk.peer.send_all("half ");
            co_await settle();
            signal.emit(asio::cancellation_type::total);
            co_await settle();
            BOOST_TEST(!told.has_value());
            talk.peer.send_all("and half\n");
            co_await settle();
            BOOST_REQUIRE(told.has_value());
            BOOST_TEST(!*told);
            BOOST_TEST(!signal.slot().has_handler());
        });
}

BOOST_AUTO_TEST_CASE(the_time_of_a_call_with_a_token_is_its_own)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer;
            auto const end = co_await s.read_until(buffer, "\n", 100)
                                 .within(5s)(asio::as_tuple(asio::deferred))(asio::use_awaitable);
            BOOST_TEST(std::get<0>(end) == errc::call_timed_out);
        });
}

BOOST_AUTO_TEST_CASE(an_empty_session_refuses_with_the_token)
{
    asio::io_context context;
    memory_session none;
    std::string buffer;
    std::optional<duet::error_code> told;
    none.read_until(buffer, "\n", 100)(
        asio::bind_executor(context, [&](duet::error_code error, std::size_t) { told = error; }));
    BOOST_TEST(!told.has_value());
    context.run();
    BOOST_REQUIRE(told.has_value());
    BOOST_TEST(*told == errc::closed);
}
