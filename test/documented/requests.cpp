// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/requests.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.requests
#include <duet/connection_pool.hpp>
#include <duet/request_stream.hpp>
#include <duet/serve_requests.hpp>
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_support.hpp"
#include "support/coro.hpp"
#include "support/in_thread.hpp"

#include <boost/asio/io_context.hpp>

#include <iostream>
#include <string>
#include <utility>

using namespace duet_test;

namespace {

asio::awaitable<std::string> ask(duet::connection_pool& pool, std::string const& question)
{
    auto lease = co_await pool.acquire();
    co_await lease->write(question);
    std::string answer;
    std::size_t const size = co_await lease->read_until(answer, "\n", 4096);
    if (size == answer.size())
        lease.give_back();  // the whole answer was read, and nothing came behind it
    co_return answer;
}

int asked_again = 0;

void ask_again(std::string const&)
{
    ++asked_again;
}

template <class Requests>
asio::awaitable<void> ask_once(Requests& requests, std::string const& question)
{
    try
    {
        std::string const answer = co_await requests.ask("who?");  // from any number of coroutines

        BOOST_TEST(answer == "who?!");
    }
    catch (duet::request_error const& error)
    {
        if (!error.sent())
            ask_again(question);  // on another connection: it does no harm
        else
            std::clog << error.what() << '\n';  // the server may have acted on it
    }
}

asio::awaitable<std::string> answer_to(std::string request)
{
    co_return request + "!";
}

asio::awaitable<void> serve(duet::session peer)
{
    co_await duet::serve_requests(peer, duet::length_prefix{.bytes = 4}, 65536, answer_to);
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

BOOST_AUTO_TEST_CASE(requests_find_their_answers_on_one_connection)
{
    asio::io_context context;
    duet::server server{context, {.port = 0}, serve};
    auto const ask_twice = [&]() -> asio::awaitable<void>
    {
        duet::connector connector{context};
        duet::session peer = co_await connector.connect(server.local_endpoint());
        duet::request_stream requests{std::move(peer), duet::length_prefix{.bytes = 4}, 65536, {.within = 10s}};
        std::string const question = "who?";
        co_await ask_once(requests, question);
        BOOST_TEST(asked_again == 0);
        auto const report = co_await requests.close();
        BOOST_TEST(report.clean());
        co_await ask_once(requests, question);
        BOOST_TEST(asked_again == 1);
        co_await server.drain(10s);
    };
    run_all(context, {}, ask_twice());
}
