// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Answers the requests of each client several at once, as they are ready. A message is its length in four bytes, the id
// of the request in eight, and a text. Try: rpc_server --port 7000 & rpc_client --port 7000 'sleep 500' 'sum 1 2 3'

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ostream.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>

#include <duet/run.hpp>
#include <duet/serve_requests.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> wait(std::chrono::milliseconds time)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

// What it cannot do is an answer, too: an exception would end the connection, and the answers of others with it.
asio::awaitable<std::string> answer(std::string request)
{
    std::istringstream words{request};
    std::string verb;
    words >> verb;
    long number = 0;
    if (verb == "sum")
    {
        long sum = 0;
        while (words >> number)
            sum += number;
        co_return std::to_string(sum);
    }
    if (verb == "sleep" && words >> number)
    {
        co_await wait(std::chrono::milliseconds{std::clamp(number, 0L, 60'000L)});
        co_return "awake";
    }
    co_return "sum <number>... or sleep <milliseconds>";
}

asio::awaitable<void> serve(duet::session peer)
{
    co_await duet::serve_requests(peer, duet::length_prefix{.bytes = 4}, 4096, answer);
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Answers the requests of each client several at once.",
        {{"port", "7777", "where to listen; 0 chooses a port"}}};
    asio::io_context context;
    duet::server server{context, example::for_strangers(options.port()), serve};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "rpc_server: {}\n", error.what());
    return 1;
}
