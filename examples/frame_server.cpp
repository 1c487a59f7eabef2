// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends back each message that it receives, behind its size in four bytes, as many protocols have it. Messages that
// came together are answered together, by one call of the system. Try: frame_server --port 7000 & printf
// '\0\0\0\5hello\0\0\0\2hi' | nc -N localhost 7000 | od -c

#include <fmt/ostream.h>

#include <cstdio>
#include <exception>

#include <duet/framing.hpp>
#include <duet/run.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> answer(duet::session peer)
{
    duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, 1024 * 1024};
    for (;;)
    {
        auto const message = co_await messages.next();
        if (!message)
            break;  // the client has finished, or the server drains; no message is lost
        messages.put(*message);
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Sends back each message, behind its size in four bytes.",
        {{"port", "7777", "where to listen; 0 chooses a port"}}};
    asio::io_context context;
    duet::server server{context, example::for_strangers(options.port()), answer};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "frame_server: {}\n", error.what());
    return 1;
}
