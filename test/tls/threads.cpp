// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// TLS on several threads: a server with threads of its own, one on strands of a pool, and an acceptor that gives each
// session a strand. (ThreadSanitizer is a judge of all of this.)

#define BOOST_TEST_MODULE tls.threads
#include "support/coro.hpp"
#include "support/quiet_thread.hpp"
#include "support/wait.hpp"
#include "tls/tls_fixture.hpp"

#include <duet/tls_acceptor.hpp>
#include <duet/tls_connector.hpp>
#include <duet/tls_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <string>
#include <thread>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

constexpr int visits = 40;
constexpr int stays = 6;

/// Clients on a thread of their own. A visit half-closes, and reads to the end; a stay ends with the server's end.
class clients
{
public:
    explicit clients(tcp::endpoint const& at) : at_{at} {}

    ~clients()
    {
        work_.reset();
        thread_.join();
    }

    void come()
    {
        for (int i = 0; i < visits; ++i)
            asio::co_spawn(context_, visit(), asio::detached);
    }

    void stay()
    {
        for (int i = 0; i < stays; ++i)
            asio::co_spawn(context_, live(), asio::detached);
    }

    std::atomic<int> answered = 0;  // visits with their whole answer and a clean end
    std::atomic<int> staying = 0;
    std::atomic<int> dismissed = 0;  // stays whose server has said close_notify

private:
    asio::awaitable<void> visit()
    {
        duet::tls_session peer = co_await connector_.connect(at_);
        std::string const question(20'000, 'q');
        co_await peer.write(question);
        co_await peer.shutdown_send();
        auto const answer = co_await peer.read_all(100'000);
        auto const report = co_await peer.close();
        if (answer == question && report.clean())
            ++answered;
    }

    asio::awaitable<void> live()
    {
        duet::tls_session peer = co_await connector_.connect(at_);
        std::string room(5, ' ');
        co_await peer.write("hello");
        co_await peer.read(asio::buffer(room));
        ++staying;
        auto const size = co_await peer.read_some(asio::buffer(room));
        if (size == 0)
            ++dismissed;
        co_await peer.close();
    }

    tcp::endpoint at_;
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
    duet::tls_connector connector_{
        context_, duet::tls_context::client(tls_world::get().client_options()), {}, "server.test"};
    std::thread thread_ = quiet_thread([this] { context_.run(); });
};

/// What a handler sees of where it runs.
struct watched
{
    std::atomic<int> moved = 0;    // it was resumed on another executor than its session's
    std::atomic<int> touched = 0;  // its strand had several threads at once
};

asio::awaitable<void> echo(duet::tls_session peer, watched& seen)
{
    std::string room(4096, ' ');
    std::atomic<bool> inside = false;
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(room));
        if (inside.exchange(true))
            ++seen.touched;
        auto const here = co_await asio::this_coro::executor;
        if (here != peer.get_executor())
            ++seen.moved;
        inside = false;
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(room.data(), size));
    }
    co_await peer.close();
}

void check(clients const& of, duet::server_counters const& counted, duet::drain_report const& report)
{
    BOOST_TEST(of.answered == visits);
    BOOST_TEST(counted.completed == static_cast<std::uint64_t>(visits + stays));
    BOOST_TEST(counted.handshake_failures == 0U);
    BOOST_TEST(counted.handler_failures == 0U);
    BOOST_TEST(counted.active == 0U);
    BOOST_TEST(report.aborted == 0U);
}

duet::tls_context server_context()
{
    return duet::tls_context::server(tls_world::get().server_options());
}

}  // namespace

BOOST_AUTO_TEST_CASE(threads_of_a_server_serve_at_once_and_drain_together)
{
    asio::io_context context;
    watched seen;
    auto const handler = [&seen](duet::tls_session peer) { return echo(std::move(peer), seen); };
    duet::tls_server serving{context, {.address = "127.0.0.1", .threads = 2}, server_context(), handler};
    duet::drain_report report;
    clients guests{serving.local_endpoint()};
    guests.come();
    guests.stay();
    auto const play = [&]() -> asio::awaitable<void>
    {
        co_await duet_test::until(
            [&] { return guests.answered == visits && guests.staying == stays; }, "all are served");
        report = co_await serving.drain(20s);
    };
    duet_test::run(context, play());
    eventually([&] { return guests.dismissed == stays; }, "the clients hear of the end");
    check(guests, serving.counters(), report);
    BOOST_TEST(report.finished == static_cast<std::size_t>(stays));
    BOOST_TEST(seen.moved == 0);
    BOOST_TEST(seen.touched == 0);
}

BOOST_AUTO_TEST_CASE(strands_of_a_pool_serve_at_once_and_drain_together)
{
    asio::thread_pool pool{3};
    watched seen;
    auto const handler = [&seen](duet::tls_session peer) { return echo(std::move(peer), seen); };
    duet::tls_server serving{pool, {.address = "127.0.0.1", .threads = 3}, server_context(), handler};
    clients guests{serving.local_endpoint()};
    guests.come();
    guests.stay();
    eventually([&] { return guests.answered == visits && guests.staying == stays; }, "all are served");
    auto const report = asio::co_spawn(pool, serving.drain(20s), asio::use_future).get();
    eventually([&] { return guests.dismissed == stays; }, "the clients hear of the end");
    check(guests, serving.counters(), report);
    BOOST_TEST(seen.moved == 0);
    BOOST_TEST(seen.touched == 0);
}

namespace {

asio::awaitable<void> serve_on_strands(duet::tls_acceptor& listening, asio::thread_pool& pool, watched& seen)
{
    try
    {
        for (;;)
        {
            auto peer = co_await listening.accept(asio::make_strand(pool));
            auto const executor = peer.get_executor();
            asio::co_spawn(executor, echo(std::move(peer), seen), asio::detached);
        }
    }
    catch (duet::session_error const& error)
    {
        BOOST_TEST((error.code() == duet::errc::closed));
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_session_of_an_acceptor_has_a_strand)
{
    asio::thread_pool pool{3};
    watched seen;
    asio::any_io_executor const home = asio::make_strand(pool);
    duet::tls_acceptor listening{home, tcp::endpoint{asio::ip::address_v4::loopback(), 0}, server_context()};
    clients guests{listening.local_endpoint()};
    asio::co_spawn(home, serve_on_strands(listening, pool, seen), asio::detached);
    guests.come();
    eventually([&] { return guests.answered == visits; }, "all are served");
    asio::post(home, [&] { listening.close(); });
    pool.join();
    BOOST_TEST(listening.handshake_failures() == 0U);
    BOOST_TEST(seen.moved == 0);
    BOOST_TEST(seen.touched == 0);
}
