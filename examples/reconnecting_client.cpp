// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A client that outlives its server: it sends numbered lines and waits for the answer to each. When there is no server,
// or none any more, it tries again after a while, longer each time, and goes on with the line that was not answered.
// Try: echo_server & reconnecting_client --interval 1000; kill the server, and start it again

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include <duet/kept_connection.hpp>

#include "options.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

struct line_sender  // called for each connection; returns whether another one is wanted
{
    asio::awaitable<bool> operator()(duet::session& server, duet::kept_trial& trial)
    {
        asio::steady_timer timer{server.get_executor()};
        while (next <= count)
        {
            // A server that dies may have acted on the line before: each is answered once, but may be received twice.
            std::string line = fmt::format("line {}\n", next);
            co_await server.write(asio::buffer(line));
            line.clear();
            std::size_t const size = co_await server.read_until(line, "\n", 4096);
            if (size == 0)
                co_return true;
            fmt::print("{} answers: {}", fmt::streamed(server.remote_endpoint()), line);
            trial.succeeded();  // not at the connect: a server that drops us again and again is no server, either
            ++next;
            timer.expires_after(interval);
            co_await timer.async_wait(asio::use_awaitable);
        }
        co_return false;
    }

    std::size_t count;
    std::chrono::milliseconds interval;
    std::size_t next = 1;  // the line that was not answered yet
};

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Sends lines, prints the answers, and outlives its server.",
        {{"host", "localhost", "the server"}, {"port", "7777", "its port"},
            {"interval", "100", "milliseconds between two lines"}, {"count", "1000000", "the number of lines"}}};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    asio::io_context context;
    // The read deadline is for a server that is there and does not answer.
    duet::connector connector{context, {.timeout = 5s, .session = {.deadlines = {.read = 10s}}}};
    duet::kept_connection server{
        std::move(connector), options.text("host"), options.text("port"), {.initial = 50ms, .maximum = 10s}};
    server.on_lost(
        [](duet::lost_connection const& loss)
        {
            fmt::print("{}; next try in {} ms\n", loss.failure ? loss.what() : "the server has ended the connection",
                loss.next_try_in / 1ms);
        });
    auto ended = asio::co_spawn(
        context, server.run(line_sender{options.number("count"), options.number("interval") * 1ms}), asio::use_future);
    context.run();
    ended.get();  // throws what it has thrown
}
catch (std::exception const& error)
{
    fmt::print(stderr, "reconnecting_client: {}\n", error.what());
    return 1;
}
