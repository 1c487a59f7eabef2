// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BENCH_BULK_TRANSFER_HPP
#define DUET_BENCH_BULK_TRANSFER_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace asio = boost::asio;

/// As posix.c, on any session of duet's.
template <class Session>
asio::awaitable<void> transfer(Session peer)
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

#endif
