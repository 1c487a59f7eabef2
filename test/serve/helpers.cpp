// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What handlers leave to others, on each thread of a server: helpers in threads of their own, and posted functions.

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.helpers
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <latch>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// What a helper does in a thread of its own while the session's goes on. A socket that is not connected has hung up,
/// which the session's thread sees at once, while the helper waits for more.
void make_sockets_on(asio::any_io_executor const& executor)
{
    constexpr int waits = 5;
    for (int i = 0; i < 20; ++i)
    {
        asio::ip::tcp::socket socket{executor};
        socket.open(asio::ip::tcp::v4());
        asio::steady_timer timer{executor, 1h};
        timer.async_wait([](boost::system::error_code const&) {});
        std::latch seen{waits};
        for (int again = 0; again < waits; ++again)
            socket.async_wait(socket.wait_read, [&seen](boost::system::error_code const&) { seen.count_down(); });
        seen.wait();
    }
}

asio::awaitable<void> echo_with_a_helper(duet::session peer)
{
    auto const executor = peer.get_executor();
    auto const help = [&] { make_sockets_on(executor); };
    co_await in_thread(help);
    co_await echo(std::move(peer));
}

/// For every byte, a function that throws the name of the handler's thread.
asio::awaitable<void> fail_apart(duet::session peer)
{
    char byte = 0;
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(&byte, 1));
        if (size == 0)
            break;
        auto const here = std::this_thread::get_id();
        auto const fail = [here]
        {
            BOOST_TEST((std::this_thread::get_id() == here));
            throw here;
        };
        asio::post(peer.get_executor(), fail);
    }
}

}  // namespace

// (ThreadSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(helpers_in_threads_of_their_own_make_sockets_on_the_sessions_executors)
{
    asio::io_context context;
    auto options = on_loopback();
    options.threads = 3;
    duet::server serving{context, options, echo_with_a_helper};
    auto const talk = [&]
    {
        std::deque<raw_socket> clients;
        for (int i = 0; i < 24; ++i)
        {
            clients.push_back(client_of(serving));
            clients.back().send_all("hello");
        }
        for (auto& each : clients)
        {
            BOOST_TEST(each.recv_exactly(5) == "hello");
            each.shutdown_write();
            BOOST_TEST(each.recv_all().error == 0);
        }
    };
    run(context,
        [](duet::server& s, auto const& work) -> asio::awaitable<void>
        {
            co_await in_thread(work);
            co_await drain(s, 20s);
        }(serving, talk));
    BOOST_TEST(serving.counters().completed == 24u);
}

BOOST_AUTO_TEST_CASE(an_exception_leaves_run_whichever_thread_it_comes_from)
{
    asio::io_context context;
    auto options = on_loopback();
    options.threads = 2;
    duet::server serving{context, options, fail_apart};
    std::set<std::thread::id> origins;
    std::deque<raw_socket> clients;
    for (int i = 0; i < 1000 && origins.size() < 2; ++i)
    {
        clients.push_back(client_of(serving));
        for (int again = 0; again < 2; ++again)  // the server goes on
        {
            clients.back().send_all("x");
            try
            {
                context.run_for(run_guard);
                BOOST_FAIL("no exception has come");
            }
            catch (std::thread::id const& origin)
            {
                origins.insert(origin);
            }
        }
        clients.back().close();
    }
    BOOST_TEST(origins.size() == 2u);
    BOOST_TEST(origins.contains(std::this_thread::get_id()));
}
