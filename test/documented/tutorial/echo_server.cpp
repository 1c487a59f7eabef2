// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The program of README.md, and the first one of docs/en/guide/tutorial.md.

#include <duet/duet.hpp>

#include <array>

namespace asio = boost::asio;

asio::awaitable<void> echo(duet::session peer)
{
    std::array<char, 4096> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)  // the peer's FIN: it has said everything
            break;
        co_await peer.write(asio::buffer(buffer, size));
    }
}  // return: our FIN, then wait for the peer's

int main()
{
    asio::io_context context;
    duet::server server{context, {.port = 7777}, echo};
    return duet::run(context, server);  // SIGINT or SIGTERM: stop listening, drain, report
}
