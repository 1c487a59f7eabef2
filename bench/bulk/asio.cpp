// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// As posix.c, with Asio's coroutines.

#include <cstdlib>
#include <exception>
#include <iostream>
#include <utility>

#include <boost/asio.hpp>

#include "asio_transfer.hpp"

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

awaitable<void> serve(tcp::socket socket)
{
    try
    {
        co_await transfer(socket);
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
