// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Operations of a session in Asio's || and &&, and in its parallel groups: no byte is lost.

#define BOOST_TEST_MODULE session.races
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

#include <duet/detail/time/timer.hpp>

#include <array>
#include <chrono>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using duet::condition;
using duet::errc;

namespace {

/// A read and a timer on the clock of the test.
struct race
{
    explicit race(memory_talk& talk) : timer{talk.context.get_executor()} {}

    asio::awaitable<void> after(memory_talk::duration time)
    {
        timer.expires_after(time);
        return timer.async_wait(asio::use_awaitable);
    }

    auto room() { return asio::buffer(bytes); }

    std::string text(std::size_t size) const { return {bytes.data(), size}; }

    duet::detail::timer timer;
    std::array<char, 64> bytes{};
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_timer_wins_and_the_next_read_gets_the_bytes)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            auto const from = talk.now();
            auto const winner = co_await (s.read_some(one.room()) || one.after(1s));
            BOOST_TEST(winner.index() == 1U);
            BOOST_TEST((talk.now() - from == 1s));
            auto const turned = co_await (one.after(1s) || s.read_some(one.room()));
            BOOST_TEST(turned.index() == 0U);
            talk.peer.send_all("late");
            auto const size = co_await s.read_some(one.room());
            BOOST_TEST(one.text(size) == "late");
        });
}

BOOST_AUTO_TEST_CASE(the_read_wins)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            talk.peer.send_all("there");
            auto const at_once = co_await (s.read_some(one.room()) || one.after(1s));
            BOOST_TEST(std::get<0>(at_once) == 5U);
            BOOST_TEST(one.text(5) == "there");
            auto const executor = co_await asio::this_coro::executor;
            auto const wait = [&]() -> asio::awaitable<std::size_t>
            {
                auto const winner = co_await (one.after(1h) || s.read_some(one.room()));
                co_return std::get<1>(winner);
            };
            started<std::size_t> waiting{executor, wait()};
            co_await settle();
            talk.peer.send_all("later");
            auto const size = co_await waiting.result();
            BOOST_TEST(one.text(size) == "later");
            talk.peer.shutdown_write();
            auto const end = co_await (s.read_some(one.room()) || one.after(1s));
            BOOST_TEST(std::get<0>(end) == 0U);  // the peer's FIN
        });
}

// The bytes arrive in the very moment in which the timer expires, in any order of what is ready, and are reported or
// readable.
BOOST_AUTO_TEST_CASE(both_are_ready_at_once)
{
    for (bool const read_first : {true, false})
        for (int turns = 0; turns < 24; ++turns)
        {
            memory_talk talk;
            std::string seen;
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    race one{talk};
                    auto const executor = co_await asio::this_coro::executor;
                    auto const send = [&]() -> asio::awaitable<void>
                    {
                        co_await talk.pause(1s);
                        for (int each = 0; each < turns; ++each)
                            co_await asio::post(executor, asio::use_awaitable);
                        talk.peer.send_all("bytes");
                    };
                    started<void> sending{executor, send()};
                    std::size_t size = 0;
                    if (read_first)
                    {
                        auto const winner = co_await (s.read_some(one.room()) || one.after(1s));
                        size = winner.index() == 0 ? std::get<0>(winner) : 0;
                    }
                    else
                    {
                        auto const winner = co_await (one.after(1s) || s.read_some(one.room()));
                        size = winner.index() == 1 ? std::get<1>(winner) : 0;
                    }
                    seen = one.text(size);
                    co_await sending.result();
                    talk.peer.shutdown_write();
                    auto const rest = co_await s.read_all(100);
                    seen += rest;
                });
            BOOST_TEST(seen == "bytes");
        }
}

// A session that fails has nothing to wait for.
BOOST_AUTO_TEST_CASE(a_failure_of_the_session_ends_the_race)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            auto const from = talk.now();
            auto const executor = co_await asio::this_coro::executor;
            auto const wait = [&]() -> asio::awaitable<void> { co_await (s.read_some(one.room()) || one.after(1h)); };
            started<void> waiting{executor, wait()};
            co_await settle();
            s.request_finish();
            auto const told = co_await outcome_of(waiting.result());
            BOOST_TEST((told.code == errc::draining));
            BOOST_TEST(told.operation == "read_some");
            talk.peer.reset();
            auto const reset = co_await outcome_of(wait());
            BOOST_TEST((reset.code == condition::reset));
            BOOST_TEST(reset.text.starts_with("read_some memory:b: "));
            memory_session const moved{std::move(s)};
            auto const empty = co_await outcome_of(wait());
            BOOST_TEST((empty.code == errc::closed));
            BOOST_TEST((talk.now() - from < 1h));
        });
}

BOOST_AUTO_TEST_CASE(of_cancellation)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            auto const executor = co_await asio::this_coro::executor;
            auto const wait = [&]() -> asio::awaitable<void> { co_await (s.read_some(one.room()) || one.after(1h)); };
            started<void> waiting{executor, wait()};
            co_await settle();
            waiting.cancel();
            co_await expect_error(waiting.result(), condition::cancelled);
            talk.peer.send_all("kept");
            auto const kept = co_await read(s);
            BOOST_TEST(kept == "kept");
        });
}

BOOST_AUTO_TEST_CASE(other_operations_and_more_of_them)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            race other{talk};
            auto const three = co_await (s.read_some(one.room()) || one.after(2s) || other.after(1s));
            BOOST_TEST(three.index() == 2U);
            auto const last = co_await (one.after(2s) || other.after(1s) || s.read_some(one.room()));
            BOOST_TEST(last.index() == 1U);
            auto const gone = co_await (s.wait_peer_gone() || one.after(1s));
            BOOST_TEST(gone.index() == 1U);
            auto const asked = co_await (one.after(1s) || s.wait_finish_requested());
            BOOST_TEST(asked.index() == 0U);
            talk.peer.send_all("both");
            auto const two = co_await (s.wait_readable() || s.read_all(100));
            BOOST_TEST(std::get<0>(two));
            auto const race_of_two = co_await (s.wait_finish_requested() || s.read_some(one.room()));
            BOOST_TEST(std::get<1>(race_of_two) == 4U);
        });
}

BOOST_AUTO_TEST_CASE(both_of_them)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            auto const from = talk.now();
            talk.peer.send_all("read");
            auto const size = co_await (s.read_some(one.room()) && one.after(1s));
            BOOST_TEST(size == 4U);
            BOOST_TEST((talk.now() - from == 1s));
            talk.peer.send_all("again");
            auto const both = co_await (s.write(asio::buffer("written", 7)) && s.read_some(one.room()));
            BOOST_TEST(std::get<0>(both) == 7U);
            BOOST_TEST(std::get<1>(both) == 5U);
            talk.peer.recv_exactly(7);
            co_await (one.after(1s) && s.delivered());
        });
}

BOOST_AUTO_TEST_CASE(a_parallel_group_tells_all_results)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            race one{talk};
            one.timer.expires_after(1s);
            talk.peer.send_all("told");
            auto group = asio::experimental::make_parallel_group(
                one.timer.async_wait(asio::deferred), s.read_some(one.room())(asio::deferred));
            auto const told =
                co_await group.async_wait(asio::experimental::wait_for_one(), asio::as_tuple(asio::use_awaitable));
            BOOST_TEST(std::get<0>(told)[0] == 1U);
            BOOST_TEST(!std::get<2>(told).failed());
            BOOST_TEST(std::get<3>(told) == 4U);
            one.timer.expires_after(1s);
            auto direct =
                asio::experimental::make_parallel_group(one.timer.async_wait(asio::deferred), s.read_some(one.room()));
            auto const late =
                co_await direct.async_wait(asio::experimental::wait_for_one(), asio::as_tuple(asio::use_awaitable));
            BOOST_TEST(std::get<0>(late)[0] == 0U);
            BOOST_TEST((std::get<2>(late) == condition::cancelled));
            talk.peer.send_all("kept");
            auto const kept = co_await read(s);
            BOOST_TEST(kept == "kept");
        });
}
