// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// As posix.c, with duet.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

#include <duet/duet.hpp>

namespace asio = boost::asio;

asio::awaitable<void> serve(duet::session peer)
{
    std::vector<char> buffer(65536);
    std::uint64_t left = 0;
    co_await peer.read(asio::buffer(&left, sizeof left));
    while (left > 0)
    {
        std::size_t const size = std::min<std::uint64_t>(buffer.size(), left);
        co_await peer.write(asio::buffer(buffer, size));
        left -= size;
    }
    std::uint64_t taken = 0;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        taken += size;
    }
    co_await peer.write(asio::buffer(&taken, sizeof taken));
}

int main(int argc, char** argv)
{
    asio::io_context context;
    auto const port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
    duet::server server{context, {.port = port, .address = "127.0.0.1"}, serve};
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, server);
}
