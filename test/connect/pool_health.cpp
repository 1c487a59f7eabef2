// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Which idle connections a pool lends again, and when it closes the others: the peer is in memory.

#define BOOST_TEST_MODULE connect.pool_health
#include <duet/connection_pool.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/pool_fixture.hpp"

#include <cerrno>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::condition;
using duet::errc;

namespace {

// A pool with so many idle connections; the last peer's is lent first.
asio::awaitable<void> fill(memory_pool& pool, int count)
{
    std::vector<memory_lease> all;
    for (int i = 0; i < count; ++i)
    {
        auto lease = co_await pool_fixture::acquire(pool);
        all.push_back(std::move(lease));
    }
    for (auto& each : all)
        each.give_back();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(health, pool_fixture)

BOOST_AUTO_TEST_CASE(what_the_peer_has_ended_or_spoken_on_is_not_lent)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            co_await fill(pool, 4);
            peer(3).shutdown_write();
            peer(2).reset();
            peer(1).send_all("unasked");
            auto lease = co_await acquire(pool);
            BOOST_TEST(where(lease) == "0");
            BOOST_TEST(pool.counters().unhealthy == 3U);
            BOOST_TEST(pool.counters().idle == 0U);
            BOOST_TEST(peer(3).recv_all().error == 0);
            BOOST_TEST(peer(1).recv_all().error == ECONNRESET);
            lease.give_back();
            peer(0).close();
            auto fresh = co_await acquire(pool);
            BOOST_TEST(where(fresh) == "4");
            BOOST_TEST(!fresh.reused());
            fresh.give_back();
        });
}

BOOST_AUTO_TEST_CASE(what_is_still_used_is_not_lent)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            auto lease = co_await acquire(pool);
            char byte = 0;
            auto const room = asio::buffer(&byte, 1);
            started<std::size_t> read{time.context.get_executor(), lease->read(room)(asio::use_awaitable)};
            co_await settle();
            lease.give_back();
            auto other = co_await acquire(pool);
            BOOST_TEST(where(other) == "1");
            co_await expect_error(read.result(), condition::closed);
            other.give_back();
        });
}

BOOST_AUTO_TEST_CASE(the_check_of_the_program_decides)
{
    auto const pool = make();
    int asked = 0;
    pool->on_check(
        [&](memory_session& session) -> asio::awaitable<bool>
        {
            ++asked;
            co_await session.write("ping");
            if (session.remote_endpoint().name == "2")
                throw std::runtime_error{"no"};
            co_return session.remote_endpoint().name == "0";
        });
    play(
        [&]() -> asio::awaitable<void>
        {
            co_await fill(*pool, 3);
            BOOST_TEST(asked == 0);  // new ones are not asked
            auto lease = co_await acquire(*pool);
            BOOST_TEST(where(lease) == "0");
            BOOST_TEST(asked == 3);
            BOOST_TEST(pool->counters().unhealthy == 2U);
            BOOST_TEST(peer(1).recv_all().error == ECONNRESET);
            lease.give_back();
        });
}

BOOST_AUTO_TEST_CASE(a_check_is_cancelled_with_its_acquire)
{
    auto const pool = make({.max_connections = 1});
    bool hangs = true;
    pool->on_check(
        [&](memory_session& session) -> asio::awaitable<bool>
        {
            if (hangs)
                co_await session.wait_readable();
            co_return true;
        });
    play(
        [&]() -> asio::awaitable<void>
        {
            co_await fill(*pool, 1);
            auto first = begin(*pool);
            auto second = begin(*pool);
            co_await settle();
            hangs = false;
            first.cancel();
            co_await expect_error(first.result(), condition::cancelled);
            auto got = co_await second.result();
            BOOST_TEST(where(got) == "1");
            got.give_back();
        });
}

// An answer to a check that comes with more than the check has read is unasked.
BOOST_AUTO_TEST_CASE(what_a_check_leaves_unread_is_not_lent)
{
    auto const pool = make();
    pool->on_check(
        [&](memory_session&) -> asio::awaitable<bool>
        {
            peer(0).send_all("more");
            co_return true;
        });
    play(
        [&]() -> asio::awaitable<void>
        {
            co_await fill(*pool, 1);
            auto lease = co_await acquire(*pool);
            BOOST_TEST(where(lease) == "1");
            lease.give_back();
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(age, pool_fixture)

// play() also sees that an idle connection leaves nothing to do on the context.
BOOST_AUTO_TEST_CASE(one_that_was_idle_for_too_long_is_not_lent)
{
    with_pool({.idle = 1min},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            co_await fill(pool, 2);
            co_await time.pause(1min + tick - 1ns);
            auto still = co_await acquire(pool);
            BOOST_TEST(where(still) == "1");
            still.give_back();
            co_await time.pause(1min + tick - 1ns);
            auto again = co_await acquire(pool);
            BOOST_TEST(where(again) == "1");
            BOOST_TEST(pool.counters().evicted == 1U);
            BOOST_TEST(peer(0).recv_all().error == 0);
            again.give_back();
            co_await time.pause(1min + tick);
            auto fresh = co_await acquire(pool);
            BOOST_TEST(where(fresh) == "2");
            fresh.give_back();
        });
}

BOOST_AUTO_TEST_CASE(one_that_is_too_old_or_used_up_is_not_lent)
{
    with_pool({.idle = {}, .max_age = 1h, .max_uses = 3},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            for (auto const* const expected : {"0", "0", "0", "1"})
            {
                auto lease = co_await acquire(pool);
                BOOST_TEST(where(lease) == expected);
                lease.give_back();
            }
            co_await time.pause(1h + tick - 1ns);
            auto old = co_await acquire(pool);
            BOOST_TEST(where(old) == "1");
            co_await time.pause(1ns);
            old.give_back();  // it has become too old while it was lent
            BOOST_TEST(pool.counters().idle == 0U);
            auto fresh = co_await acquire(pool);
            BOOST_TEST(where(fresh) == "2");
            fresh.give_back();
            co_await time.pause(1h + tick);
            auto last = co_await acquire(pool);
            BOOST_TEST(where(last) == "3");
            last.give_back();
        });
}

BOOST_AUTO_TEST_CASE(no_more_are_kept_than_max_idle)
{
    with_pool({.max_idle = 1},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            co_await fill(pool, 3);
            BOOST_TEST(pool.counters().idle == 1U);
            BOOST_TEST(peer(1).recv_all().error == 0);
            BOOST_TEST(peer(2).recv_all().error == 0);
        });
}

BOOST_AUTO_TEST_CASE(evict_closes_what_is_of_no_use)
{
    with_pool({.idle = 1min},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            co_await fill(pool, 3);
            BOOST_TEST(pool.evict() == 0U);
            peer(1).shutdown_write();
            BOOST_TEST(pool.evict() == 1U);
            BOOST_TEST(peer(1).recv_all().error == 0);
            co_await time.pause(1min + tick);
            BOOST_TEST(pool.evict() == 2U);
            BOOST_TEST(pool.counters().idle == 0U);
        });
}

BOOST_AUTO_TEST_CASE(eviction_runs_at_its_time)
{
    with_pool({.idle = 1min},
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            started<void> eviction{time.context.get_executor(), pool.run_eviction()};
            co_await settle();
            for (int round = 0; round < 2; ++round)
            {
                co_await fill(pool, 2);
                auto const begun = time.now();
                co_await time.until([&] { return pool.counters().idle == 0; });
                BOOST_TEST((time.now() == begun + 1min + tick));
            }
            BOOST_TEST(!eviction.done());
            pool.stop();
            co_await eviction.result();
            co_await pool.run_eviction();
        });
}

BOOST_AUTO_TEST_CASE(eviction_is_cancelled)
{
    with_pool(
        [&](memory_pool& pool) -> asio::awaitable<void>
        {
            started<void> eviction{time.context.get_executor(), pool.run_eviction()};
            co_await settle();
            eviction.cancel();
            co_await expect_error(eviction.result(), condition::cancelled);
            co_await fill(pool, 1);
        });
}

BOOST_AUTO_TEST_SUITE_END()
