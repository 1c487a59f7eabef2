// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Asio's own example of coroutines (example/cpp20/coroutines/echo_server.cpp), with TCP_NODELAY and a 4096-byte buffer.
// The second argument is the number of threads that run the io_context.

#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include <boost/asio.hpp>

using boost::asio::awaitable;
using boost::asio::co_spawn;
using boost::asio::detached;
using boost::asio::use_awaitable;
using boost::asio::ip::tcp;
namespace asio = boost::asio;

awaitable<void> echo(tcp::socket socket)
{
    try
    {
        char data[4096];
        for (;;)
        {
            std::size_t const n = co_await socket.async_read_some(asio::buffer(data), use_awaitable);
            co_await async_write(socket, asio::buffer(data, n), use_awaitable);
        }
    }
    catch (std::exception const&)  // the end of the connection, too
    {
    }
}

awaitable<void> listen(tcp::acceptor& acceptor)
{
    auto const executor = co_await asio::this_coro::executor;
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(asio::make_strand(executor), use_awaitable);
        socket.set_option(tcp::no_delay{true});
        auto const strand = socket.get_executor();
        co_spawn(strand, echo(std::move(socket)), detached);
    }
}

awaitable<void> listen_on_one_thread(tcp::acceptor& acceptor)
{
    auto const executor = co_await asio::this_coro::executor;
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
        socket.set_option(tcp::no_delay{true});
        co_spawn(executor, echo(std::move(socket)), detached);
    }
}

int main(int argc, char** argv)
{
    auto const port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 0);
    int const threads = argc > 2 ? std::atoi(argv[2]) : 1;
    asio::io_context context{threads};
    tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), port}};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    co_spawn(context, threads > 1 ? listen(acceptor) : listen_on_one_thread(acceptor), detached);
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i)
        others.emplace_back([&] { context.run(); });
    context.run();
}
