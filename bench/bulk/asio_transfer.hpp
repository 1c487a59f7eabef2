// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BENCH_BULK_ASIO_TRANSFER_HPP
#define DUET_BENCH_BULK_ASIO_TRANSFER_HPP

#include <boost/asio.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

namespace asio = boost::asio;

/// As posix.c, on any stream of Asio's.
template <class Stream>
asio::awaitable<void> transfer(Stream& peer)
{
    std::vector<char> buffer(65536);
    std::uint64_t left = 0;
    co_await asio::async_read(peer, asio::buffer(&left, sizeof left), asio::use_awaitable);
    while (left > 0)
    {
        std::size_t const size = std::min<std::uint64_t>(buffer.size(), left);
        co_await asio::async_write(peer, asio::buffer(buffer, size), asio::use_awaitable);
        left -= size;
    }
    std::uint64_t taken = 0;
    for (;;)
    {
        auto const told = co_await peer.async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
        taken += std::get<1>(told);
        if (std::get<0>(told) == asio::error::eof)
            break;
        if (std::get<0>(told))
            co_return;
    }
    co_await asio::async_write(peer, asio::buffer(&taken, sizeof taken), asio::use_awaitable);
}

#endif
