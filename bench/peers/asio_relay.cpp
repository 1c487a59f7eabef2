// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A relay with Asio's coroutines, one for each direction, with a buffer of 16 KiB: asio_relay <port> <target port>

#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include <boost/asio.hpp>

using boost::asio::awaitable;
using boost::asio::co_spawn;
using boost::asio::detached;
using boost::asio::use_awaitable;
using boost::asio::ip::tcp;
namespace asio = boost::asio;

struct sockets
{
    tcp::socket client;
    tcp::socket server;
};

awaitable<void> carry(std::shared_ptr<sockets> both, tcp::socket& from, tcp::socket& to)
{
    std::array<char, 16384> data;
    boost::system::error_code error;
    for (;;)
    {
        std::size_t const size =
            co_await from.async_read_some(asio::buffer(data), asio::redirect_error(use_awaitable, error));
        if (error)
            break;
        co_await async_write(to, asio::buffer(data, size), asio::redirect_error(use_awaitable, error));
        if (error)
            break;
    }
    boost::system::error_code ignored;
    if (error == asio::error::eof)
        to.shutdown(tcp::socket::shutdown_send, ignored);
    else
    {
        both->client.close(ignored);
        both->server.close(ignored);
    }
}

awaitable<void> forward(tcp::socket client, tcp::endpoint target)
{
    auto const executor = client.get_executor();
    auto const both = std::make_shared<sockets>(sockets{std::move(client), tcp::socket{executor}});
    both->client.set_option(tcp::no_delay{true});
    co_await both->server.async_connect(target, use_awaitable);
    both->server.set_option(tcp::no_delay{true});
    co_spawn(executor, carry(both, both->client, both->server), detached);
    co_await carry(both, both->server, both->client);
}

awaitable<void> listen(tcp::acceptor& acceptor, tcp::endpoint target)
{
    for (;;)
    {
        tcp::socket client = co_await acceptor.async_accept(use_awaitable);
        co_spawn(acceptor.get_executor(), forward(std::move(client), target), detached);
    }
}

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    auto const loopback = [](char const* port) {
        return tcp::endpoint{asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(port))};
    };
    asio::io_context context{1};
    tcp::acceptor acceptor{context, loopback(argv[1])};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    co_spawn(context, listen(acceptor, loopback(argv[2])), detached);
    context.run();
}
