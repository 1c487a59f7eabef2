// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends back whatever it receives, to everyone at once, and ends each connection when the client has.
// Try: echo_server --port 7000 & echo hello | nc -N localhost 7000

#include <fmt/ostream.h>

#include <array>
#include <cstdio>
#include <exception>

#include <duet/duet.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> echo(duet::session peer)
{
    std::array<char, 4096> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)  // the peer's FIN: it has said everything
            break;
        // Nothing more is read before this is on its way, so a client that sends and never reads costs no memory.
        co_await peer.write(asio::buffer(buffer, size));
    }
}  // return: our FIN, then wait for the peer's

int main(int argc, char** argv)
try
{
    example::options const options{
        argc, argv, "Sends back whatever it receives.", {{"port", "7777", "where to listen; 0 chooses a port"}}};

    asio::io_context context;
    duet::server server{context, example::for_strangers(options.port()), echo};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);                                 // at once to a pipe or a file, too
    return duet::run(context, {.print = true}, server);  // SIGINT or SIGTERM: stop listening, drain, report
}
catch (std::exception const& error)
{
    fmt::print(stderr, "echo_server: {}\n", error.what());
    return 1;
}
