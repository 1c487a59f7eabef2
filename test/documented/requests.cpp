// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/requests.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.requests
#include <duet/connection_pool.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_support.hpp"
#include "support/coro.hpp"
#include "support/in_thread.hpp"

#include <boost/asio/io_context.hpp>

#include <string>

using namespace duet_test;

namespace {

asio::awaitable<std::string> ask(duet::connection_pool& pool, std::string const& question)
{
    auto lease = co_await pool.acquire();
    co_await lease->write(question);
    std::string answer;
    co_await lease->read_until(answer, "\n", 4096);
    lease.give_back();  // the whole answer was read
    co_return answer;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_pool_keeps_connections_for_the_next_request)
{
    good_address server;
    asio::io_context context;
    auto const executor = context.get_executor();
    std::string const host = "127.0.0.1";
    std::string const port = std::to_string(server.endpoint().port());
    duet::connection_pool pool{duet::connector{executor, {.timeout = 5s}}, host, port, {.max_connections = 4}};

    auto const answer_twice = [&]
    {
        auto socket = server.accept();
        for (int i = 0; i < 2; ++i)
        {
            BOOST_TEST(socket.recv_exactly(5) == "what\n");
            socket.send_all("that\n");
        }
        BOOST_TEST(socket.recv_all().data == "");
    };
    auto const ask_twice = [&]() -> asio::awaitable<void>
    {
        std::string const question = "what\n";
        for (int i = 0; i < 2; ++i)
        {
            auto const answer = co_await ask(pool, question);
            BOOST_TEST(answer == "that\n");
        }
        co_await pool.close();
    };
    run_all(context, {}, in_thread(answer_twice), ask_twice());
    BOOST_TEST(pool.counters().connected == 1U);
    BOOST_TEST(pool.counters().reused == 1U);
}
