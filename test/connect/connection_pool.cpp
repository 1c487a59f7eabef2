// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A pool of connections to peers in memory: who gets which connection, in which order, and what becomes of those that
// are given back, abandoned, broken or too old.

#define BOOST_TEST_MODULE connect.connection_pool
#include <duet/connection_pool.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/pool_fixture.hpp"
#include "support/told_result.hpp"

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::condition;
using duet::errc;

BOOST_FIXTURE_TEST_SUITE(lending, pool_fixture)

BOOST_AUTO_TEST_CASE(what_was_given_back_is_lent_again)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            BOOST_TEST(!first.reused());
            co_await first->write("question");
            peer(0).send_all("answer");
            std::string answer(6, '\0');
            co_await first->read(asio::buffer(answer));
            first.give_back();
            BOOST_TEST(!first.valid());
            first.give_back();  // does nothing
            auto second = co_await acquire(pool);
            BOOST_TEST(second.reused());
            BOOST_TEST(server->begun == 1U);
            BOOST_TEST(pool.counters().reused == 1U);
            BOOST_TEST(pool.counters().connected == 1U);
            BOOST_TEST(pool.counters().in_use == 1U);
            BOOST_TEST(pool.counters().idle == 0U);
            second.give_back();
            BOOST_TEST(pool.counters().idle == 1U);
        });
}

BOOST_AUTO_TEST_CASE(the_one_used_last_is_lent_first)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = co_await acquire(pool);
            second.give_back();
            first.give_back();
            auto third = co_await acquire(pool);
            BOOST_TEST(where(third) == "0");
            third.give_back();
        });
}

BOOST_AUTO_TEST_CASE(a_lease_that_is_not_given_back_resets_its_connection)
{
    with_pool({.max_connections = 1},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            {
                auto const lease = co_await acquire(pool);
                peer(0).send_all("half of an ans");
            }
            BOOST_TEST(peer(0).recv_all().error == ECONNRESET);
            BOOST_TEST(pool.counters().abandoned == 1U);
            BOOST_TEST(pool.counters().in_use == 0U);
            auto other = co_await acquire(pool);
            BOOST_TEST(where(other) == "1");
            other.give_back();
        });
}

BOOST_AUTO_TEST_CASE(an_assignment_abandons_what_the_lease_had)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = co_await acquire(pool);
            first = std::move(second);
            BOOST_TEST(peer(0).recv_all().error == ECONNRESET);
            BOOST_TEST(where(first) == "1");
            BOOST_TEST(!second.valid());
            BOOST_TEST(pool.counters().in_use == 1U);
            first.give_back();
        });
}

BOOST_AUTO_TEST_CASE(what_cannot_serve_another_is_closed_when_it_is_given_back)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto ended = co_await acquire(pool);
            peer(0).shutdown_write();
            char byte = 0;
            auto const size = co_await ended->read_some(asio::buffer(&byte, 1));
            BOOST_TEST(size == 0U);
            ended.give_back();
            BOOST_TEST(pool.counters().idle == 0U);
            BOOST_TEST(peer(0).recv_all().error == 0);  // FIN

            auto finished = co_await acquire(pool);
            co_await finished->shutdown_send();
            finished.give_back();
            BOOST_TEST(pool.counters().idle == 0U);
        });
}

BOOST_AUTO_TEST_CASE(a_connection_that_is_taken_leaves_its_place)
{
    with_pool({.max_connections = 1},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto lease = co_await acquire(pool);
            memory_session own = lease.take();
            BOOST_TEST(!lease.valid());
            auto next = co_await acquire(pool);
            BOOST_TEST(where(next) == "1");
            co_await own.write("on");
            BOOST_TEST(peer(0).recv_available() == "on");
            next.give_back();
        });
}

BOOST_AUTO_TEST_CASE(a_completion_token_gets_a_lease)
{
    auto const pool = make();
    told_result<memory_lease> told;
    pool->acquire()(told.handler());
    BOOST_TEST(told.calls == 0);
    time.run_until([&] { return told.calls == 1; }, "the lease");
    BOOST_TEST(!*told.error);
    BOOST_TEST(where(told.result) == "0");
    pool->stop();
    pool->acquire()(told.handler());
    time.run_until([&] { return told.calls == 2; }, "the refusal");
    BOOST_TEST((*told.error == errc::closed));
}

BOOST_AUTO_TEST_CASE(a_pool_without_a_connection_is_refused)
{
    auto const is_refusal = [](duet::system_error const& error)
    { return error.code() == asio::error::invalid_argument; };
    BOOST_CHECK_EXCEPTION(make({.max_connections = 0}), duet::system_error, is_refusal);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(waiting, pool_fixture)

BOOST_AUTO_TEST_CASE(they_are_served_in_their_order)
{
    with_pool({.max_connections = 2},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = co_await acquire(pool);
            auto third = begin(pool);
            auto fourth = begin(pool);
            co_await settle();
            BOOST_TEST(pool.counters().waiting == 2U);
            second.give_back();
            auto overtaker = begin(pool);
            co_await settle();
            BOOST_TEST(third.done());
            BOOST_TEST(!fourth.done());
            BOOST_TEST(!overtaker.done());
            first.give_back();
            co_await settle();
            BOOST_TEST(fourth.done());
            BOOST_TEST(!overtaker.done());
            auto got = co_await third.result();
            BOOST_TEST(where(got) == "1");
            got.give_back();
            auto last = co_await overtaker.result();
            auto next = co_await fourth.result();
            BOOST_TEST(server->begun == 2U);
            last.give_back();
            next.give_back();
        });
}

// Places, not connections: what is lent, idle or being made is never more than the limit.
BOOST_AUTO_TEST_CASE(there_are_never_more_connections_than_the_limit)
{
    server->takes = 1s;
    with_pool({.max_connections = 2},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            std::vector<started<memory_lease>> all;
            for (int i = 0; i < 3; ++i)
                all.push_back(begin(pool));
            co_await settle();
            BOOST_TEST(server->begun == 2U);
            BOOST_TEST(pool.counters().in_use == 2U);
            BOOST_TEST(pool.counters().waiting == 1U);
            auto first = co_await all[0].result();
            auto second = co_await all[1].result();
            first.give_back();
            auto third = co_await all[2].result();
            BOOST_TEST(server->begun == 2U);
            second.give_back();
            third.give_back();
        });
}

BOOST_AUTO_TEST_CASE(one_that_waits_too_long_leaves_the_queue)
{
    with_pool({.max_connections = 1, .wait = 1min},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto const begun = time.now();
            co_await expect_error(acquire(pool), errc::call_timed_out);
            BOOST_TEST((time.now() == begun + 1min + tick));
            asio::awaitable<memory_lease> shorter = pool.acquire(1s);
            co_await expect_error(std::move(shorter), condition::timed_out);
            BOOST_TEST((time.now() == begun + 1min + 1s + 2 * tick));
            BOOST_TEST(pool.counters().timed_out == 2U);
            BOOST_TEST(pool.counters().waiting == 0U);
            first.give_back();
            BOOST_TEST(pool.counters().in_use == 0U);
        });
}

BOOST_AUTO_TEST_CASE(one_too_many_fails_at_once)
{
    with_pool({.max_connections = 1, .max_waiting = 1},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = begin(pool);
            co_await settle();
            auto const begun = time.now();
            co_await expect_error(acquire(pool), errc::too_many_waiting);
            co_await expect_error(acquire(pool), condition::exhausted);
            BOOST_TEST((time.now() == begun));
            BOOST_TEST(pool.counters().refused == 2U);
            first.give_back();
            auto got = co_await second.result();
            got.give_back();
        });
}

BOOST_AUTO_TEST_CASE(one_that_is_cancelled_leaves_its_place_to_the_next)
{
    with_pool({.max_connections = 1},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = begin(pool);
            auto third = begin(pool);
            auto fourth = begin(pool);
            co_await settle();
            second.cancel();
            co_await expect_error(second.result(), condition::cancelled);
            // Told and cancelled at once: the place must not get lost.
            first.give_back();
            third.cancel();
            co_await expect_error(third.result(), condition::cancelled);
            auto got = co_await fourth.result();
            BOOST_TEST(pool.counters().in_use == 1U);
            got.give_back();
            BOOST_TEST(pool.counters().in_use == 0U);
        });
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_those_who_wait_with_it)
{
    std::vector<memory_lease> kept;
    kept.reserve(1);
    auto other = std::make_unique<pool_fixture>();
    auto pool = other->make({.max_connections = 1});
    other->play(
        [&]() -> asio::awaitable<void>
        {
            auto first = co_await acquire(*pool);
            kept.push_back(std::move(first));
        });
    for (int i = 0; i < 2; ++i)
        other->begin(*pool);
    other->time.clock.run_ready();
    BOOST_TEST(pool->counters().waiting == 2U);
    kept.clear();  // the second has the place now, and will never know
    pool.reset();
    other.reset();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(connecting, pool_fixture)

BOOST_AUTO_TEST_CASE(a_connect_that_fails_fails_its_own_acquire_alone)
{
    auto const pool = make({.max_connections = 1});
    server->takes = 1s;
    server->failures = 2;
    play(
        [&]() -> asio::awaitable<void>
        {
            auto first = begin(*pool);
            auto second = begin(*pool);
            auto third = begin(*pool);
            co_await expect_error(first.result(), asio::error::connection_refused);
            co_await expect_error(second.result(), asio::error::connection_refused);
            auto got = co_await third.result();
            BOOST_TEST(server->begun == 3U);
            BOOST_TEST(pool->counters().connects_failed == 2U);
            BOOST_TEST(pool->counters().connected == 1U);
            got.give_back();
            BOOST_TEST(pool->counters().in_use == 0U);
        });
}

BOOST_AUTO_TEST_CASE(a_connect_that_is_cancelled_leaves_its_place)
{
    server->takes = 1h;
    with_pool({.max_connections = 1},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = begin(pool);
            auto second = begin(pool);
            co_await settle();
            server->takes = {};
            first.cancel();
            co_await expect_error(first.result(), condition::cancelled);
            auto got = co_await second.result();
            BOOST_TEST(pool.counters().connects_failed == 1U);
            got.give_back();
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(ending, pool_fixture)

BOOST_AUTO_TEST_CASE(close_waits_for_what_was_lent)
{
    with_pool({.max_connections = 2},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = co_await acquire(pool);
            auto third = begin(pool);
            co_await settle();
            started<void> closed{time.context.get_executor(), pool.close()};
            started<void> again{time.context.get_executor(), pool.close()};
            started<void> impatient{time.context.get_executor(), pool.close()};
            co_await settle();
            impatient.cancel();
            co_await expect_error(impatient.result(), condition::cancelled);
            co_await expect_error(third.result(), errc::closed);
            co_await expect_error(acquire(pool), errc::closed);
            BOOST_TEST(!closed.done());
            first.give_back();
            BOOST_TEST(peer(0).recv_all().error == 0);  // FIN: it is not kept
            co_await settle();
            BOOST_TEST(!closed.done());
            second.give_back();
            co_await closed.result();
            co_await again.result();
            co_await pool.close();
        });
}

BOOST_AUTO_TEST_CASE(close_ends_what_is_idle_and_waits_for_a_connect)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto first = co_await acquire(pool);
            auto second = co_await acquire(pool);
            first.give_back();
            second.give_back();
            auto third = co_await acquire(pool);
            third.give_back();
            auto busy = co_await acquire(pool);
            auto taken = co_await acquire(pool);
            busy.give_back();
            server->takes = 1s;
            auto kept = co_await acquire(pool);
            auto making = begin(pool);
            co_await settle();
            taken.give_back();
            kept.give_back();
            BOOST_TEST(pool.counters().idle == 2U);
            co_await pool.close();
            BOOST_TEST(pool.counters().idle == 0U);
            BOOST_TEST(peer(0).recv_all().error == 0);
            BOOST_TEST(peer(1).recv_all().error == 0);
            co_await expect_error(making.result(), errc::closed);
        });
}

BOOST_AUTO_TEST_CASE(leases_and_acquires_outlive_the_pool)
{
    auto pool = make({.max_connections = 1});
    play(
        [&]() -> asio::awaitable<void>
        {
            auto lease = co_await acquire(*pool);
            auto other = begin(*pool);
            co_await settle();
            pool.reset();
            co_await expect_error(other.result(), errc::closed);
            co_await lease->write("still there");
            BOOST_TEST(peer(0).recv_available() == "still there");
            lease.give_back();
            BOOST_TEST(peer(0).recv_all().error == 0);
        });
}

BOOST_AUTO_TEST_SUITE_END()
