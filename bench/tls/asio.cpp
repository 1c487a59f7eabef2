// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// As duet.cpp, with asio::ssl::stream over a socket of Asio.

#include <array>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string_view>
#include <utility>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include "../bulk/asio_transfer.hpp"

using asio::use_awaitable;
using asio::ip::tcp;
using peer_stream = asio::ssl::stream<tcp::socket>;

asio::awaitable<void> echo(peer_stream& peer)
{
    std::array<char, 4096> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.async_read_some(asio::buffer(buffer), use_awaitable);
        co_await asio::async_write(peer, asio::buffer(buffer, size), use_awaitable);
    }
}

asio::awaitable<void> serve(tcp::socket socket, asio::ssl::context& context, bool bulk)
{
    try
    {
        peer_stream peer{std::move(socket), context};
        co_await peer.async_handshake(asio::ssl::stream_base::server, use_awaitable);
        if (bulk)
            co_await transfer(peer);
        else
            co_await echo(peer);
    }
    catch (std::exception const&)  // the end of the connection, too
    {
    }
}

asio::awaitable<void> listen(tcp::acceptor& acceptor, asio::ssl::context& context, bool bulk)
{
    auto const executor = co_await asio::this_coro::executor;
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
        socket.set_option(tcp::no_delay{true});
        asio::co_spawn(executor, serve(std::move(socket), context, bulk), asio::detached);
    }
}

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    asio::ssl::context context{asio::ssl::context::tls_server};
    context.use_certificate_chain_file(argv[2]);
    context.use_private_key_file(argv[2], asio::ssl::context::pem);
    asio::io_context loop{1};
    tcp::acceptor acceptor{loop, {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(argv[1]))}};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    bool const bulk = argc > 3 && std::string_view{argv[3]} == "bulk";
    asio::co_spawn(loop, listen(acceptor, context, bulk), asio::detached);
    loop.run();
}
