// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// PORT FILE [bulk]: an echo server, or that of ../bulk, with duet's TLS server. The file has certificate and key.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>

#include <duet/run.hpp>
#include <duet/tls_server.hpp>

#include "../bulk/transfer.hpp"

asio::awaitable<void> echo(duet::tls_session peer)
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

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    duet::tls_server_options identity;
    identity.identity.certificate.file = argv[2];
    duet::server_options options{.address = "127.0.0.1"};
    options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    bool const bulk = argc > 3 && std::string_view{argv[3]} == "bulk";
    asio::io_context context;
    duet::tls_server server{
        context, options, duet::tls_context::server(identity), bulk ? transfer<duet::tls_session> : echo};
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, server);
}
