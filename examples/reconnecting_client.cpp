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
#include <stdexcept>
#include <string>

#include <duet/backoff.hpp>
#include <duet/connector.hpp>

#include "options.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> send_lines(asio::io_context& context, example::options const& options)
{
    // The read deadline is for a server that is there and does not answer.
    duet::connector connector{context, {.timeout = 5s, .session = {.deadlines = {.read = 10s}}}};
    duet::session server;
    duet::backoff delays{{.initial = 50ms, .maximum = 10s}};
    asio::steady_timer timer{context};
    for (std::size_t number = 1; number <= options.number("count");)
    {
        asio::steady_timer::duration pause = options.number("interval") * 1ms;
        try
        {
            if (!server.valid())
                server = co_await connector.connect(options.text("host"), options.text("port"));
            // A server that dies may have acted on the line before: each is answered once, but may be received twice.
            std::string line = fmt::format("line {}\n", number);
            co_await server.write(asio::buffer(line));
            line.clear();
            std::size_t const size = co_await server.read_until(line, "\n", 4096);
            if (size == 0)
                throw std::runtime_error{"the server has ended the connection"};
            fmt::print("{} answers: {}", fmt::streamed(server.remote_endpoint()), line);
            delays.reset();  // not at the connect: a server that drops us again and again is no server, either
            ++number;
        }
        catch (std::runtime_error const& error)  // which a duet::session_error is, too
        {
            server = {};
            pause = delays.next();
            fmt::print("{}; next try in {} ms\n", error.what(), pause / 1ms);
        }
        timer.expires_after(pause);
        co_await timer.async_wait(asio::use_awaitable);
    }
    co_await server.close();
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Sends lines, prints the answers, and outlives its server.",
        {{"host", "localhost", "the server"}, {"port", "7777", "its port"},
            {"interval", "100", "milliseconds between two lines"}, {"count", "1000000", "the number of lines"}}};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    asio::io_context context;
    auto ended = asio::co_spawn(context, send_lines(context, options), asio::use_future);
    context.run();
    ended.get();  // throws what it has thrown
}
catch (std::exception const& error)
{
    fmt::print(stderr, "reconnecting_client: {}\n", error.what());
    return 1;
}
