// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// As posix.c, with Asio's coroutines.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

#include <boost/asio.hpp>

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

awaitable<void> serve(tcp::socket socket)
{
    try
    {
        std::vector<char> buffer(65536);
        std::uint64_t left = 0;
        co_await asio::async_read(socket, asio::buffer(&left, sizeof left), use_awaitable);
        while (left > 0)
        {
            std::size_t const size = std::min<std::uint64_t>(buffer.size(), left);
            co_await asio::async_write(socket, asio::buffer(buffer, size), use_awaitable);
            left -= size;
        }
        std::uint64_t taken = 0;
        for (;;)
        {
            auto const [error, size] =
                co_await socket.async_read_some(asio::buffer(buffer), asio::as_tuple(use_awaitable));
            taken += size;
            if (error == asio::error::eof)
                break;
            if (error)
                co_return;
        }
        co_await asio::async_write(socket, asio::buffer(&taken, sizeof taken), use_awaitable);
    }
    catch (std::exception const&)
    {
    }
}

awaitable<void> listen(tcp::acceptor& acceptor)
{
    auto const executor = co_await asio::this_coro::executor;
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
        socket.set_option(tcp::no_delay{true});
        asio::co_spawn(executor, serve(std::move(socket)), asio::detached);
    }
}

int main(int argc, char** argv)
{
    asio::io_context context{1};
    auto const port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0);
    tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), port}};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    asio::co_spawn(context, listen(acceptor), asio::detached);
    context.run();
}
