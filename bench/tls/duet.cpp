// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// PORT FILE [bulk]: an echo server, or that of ../bulk, with duet's TLS sessions. The file has certificate and key.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include <boost/asio.hpp>

#include <duet/tls.hpp>

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<void> echo(duet::tls_session& peer)
{
    std::array<char, 4096> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer, size));
    }
}

asio::awaitable<void> transfer(duet::tls_session& peer)
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

asio::awaitable<void> serve(tcp::socket socket, duet::tls_context context, bool bulk)
{
    try
    {
        duet::tls_session peer{duet::tls_stream{std::move(socket), context}};
        co_await duet::handshake(peer);
        if (bulk)
            co_await transfer(peer);
        else
            co_await echo(peer);
        co_await peer.close();
    }
    catch (std::exception const&)
    {
    }
}

asio::awaitable<void> listen(tcp::acceptor& acceptor, duet::tls_context context, bool bulk)
{
    auto const executor = co_await asio::this_coro::executor;
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        socket.set_option(tcp::no_delay{true});
        asio::co_spawn(executor, serve(std::move(socket), context, bulk), asio::detached);
    }
}

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    duet::tls_server_options options;
    options.identity.certificate.file = argv[2];
    auto const context = duet::tls_context::server(options);
    asio::io_context loop{1};
    tcp::acceptor acceptor{loop, {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::atoi(argv[1]))}};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    bool const bulk = argc > 3 && std::string_view{argv[3]} == "bulk";
    asio::co_spawn(loop, listen(acceptor, context, bulk), asio::detached);
    loop.run();
}
