// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The drain of a server on a clock that the test moves.

#define BOOST_TEST_MODULE serve.time
#include "serve/drain_fixture.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstddef>

using namespace duet_test;

namespace {

/// Ends when it is asked to finish.
asio::awaitable<void> polite(duet::session peer)
{
    co_await peer.wait_readable();
}

/// Waits for something else than its session.
asio::awaitable<void> stubborn(duet::session peer)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    peer.abort();
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_drain_waits_for_its_time_and_then_aborts, drain_fixture)
{
    serve(2, stubborn);
    drain(10min);
    clock.advance(10min - 1ns);
    BOOST_TEST(!report.has_value());
    BOOST_TEST(serving->counters().active == 2U);
    clock.advance(1ns);
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST(report->finished == 0U);
    BOOST_TEST(report->aborted == 2U);
}

BOOST_FIXTURE_TEST_CASE(the_sessions_are_asked_one_after_the_other, drain_fixture)
{
    serve(4, polite, {.drain_grace = 0s, .drain_spread = 4min});
    drain(1h);
    for (std::size_t asked = 1; asked <= 4; ++asked)
    {
        std::size_t told = 0;
        for (auto& peer : peers)
        {
            std::array<char, 1> buffer{};
            boost::system::error_code error;
            peer.non_blocking(true);
            peer.read_some(asio::buffer(buffer), error);
            told += error == asio::error::eof;
        }
        BOOST_TEST(told == asked);
        clock.advance(1min);
    }
    peers.clear();
    while (!report)
    {
        context.restart();
        BOOST_REQUIRE(context.run_one_for(30s) != 0);
    }
    BOOST_TEST(report->finished == 4U);
    BOOST_TEST(report->aborted == 0U);
}
