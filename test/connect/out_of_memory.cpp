// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A connect that is out of memory at every allocation in turn, in each of its phases: it fails with an error that says
// so, nothing hangs, and no descriptor and no memory is left.

#define BOOST_TEST_MODULE connect.out_of_memory
#include <duet/connector.hpp>
#include <duet/kept_connection.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/adopt.hpp"
#include "support/failing_allocations.hpp"
#include "support/fd.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace duet_test;
using duet::system_resolver;
using endpoints = std::vector<tcp::endpoint>;

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

namespace {

using body = std::function<asio::awaitable<void>(asio::io_context&)>;

struct run_result
{
    bool all_failed = false;
    bool success = false;
};

/// Runs the body once, and lets one allocation fail, unless it makes fewer. What Asio has no memory for leaves run(),
/// as anywhere, or the coroutine.
run_result run_once(body const& connect, long before)
{
    run_result result;
    {
        no_leaked_descriptors const watched;
        asio::io_context context;
        prepare(context);
        asio::steady_timer const first{context};
        std::exception_ptr failure;
        bool ended = false;
        bool escaped = false;
        auto on_end = [&](std::exception_ptr thrown)
        {
            ended = true;
            failure = std::move(thrown);
        };
        asio::co_spawn(context, connect(context), on_end);
        allocations_before_failure = before;
        allocations_to_fail = 1;
        for (bool out = false; !out;)
        {
            try
            {
                context.run_for(run_guard);
                out = true;
            }
            catch (std::bad_alloc const&)
            {
                escaped = true;
            }
        }
        result.all_failed = std::exchange(allocations_to_fail, 0) == 0;
        BOOST_TEST_INFO("it hangs");
        BOOST_TEST(context.stopped());
        BOOST_TEST((ended || escaped));
        BOOST_TEST_INFO(duet::detail::text_of(failure));
        BOOST_TEST((!failure || is_of_memory(failure)));
        result.success = !failure && !escaped;
        BOOST_TEST((result.success || result.all_failed));
    }
    return result;
}

/// False: the body made fewer allocations. If it succeeds without one, it is run again: on a slow machine, its timeout
/// may have passed before. What can do without succeeds each time.
bool run_without_memory(body const& connect, long before, long& successes)
{
    run_result result;
    for (int tries = 0; tries == 0 || (result.success && result.all_failed && tries != 10); ++tries)
        result = run_once(connect, before);
    successes += result.success ? 1 : 0;
    return result.all_failed;
}

void run_without_memory(body const& connect, long most_successes = 1)
{
    long before = 0;
    long successes = 0;
    for (bool failed = true; failed; ++before)
        BOOST_TEST_CONTEXT("allocation " << before) failed = run_without_memory(connect, before, successes);
    // Most failures end the connect. Some end but one attempt, or what can do without: the last run has none.
    BOOST_TEST(before > 5);
    // The reactor is one of these: Asio takes its place.
    BOOST_TEST(successes <= most_successes + (reactor_wanted() ? 2 : 0));
}

}  // namespace

BOOST_AUTO_TEST_CASE(to_an_endpoint)
{
    good_address server;
    run_without_memory(
        [&](asio::io_context& context) -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session const peer = co_await connector.connect(server.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(to_the_second_address_of_a_name)
{
    good_address server;
    refusing_address const nobody;
    run_without_memory(
        [&](asio::io_context& context) -> asio::awaitable<void>
        {
            auto connector = make_connector(context.get_executor(), {nobody.endpoint(), server.endpoint()});
            duet::session const peer = co_await connector.connect("host", "80");
        },
        4);
}

BOOST_AUTO_TEST_CASE(after_a_look_up_on_a_thread)
{
    good_address server;
    run_without_memory(
        [&](asio::io_context& context) -> asio::awaitable<void>
        {
            system_resolver const resolver{
                [to = server.endpoint()](std::string const&, std::string const&) { return endpoints(1, to); }};
            duet::connector connector{context, {}, resolver};
            duet::session const peer = co_await connector.connect("host", "80");
        });
    auto const none = []
    {
        auto const left = system_resolver::lookups();
        return left.running + left.queued == 0;
    };
    eventually(none, "no look-up is left in the queue");
}

// The thread cannot post its result at first.
BOOST_AUTO_TEST_CASE(the_thread_of_a_look_up)
{
    good_address server;
    for (long before = 0; before < 6; ++before)
        run(
            [&]() -> asio::awaitable<void>
            {
                system_resolver const resolver{[to = server.endpoint(), before](std::string const&, std::string const&)
                    {
                        allocations_to_fail = 0;  // the thread may be the one of the look-up before
                        endpoints found(1, to);
                        allocations_before_failure = before;
                        allocations_to_fail = 1;
                        return found;
                    }};
                auto const executor = co_await asio::this_coro::executor;
                duet::connector connector{executor, {.timeout = for_ever}, resolver};
                duet::session const peer = co_await connector.connect("host", "80");
                BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            });
}

BOOST_AUTO_TEST_CASE(a_connect_that_fails_after_several_tries)
{
    refusing_address const nobody;
    run_without_memory(
        [&](asio::io_context& context) -> asio::awaitable<void>
        {
            duet::connector connector{context};
            connector.on_retry([](auto const&) {});
            duet::error_code told;
            try
            {
                duet::session const peer =
                    co_await connector.connect(nobody.endpoint(), {.delays = {.initial = 1ns}, .max_tries = 2});
            }
            catch (duet::connect_error const& error)
            {
                told = error.code();
                if (told != asio::error::connection_refused)
                    throw;
            }
            BOOST_TEST(told == duet::error_code{asio::error::connection_refused});
        },
        4);
}

BOOST_AUTO_TEST_CASE(a_connect_that_takes_too_long)
{
    black_hole hole;
    run_without_memory(
        [&](asio::io_context& context) -> asio::awaitable<void>
        {
            duet::connector connector{context, {.timeout = 10ms}};
            try
            {
                duet::session const peer = co_await connector.connect(hole.endpoint());
            }
            catch (duet::connect_error const& error)
            {
                if (error.code() != duet::errc::connect_timed_out)
                    throw;
            }
        });
    BOOST_TEST(hole.hanging() == 0U);
}

BOOST_AUTO_TEST_CASE(to_a_unix_domain_path)
{
    auto const path = std::string{'\0'} + "duet-out-of-memory-" + std::to_string(::getpid());
    raw_listener listener{raw_address::local(path), 1000};
    run_without_memory(
        [&](asio::io_context& context) -> asio::awaitable<void>
        {
            duet::unix_connector connector{context};
            duet::unix_session const peer = co_await connector.connect(path);
        });
}

#endif
