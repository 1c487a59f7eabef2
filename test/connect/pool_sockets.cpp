// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A pool on sockets: what the kernel tells of an idle connection, and what its peer sees.

#define BOOST_TEST_MODULE connect.pool_sockets
#include <duet/connection_pool.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/adopt.hpp"
#include "support/fd.hpp"

#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace duet_test;

namespace {

struct fixture
{
    fixture() { prepare(context); }

    asio::awaitable<duet::connection_pool::lease> acquire()
    {
        duet::connection_pool::lease result = co_await pool.acquire();
        co_return result;
    }

    asio::awaitable<void> is_lent(std::uint16_t port)
    {
        auto lease = co_await acquire();
        BOOST_TEST(lease->local_endpoint().port() == port);
        lease.give_back();
    }

    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    duet::connection_pool pool{duet::connector{context}, server.endpoint(), {.idle = {}}};
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_has_arrived_is_seen_before_the_next_lease, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            for (int way = 0; way < 3; ++way)
            {
                auto lease = co_await at.acquire();
                auto peer = at.server.accept();
                auto const first = lease->local_endpoint().port();
                co_await lease->write("question");
                BOOST_TEST(peer.recv_exactly(8) == "question");
                peer.send_all("answer");
                std::array<char, 6> answer;
                co_await lease->read(asio::buffer(answer));
                lease.give_back();
                co_await at.is_lent(first);
                if (way == 0)
                    peer.shutdown_write();
                if (way == 1)
                    peer.reset();
                if (way == 2)
                    peer.send_all("x");
                // On loopback it has arrived when the call returns.
                auto next = co_await at.acquire();
                auto other = at.server.accept();
                BOOST_TEST(next->local_endpoint().port() != first);
                BOOST_TEST(at.pool.counters().unhealthy == static_cast<unsigned>(way) + 1U);
                if (way != 1)
                    BOOST_TEST(peer.recv_all().error == (way == 2 ? ECONNRESET : 0));
                BOOST_TEST(next.take().valid());
            }
        }(*this));
}

BOOST_FIXTURE_TEST_CASE(a_lease_that_is_abandoned_resets_and_a_pool_that_ends_finishes, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            auto kept = co_await at.acquire();
            auto first = at.server.accept();
            {
                auto const lease = co_await at.acquire();
                co_await kept->write("half");
            }
            auto second = at.server.accept();
            BOOST_TEST(second.recv_all().error == ECONNRESET);
            kept.give_back();
            co_await at.pool.close();
            auto const all = first.recv_all();
            BOOST_TEST(all.data == "half");
            BOOST_TEST(all.error == 0);
        }(*this));
}

// The pool has no timer: this ends although a connection is idle.
BOOST_FIXTURE_TEST_CASE(an_idle_connection_does_not_keep_the_context_running, fixture)
{
    duet::connection_pool timed{duet::connector{context}, server.endpoint(), {.idle = for_ever}};
    run(context,
        [](fixture&, duet::connection_pool& lender) -> asio::awaitable<void>
        {
            duet::connection_pool::lease lease = co_await lender.acquire();
            lease.give_back();
        }(*this, timed));
    BOOST_TEST(timed.counters().idle == 1U);
    context.run();
}

BOOST_AUTO_TEST_CASE(by_name_and_on_a_unix_domain_path)
{
    asio::io_context context;
    good_address server;
    duet::connection_pool named{duet::connector{context}, "127.0.0.1", std::to_string(server.endpoint().port())};
    auto const path = std::string{'\0'} + "duet-pool-" + std::to_string(::getpid());
    raw_listener listener{raw_address::local(path), 1};
    duet::unix_connection_pool local{duet::unix_connector{context}, path};
    run(context,
        [](duet::connection_pool& one, duet::unix_connection_pool& other) -> asio::awaitable<void>
        {
            duet::connection_pool::lease first = co_await one.acquire();
            duet::unix_connection_pool::lease second = co_await other.acquire();
            first.give_back();
            second.give_back();
            first = co_await one.acquire();
            second = co_await other.acquire();
            BOOST_TEST(first.reused());
            BOOST_TEST(second.reused());
        }(named, local));
    named.stop();
    try
    {
        run(context,
            [](duet::connection_pool& one) -> asio::awaitable<void>
            { duet::connection_pool::lease const lease = co_await one.acquire(); }(named));
        BOOST_ERROR("a closed pool has lent a connection");
    }
    catch (duet::session_error const& error)
    {
        auto const peer = "127.0.0.1:" + std::to_string(server.endpoint().port());
        BOOST_TEST(error.what() == "acquire " + peer + ": closed by its owner");
    }
}
