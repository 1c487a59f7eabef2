// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE session.canceller
#include <duet/canceller.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::close_reason;
using duet::condition;
using duet::errc;

BOOST_AUTO_TEST_CASE(a_canceller_of_nothing_does_nothing)
{
    duet::canceller const none;
    none.cancel();
    none.abort();
}

BOOST_AUTO_TEST_CASE(cancel_and_abort_from_another_thread)
{
    for (bool const abort : {false, true})
    {
        BOOST_TEST_CONTEXT("abort " << abort)
        {
            tcp_talk talk;
            talk.play(
                [&](duet::session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    auto const control = s.canceller();
                    started<std::string> reading{executor, read(s)};
                    co_await settle();
                    auto const elsewhere = [&]
                    {
                        if (abort)
                            control.abort();
                        else
                            control.cancel();
                    };
                    co_await in_thread(elsewhere);
                    auto const end = co_await outcome_of(reading.result());
                    if (abort)
                    {
                        BOOST_TEST(end.code == errc::aborted);
                        BOOST_TEST(s.close_reason() == close_reason::aborted);
                    }
                    else
                    {
                        BOOST_TEST(end.code == condition::cancelled);
                        talk.peer.send_all("still");
                        auto const data = co_await read(s);
                        BOOST_TEST(data == "still");
                    }
                });
        }
    }
}

// What it asks for is posted: nothing happens within the call, not even on the session's own thread.
BOOST_AUTO_TEST_CASE(it_acts_on_the_sessions_executor_only)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            s.canceller().abort();
            BOOST_TEST(s.close_reason() == close_reason::none);
            co_await settle();
            BOOST_TEST(s.close_reason() == close_reason::aborted);
        });
}

BOOST_AUTO_TEST_CASE(it_follows_a_moved_session)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const control = s.canceller();
            auto moved = std::move(s);
            control.abort();
            co_await settle();
            BOOST_TEST(moved.close_reason() == close_reason::aborted);
        });
}

BOOST_AUTO_TEST_CASE(it_may_outlive_its_session)
{
    tcp_talk talk;
    duet::canceller control;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            control = s.canceller();
            auto const copy = control;
            copy.cancel();
            co_await settle();
        });
    control.cancel();
    control.abort();
    talk.context.restart();
    talk.context.run();
}

// Also where nobody has asked for one before. (ThreadSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(it_is_made_on_any_thread)
{
    for (int round = 0; round < 20; ++round)
    {
        tcp_talk talk;
        talk.play(
            [](duet::session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                started<std::string> reading{executor, read(s)};
                auto const elsewhere = [&]
                {
                    std::vector<std::jthread> threads;
                    for (int i = 0; i < 4; ++i)
                        threads.emplace_back([&] { std::as_const(s).canceller().abort(); });
                };
                co_await in_thread(elsewhere);
                co_await expect_error(reading.result(), errc::aborted);
            });
    }
}

BOOST_AUTO_TEST_CASE(a_copy_allocates_nothing)
{
    static_assert(std::is_nothrow_copy_constructible_v<duet::canceller>);
    static_assert(std::is_nothrow_copy_assignable_v<duet::canceller>);
    tcp_talk talk;
    talk.play(
        [](duet::session& s) -> asio::awaitable<void>
        {
            auto const first = s.canceller();
            duet::canceller second;
            second = first;
            second.abort();
            co_await settle();
            BOOST_TEST(s.close_reason() == close_reason::aborted);
        });
}

BOOST_AUTO_TEST_CASE(it_may_outlive_the_context)
{
    duet::canceller kept;
    duet::canceller of_strand;
    {
        asio::io_context context;
        auto pair = connected_pair(raw_address::v4(0));
        auto other = connected_pair(raw_address::v4(0));
        auto const session = adopt<duet::session>(pair.server, context.get_executor(), {});
        auto const stranded = adopt<duet::session>(other.server, asio::make_strand(context), {});
        kept = session.canceller();
        of_strand = stranded.canceller();
        of_strand.cancel();
    }
    kept.cancel();
    of_strand.abort();
}

// Many threads, and the session ends and dies among their calls. (ThreadSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(many_threads_race_with_the_end_of_the_session)
{
    for (int round = 0; round < 20; ++round)
    {
        tcp_talk talk;
        std::vector<std::jthread> threads;
        talk.play(
            [&](duet::session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const control = s.canceller();
                started<std::string> reading{executor, read(s)};
                co_await settle();
                for (int i = 0; i < 4; ++i)
                    threads.emplace_back(
                        [control, i]
                        {
                            for (int k = 0; k < 50; ++k)
                                i == 0 && k == 25 ? control.abort() : control.cancel();
                        });
                co_await outcome_of(reading.result());
                if (round % 2 == 0)
                    co_await s.wait_peer_gone()(asio::as_tuple(asio::use_awaitable));
            });
        threads.clear();
        talk.context.restart();
        talk.context.run();
    }
}

BOOST_AUTO_TEST_CASE(a_canceller_works_from_another_thread_and_outlives_the_session)
{
    conversation_with<duet::session> talk;
    duet::canceller kept;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            kept = s.canceller();
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            auto const elsewhere = [&]
            {
                kept.cancel();
                return 0;
            };
            co_await in_thread(elsewhere);
            co_await expect_error(reading.result(), condition::cancelled);
            talk.peer.send_all("still here");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "still here");
            kept.abort();
            co_await expect_error(read(s), errc::aborted);
        });
    kept.cancel();
    kept.abort();
    talk.context.restart();
    talk.context.run();
    duet::canceller const nothing;
    nothing.cancel();
}
