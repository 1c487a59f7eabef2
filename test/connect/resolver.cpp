// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "duet/resolver.hpp"

#define BOOST_TEST_MODULE connect.resolver
#include <boost/test/unit_test.hpp>

#include "connect/lookup_gate.hpp"
#include "support/coro.hpp"
#include "support/fd.hpp"
#include "support/started.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include <duet/error.hpp>

using namespace duet_test;
using namespace std::chrono_literals;
using asio::ip::tcp;
using duet::condition;

BOOST_AUTO_TEST_CASE(the_systems_look_up)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            duet::system_resolver resolver;
            auto const found = co_await resolver.resolve("localhost", "80");
            BOOST_TEST(!found.empty());
            for (auto const& each : found)
                BOOST_TEST((each.address().is_loopback() && each.port() == 80));
            auto const here = co_await resolver.resolve("", "80");
            BOOST_TEST(!here.empty());
            for (auto const& each : here)
                BOOST_TEST(each.address().is_loopback());
        });
}

BOOST_AUTO_TEST_CASE(the_systems_errors)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            duet::system_resolver resolver;
            co_await expect_error(resolver.resolve("localhost", "no such service"), asio::error::service_not_found);
            co_await expect_error(resolver.resolve("localhost", "80x"), asio::error::service_not_found);
        });
}

BOOST_AUTO_TEST_CASE(what_a_look_up_throws_comes_through)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            duet::system_resolver resolver{[](std::string const& host, std::string const&) -> endpoints
                {
                    if (host == "system")
                        throw duet::system_error{asio::error::host_not_found_try_again};
                    throw std::domain_error{host};
                }};
            co_await expect_error(resolver.resolve("system", "80"), asio::error::host_not_found_try_again);
            std::string thrown;
            try
            {
                auto const unexpected = co_await resolver.resolve("system", "80");
            }
            catch (duet::session_error const& error)
            {
                thrown = error.what();
            }
            BOOST_TEST(thrown.starts_with("resolve system:80: Host not found"));
            try
            {
                auto const unexpected = co_await resolver.resolve("another kind", "80");
            }
            catch (std::domain_error const& error)
            {
                thrown = error.what();
            }
            BOOST_TEST(thrown == "another kind");
        });
}

// run() fails when no work is left while its coroutine waits, and when work is left after it has ended.
BOOST_AUTO_TEST_CASE(a_look_up_is_work_as_long_as_it_is_awaited)
{
    gate entry;
    duet::system_resolver resolver{entry.lookup()};
    asio::io_context context;
    endpoints found;
    bool ended = false;
    asio::co_spawn(context, keep(resolver.resolve("slow", "80"), found), [&](std::exception_ptr) { ended = true; });
    auto const begun = [&]
    {
        context.poll();
        return entry.inside() == 1;
    };
    eventually(begun, "the look-up has begun");
    BOOST_TEST(!context.stopped());
    entry.open();
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST(context.stopped());
    BOOST_TEST(ended);
    BOOST_TEST(found == looked_up, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_cancelled_look_up_is_left_to_itself)
{
    no_leaked_descriptors const descriptors;
    gate entry;
    {
        asio::io_context context;
        duet::system_resolver resolver{entry.lookup()};
        auto const body = [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<endpoints> resolving{executor, resolver.resolve("slow", "80")};
            co_await until([&] { return entry.inside() == 1; }, "the look-up has begun");
            resolving.cancel();
            co_await expect_error(resolving.result(), condition::cancelled);
            BOOST_TEST(entry.inside() == 1);
        };
        run(context, body());  // no work is left
    }
    BOOST_TEST(entry.inside() == 1);
}

BOOST_AUTO_TEST_CASE(look_ups_do_not_wait_for_each_other)
{
    gate entry;
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::system_resolver slow{entry.lookup()};
            duet::system_resolver quick;
            started<endpoints> first{executor, slow.resolve("slow", "80")};
            started<endpoints> second{executor, slow.resolve("slower", "80")};
            co_await until([&] { return entry.inside() == 2; }, "both look-ups have begun");
            auto const found = co_await quick.resolve("localhost", "80");
            BOOST_TEST(!found.empty());
            BOOST_TEST(!first.done());
            entry.open(2);
            auto const late = co_await first.result();
            auto const later = co_await second.result();
            BOOST_TEST(late == looked_up, boost::test_tools::per_element());
            BOOST_TEST(later == looked_up, boost::test_tools::per_element());
        });
}

BOOST_AUTO_TEST_CASE(the_context_is_destroyed_while_a_look_up_runs)
{
    no_leaked_descriptors const descriptors;
    gate entry;
    endpoints found;
    bool ended = false;
    {
        asio::io_context context;
        auto const strand = asio::make_strand(context);  // whose copies must not outlive the context
        {
            duet::system_resolver resolver{entry.lookup()};
            asio::co_spawn(
                strand, keep(resolver.resolve("slow", "80"), found), [&](std::exception_ptr) { ended = true; });
        }
        while (entry.inside() == 0)
            context.run_for(1ms);
    }  // does not wait
    BOOST_TEST(entry.inside() == 1);
    BOOST_TEST(!ended);
}

// For the sanitizers: the thread delivers at any point of the context's end.
BOOST_AUTO_TEST_CASE(the_context_is_destroyed_while_a_look_up_ends)
{
    gate entry;
    int const turns = 100;
    endpoints found;
    for (int turn = 0; turn < turns; ++turn)
    {
        asio::io_context context;
        duet::system_resolver resolver{entry.lookup()};
        asio::co_spawn(
            asio::make_strand(context), keep(resolver.resolve("slow", "80"), found), [](std::exception_ptr) {});
        while (entry.begun() <= turn)
            context.run_for(1ms);
        entry.open();
        for (int step = 0; step < turn % 50; ++step)
            std::this_thread::yield();
        if (turn % 3 == 0)
            context.run_for(1us);
    }
}

// A cancelled look-up that ends at the same time, and the context as well.
BOOST_AUTO_TEST_CASE(a_look_up_is_cancelled_while_it_ends)
{
    gate entry;
    int const turns = 100;
    endpoints found;
    for (int turn = 0; turn < turns; ++turn)
    {
        asio::cancellation_signal signal;
        asio::io_context context;
        duet::system_resolver resolver{entry.lookup()};
        asio::co_spawn(context, keep(resolver.resolve("slow", "80"), found),
            asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr) {}));
        while (entry.begun() <= turn)
            context.run_for(1ms);
        entry.open();
        for (int step = 0; step < turn % 50; ++step)
            std::this_thread::yield();
        signal.emit(asio::cancellation_type::terminal);
        if (turn % 2 == 0)
            context.run_for(run_guard);
    }
}

BOOST_AUTO_TEST_CASE(its_threads_take_no_signals)
{
    std::atomic<bool> blocked{false};
    run(
        [&]() -> asio::awaitable<void>
        {
            duet::system_resolver resolver{[&](std::string const&, std::string const&)
                {
                    sigset_t mask;
                    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                    blocked = ::sigismember(&mask, SIGINT) == 1 && ::sigismember(&mask, SIGTERM) == 1;
                    return looked_up;
                }};
            auto const found = co_await resolver.resolve("a", "80");
            BOOST_TEST(found.size() == 2U);
        });
    BOOST_TEST(blocked);
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    BOOST_TEST(::sigismember(&mask, SIGINT) == 0);
}
