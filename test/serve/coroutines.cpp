// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server keeps the coroutine of a session that has ended for the next one: what is saved by that, that nothing goes
// from one to the next, and that none keeps a context running.

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.coroutines
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/version.hpp>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// Of this thread; Asio gets its memory for coroutines and operations from aligned_alloc.
thread_local long allocations = 0;

/// So many clients at once, from connect to the end of their sessions. The allocations of the server.
long allocations_for(asio::io_context& context, duet::server& serving, int clients)
{
    std::deque<raw_socket> all;
    auto const before = allocations;
    for (int i = 0; i < clients; ++i)
        all.push_back(client_of(serving));
    serve_until_active(context, serving, static_cast<std::uint64_t>(clients));
    for (auto& client : all)
        client.shutdown_write();
    serve_until_active(context, serving, 0);
    return allocations - before;
}

asio::awaitable<void> wait_for_end(duet::session peer)
{
    co_await peer.wait_readable();
}

}  // namespace

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size)
{
    ++allocations;
    void* result = nullptr;
    return ::posix_memalign(&result, std::max(alignment, sizeof(void*)), size) == 0 ? result : nullptr;
}

BOOST_AUTO_TEST_CASE(a_session_takes_over_the_coroutine_of_one_that_has_ended)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), wait_for_end};
    long const first = allocations_for(context, serving, 100);
    long const again = allocations_for(context, serving, 100);
    // That of the handler itself is new, the place of its cancellation, and what the listener needs to wait.
    BOOST_TEST(again < 250);
    BOOST_TEST(first > again + 150);
#if BOOST_VERSION < 108900
    BOOST_TEST(first < again + 350);  // no frame of co_spawn(), and no signal of its own: see coroutine_start.hpp
#endif
    BOOST_TEST(serving.counters().completed == 200u);
}

BOOST_AUTO_TEST_CASE(after_many_sessions_at_once_not_all_of_their_coroutines_are_kept)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), wait_for_end};
    long const spawned = allocations_for(context, serving, 300);
    long const kept = allocations_for(context, serving, 128);
    long const mixed = allocations_for(context, serving, 300);
    double const each_spawned = static_cast<double>(spawned) / 300;
    double const each_kept = static_cast<double>(kept) / 128;
    auto const mixed_as_if = [&](double number) { return (300 - number) * each_spawned + number * each_kept; };
    BOOST_TEST(static_cast<double>(mixed) < mixed_as_if(100));
    BOOST_TEST(static_cast<double>(mixed) > mixed_as_if(150));
}

BOOST_AUTO_TEST_CASE(a_session_that_waits_for_a_message_has_no_coroutine)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(),
        [](duet::session& peer) -> asio::awaitable<bool>
        {
            auto const heard = co_await read(peer);
            co_return !heard.empty();
        }};
    std::deque<raw_socket> all;
    for (int i = 0; i < 300; ++i)
        all.push_back(client_of(serving));
    long const before = allocations;
    serve_until_active(context, serving, 300);
    BOOST_TEST(allocations - before < 300);  // a coroutine and its handler have three each
}

BOOST_AUTO_TEST_CASE(what_a_handler_does_to_its_coroutine_does_not_reach_the_next_session)
{
    asio::io_context context;
    int handled = 0;
    bool throws = false;
    bool cancelled = false;
    duet::server serving{context, on_loopback(),
        [&](duet::session peer) -> asio::awaitable<void>
        {
            if (++handled == 1)
            {
                co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
                co_await asio::this_coro::throw_if_cancelled(false);
                co_return;
            }
            throws = co_await asio::this_coro::throw_if_cancelled();
            asio::steady_timer timer{peer.get_executor(), asio::steady_timer::time_point::max()};
            try
            {
                asio::use_awaitable_t<> const token;
                co_await timer.async_wait(token);
            }
            catch (boost::system::system_error const&)
            {
                cancelled = true;
                throw;
            }
        }};
    auto first = client_of(serving);
    first.shutdown_write();
    serve(context, [&] { return serving.counters().completed == 1; });
    auto second = client_of(serving);
    serve(context, [&] { return handled == 2; });
    serving.abort();
    serve_until_active(context, serving, 0);
    BOOST_TEST(throws);
    BOOST_TEST(cancelled);
    require_end(context);
}

// The exception of one session, and its reset, are its own.
BOOST_AUTO_TEST_CASE(a_coroutine_goes_on_after_a_handler_that_threw)
{
    asio::io_context context;
    int handled = 0;
    duet::server serving{context, on_loopback(),
        [&](duet::session peer) -> asio::awaitable<void>
        {
            if (++handled % 2 == 1)
                throw std::runtime_error{"no luck"};
            co_await echo(std::move(peer));
        }};
    for (int i = 0; i < 3; ++i)
    {
        auto unlucky = client_of(serving);
        serve(context, [&] { return serving.counters().handler_failures == static_cast<std::uint64_t>(i) + 1; });
        BOOST_TEST(unlucky.recv_all().error == ECONNRESET);
        auto client = client_of(serving);
        client.send_all("hello");
        client.shutdown_write();
        serve(context, [&] { return serving.counters().completed == static_cast<std::uint64_t>(i) + 1; });
        BOOST_TEST(client.recv_all().data == "hello");
    }
}

// What follows a handler is the server's, wherever that has ended.
BOOST_AUTO_TEST_CASE(a_handler_that_ends_on_another_thread_is_brought_home)
{
    asio::io_context context;
    asio::thread_pool pool{1};
    int here = 0;
    int elsewhere = 0;
    auto options = on_loopback();
    options.on_session_end = [&](duet::session_end const&)
    { ++(context.get_executor().running_in_this_thread() ? here : elsewhere); };
    bool throws = false;
    auto const leave = [&]() -> asio::awaitable<void>
    {
        asio::use_awaitable_t<> const token;
        co_await asio::post(asio::bind_executor(pool, token));
        if (std::exchange(throws, !throws))
            throw std::runtime_error{"no result"};
    };
    auto const end_three = [&](duet::server& serving)
    {
        int const before = here + elsewhere;
        for (int i = 1; i <= 3; ++i)
        {
            auto client = client_of(serving);
            client.shutdown_write();
            serve(context, [&] { return here + elsewhere == before + i; });
        }
    };
    {
        duet::server serving{context, options,
            [&](duet::session peer) -> asio::awaitable<void>
            {
                {
                    duet::session const done = std::move(peer);
                }
                co_await leave();
            }};
        end_three(serving);
    }
    {
        duet::server serving{context, options,
            [&](duet::session& peer) -> asio::awaitable<bool>
            {
                auto const heard = co_await read(peer);
                co_await leave();
                co_return !heard.empty();
            }};
        end_three(serving);
    }
    BOOST_TEST(here == 6);
    BOOST_TEST(elsewhere == 0);
}

BOOST_AUTO_TEST_CASE(what_an_operation_throws_as_it_begins_leaves_by_run_and_harms_nobody)
{
    asio::io_context context;
    int handled = 0;
    duet::server serving{context, on_loopback(),
        [&](duet::session) -> asio::awaitable<void>
        {
            asio::use_awaitable_t<> const token;
            auto const fails = [](auto) { throw std::logic_error{"not now"}; };
            if (++handled == 2)
                co_await asio::async_initiate<asio::use_awaitable_t<> const, void()>(fails, token);
        }};
    int thrown = 0;
    for (int i = 1; i <= 4; ++i)
    {
        auto client = client_of(serving);
        client.shutdown_write();
        eventually(
            [&]
            {
                try
                {
                    context.poll();
                }
                catch (std::logic_error const&)
                {
                    ++thrown;
                }
                return handled == i && serving.counters().active == 0;
            },
            "the session's end");
    }
    BOOST_TEST(thrown == 1);
    BOOST_TEST(serving.counters().completed == 3u);
    BOOST_TEST(serving.counters().handler_failures == 1u);
    BOOST_TEST(!serving.listener_failure());
}

BOOST_AUTO_TEST_CASE(the_exception_of_a_handler_goes_with_its_session)
{
    asio::io_context context;
    std::weak_ptr<int> thrown;
    duet::server serving{context, on_loopback(),
        [&](duet::session) -> asio::awaitable<void>
        {
            auto const what = std::make_shared<int>(1);
            thrown = what;
            throw what;
            co_return;
        }};
    auto client = client_of(serving);
    serve(context, [&] { return serving.counters().handler_failures == 1; });
    BOOST_TEST(thrown.expired());
}

BOOST_AUTO_TEST_CASE(after_a_drain_no_coroutine_keeps_the_context_running)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), wait_for_end};
    allocations_for(context, serving, 10);
    run(context, [](duet::server& s) -> asio::awaitable<void> { co_await s.drain(20s); }(serving));
    require_end(context);
}

BOOST_AUTO_TEST_CASE(after_the_server_no_coroutine_keeps_the_context_running)
{
    asio::io_context context;
    {
        duet::server serving{context, on_loopback(), wait_for_end};
        allocations_for(context, serving, 10);
    }
    require_end(context);
}

BOOST_AUTO_TEST_CASE(a_context_that_runs_no_more_takes_them_with_it)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), wait_for_end};
    allocations_for(context, serving, 10);
}

BOOST_AUTO_TEST_CASE(after_a_failure_of_the_listener_no_coroutine_keeps_the_context_running)
{
    asio::io_context context;
    duet::acceptor listening{context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    int const descriptor = listening.native_handle();
    duet::server serving{context, std::move(listening), {}, wait_for_end};
    allocations_for(context, serving, 10);
    auto last = client_of(serving);
    serve_until_active(context, serving, 1);
    BOOST_REQUIRE(::shutdown(descriptor, SHUT_RDWR) == 0);  // accept then fails for good, with EINVAL
    serve(context, [&] { return serving.listener_failure() != nullptr; });
    last.shutdown_write();
    require_end(context);
    BOOST_TEST(serving.counters().completed == 11u);
}

BOOST_AUTO_TEST_CASE(the_coroutines_of_several_threads_end_with_the_server)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    {
        auto options = on_loopback();
        options.threads = 3;
        duet::server serving{context, options, wait_for_end};
        for (int i = 0; i < 3; ++i)
            allocations_for(context, serving, 30);
        BOOST_TEST(serving.counters().completed == 90u);
    }
    require_end(context);
}
