// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sessions that belong to another executor than their acceptor, and sockets that leave their sessions.

#define BOOST_TEST_MODULE accept.executors
#include <duet/acceptor.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <atomic>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;

namespace {

duet::acceptor listen(asio::any_io_executor const& executor)
{
    return duet::acceptor{executor, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
}

raw_socket client_of(duet::acceptor const& listening)
{
    return raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
}

/// Lines of 5 bytes, with all deadlines in use.
asio::awaitable<void> echo(duet::session peer, std::atomic<int>& served)
{
    std::string line(5, '\0');
    for (;;)
    {
        auto const more = co_await peer.read_or_end(asio::buffer(line)).within(1min);
        if (!more)
            break;
        co_await peer.write(asio::buffer(line));
    }
    co_await peer.close();
    ++served;
}

asio::awaitable<void> serve_on_strands(duet::acceptor& listening, asio::thread_pool& pool, std::atomic<int>& served)
{
    try
    {
        for (;;)
        {
            auto peer = co_await listening.accept(asio::make_strand(pool));
            auto const executor = peer.get_executor();
            asio::co_spawn(executor, echo(std::move(peer), served), asio::detached);
        }
    }
    catch (duet::session_error const& error)
    {
        BOOST_TEST(error.code() == errc::closed);
    }
}

}  // namespace

// (ThreadSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(each_session_has_a_strand_on_a_pool)
{
    constexpr int count = 40;
    asio::thread_pool pool{4};
    std::atomic<int> served = 0;
    auto const home = asio::make_strand(pool);
    auto listening = listen(home);
    auto const port = listening.local_endpoint().port();
    asio::co_spawn(home, serve_on_strands(listening, pool, served), asio::detached);
    std::deque<raw_socket> clients;
    for (int i = 0; i < count; ++i)
        clients.push_back(raw_socket::connect(raw_address::v4(port)));
    for (int round = 0; round < 10; ++round)
    {
        for (auto& each : clients)
            each.send_all("hello");
        for (auto& each : clients)
            BOOST_TEST(each.recv_exactly(5) == "hello");
    }
    for (auto& each : clients)
    {
        each.shutdown_write();
        BOOST_TEST(each.recv_all().error == 0);
        each.close();
    }
    asio::post(home, [&] { listening.close(); });
    pool.join();
    BOOST_TEST(served == count);
}

// Which another thread runs, and which may have a reactor of its own. (ThreadSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(sessions_may_belong_to_another_context)
{
    constexpr int count = 20;
    asio::io_context context;
    asio::io_context other;
    prepare(other);
    std::optional work{asio::make_work_guard(other)};
    std::jthread const thread{[&] { other.run(); }};
    auto listening = listen(context.get_executor());
    std::deque<raw_socket> clients;
    std::atomic<int> served = 0;
    auto const accept = [&]() -> asio::awaitable<void>
    {
        for (int i = 0; i < count; ++i)
        {
            clients.push_back(client_of(listening));
            clients.back().send_all("hello");
            auto peer = co_await listening.accept(other.get_executor());
            BOOST_TEST((peer.get_executor() == other.get_executor()));
            asio::co_spawn(other, echo(std::move(peer), served), asio::detached);
        }
    };
    run(context, accept());
    for (auto& each : clients)
    {
        each.shutdown_write();
        BOOST_TEST(each.recv_all().data == "hello");
        each.close();
    }
    eventually([&] { return served == count; }, "all are served");
    work.reset();
}

// Of one batch, each call gives its session an executor.
BOOST_AUTO_TEST_CASE(the_executor_is_that_of_the_call_that_gets_the_session)
{
    asio::io_context context;
    asio::io_context other;
    auto listening = listen(context.get_executor());
    auto const first = client_of(listening);
    auto const second = client_of(listening);
    auto const third = client_of(listening);
    run(context,
        [](duet::acceptor& from, asio::io_context& to) -> asio::awaitable<void>
        {
            auto const a = co_await from.accept();
            auto const b = co_await from.accept(to.get_executor());
            from.close();
            auto const c = co_await from.accept();
            BOOST_TEST((a.get_executor() == from.get_executor()));
            BOOST_TEST((b.get_executor() == to.get_executor()));
            BOOST_TEST((c.get_executor() == from.get_executor()));
        }(listening, other));
}

#if defined(__linux__)
// A reactor is used on the thread of its context only, and accept() runs on another one.
BOOST_AUTO_TEST_CASE(a_session_of_another_context_is_not_in_its_reactor)
{
    asio::io_context context;
    asio::io_context other;
    duet::detail::reactor::use(other, 1);
    auto listening = listen(context.get_executor());
    auto const client = client_of(listening);
    run(context,
        [](duet::acceptor& from, asio::io_context& to) -> asio::awaitable<void>
        {
            auto const peer = co_await from.accept(to.get_executor());
            BOOST_TEST(peer.valid());
            BOOST_TEST(!duet::detail::reactor::of(&to)->suits());  // which it does beside another session
        }(listening, other));
}
#endif
