// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/from_asio.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.from_asio
#include <duet/connector.hpp>

#include "support/coro.hpp"
#include "support/started.hpp"

#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <iostream>
#include <string>
#include <utility>

namespace asio = boost::asio;

namespace {

asio::awaitable<void> serve(asio::ip::tcp::socket socket)
{
    duet::session peer{std::move(socket)};
    std::string line;
    for (;;)
    {
        std::size_t const size = co_await peer.read_until(line, "\n", 4096);
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(line, size));
        line.erase(0, size);
    }
    co_await peer.close();
}

asio::awaitable<std::string> read_line(duet::session& peer)
{
    std::string line;
    std::size_t const size =
        co_await asio::async_read_until(peer, asio::dynamic_buffer(line, 4096), '\n', asio::use_awaitable);

    line.resize(size);
    co_return line;
}

void tell_end(duet::session& peer, std::array<char, 16>& buffer)
{
    peer.read_some(asio::buffer(buffer))(
        [](duet::error_code error, std::size_t size)
        {
            if (!error && size == 0)
                std::cout << "the peer has finished\n";
        });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_socket_becomes_a_session)
{
    asio::io_context context;
    asio::ip::tcp::acceptor listening{context, {asio::ip::address_v4::loopback(), 0}};
    std::array<char, 16> buffer{};
    duet_test::run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session client = co_await connector.connect(listening.local_endpoint());
            asio::ip::tcp::socket socket = co_await listening.async_accept(asio::use_awaitable);
            duet_test::started<void> served{context.get_executor(), serve(std::move(socket))};
            co_await client.write("hello\n");
            auto const line = co_await read_line(client);
            BOOST_TEST(line == "hello\n");
            co_await client.shutdown_send();
            tell_end(client, buffer);
            co_await served.result();
            auto const report = co_await client.close();
            BOOST_TEST(report.clean());
        }());
}
