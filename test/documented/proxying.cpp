// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/proxying.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.proxying
#include <duet/connector.hpp>
#include <duet/proxy_protocol.hpp>
#include <duet/relay.hpp>
#include <duet/server.hpp>

#include "support/coro.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> forward(duet::session client, std::string const& host, std::string const& port)
{
    duet::connector connector{client.get_executor(), {.timeout = 5s}};
    duet::session target = co_await connector.connect(host, port);
    duet::relay_report const report = co_await duet::relay(client, target);
    std::clog << client.remote_endpoint() << ": " << report.forward.bytes << " bytes there, " << report.backward.bytes
              << " back, " << (report.clean() ? "clean" : "not clean") << '\n';
}

asio::awaitable<duet::relay_report> relay_with_options(duet::session& client, duet::session& target)
{
    duet::relay_options options;
    options.idle = 5min;         // no byte in either direction
    options.half_closed = 1min;  // one side has finished, the other says nothing
    options.buffer_size = std::size_t{16} * 1024;
    duet::relay_report const report = co_await duet::relay(client, target, options);

    co_return report;
}

asio::awaitable<void> forward_after_the_head(duet::session client, std::string host, std::string port)
{
    std::string head;
    std::size_t const size = co_await client.read_until(head, "\r\n\r\n", 8192);

    duet::connector connector{client.get_executor()};
    duet::session target = co_await connector.connect(host, port);

    co_await target.write(std::string_view{head}.substr(size));  // what has come after the head
    co_await duet::relay(client, target);
}

duet::server_options behind_a_proxy()
{
    duet::proxy_options proxies;
    proxies.trusted = {"10.1.0.0/16", "unix"};  // who may say it, and has to
    proxies.timeout = 3s;                       // from the connection to the end of the header
    duet::server_options options{.port = 7777};
    options.proxy_protocol = proxies;
    return options;
}

[[maybe_unused]] asio::awaitable<void> forward_with_a_header(duet::session& client, duet::session& target)
{
    duet::proxy_header const header = duet::proxy_header_of(client);
    co_await duet::send_proxy_header(target, header);
    co_await duet::relay(client, target);
}

asio::awaitable<void> forward_with_options(duet::session client, std::string host, std::string port)
{
    duet::connector connector{client.get_executor()};
    duet::session target = co_await connector.connect(host, port);
    auto const report = co_await relay_with_options(client, target);
    BOOST_TEST(report.clean());
}

// The target: it answers after the end of what it is told.
asio::awaitable<void> answer(duet::session peer)
{
    std::string text = co_await peer.read_all(1000);
    text += '!';
    co_await peer.write(text);
}

template <class Forward>
std::string asked_through(Forward forward, std::string question)
{
    asio::io_context context;
    duet::server target{context, {.address = "127.0.0.1"}, answer};
    std::string const port = std::to_string(target.local_endpoint().port());
    std::string const host = "127.0.0.1";
    duet::server proxy{context, {.address = "127.0.0.1"},
        [&](duet::session client) { return forward(std::move(client), host, port); }};
    return duet_test::run(context,
        [&]() -> asio::awaitable<std::string>
        {
            duet::connector connector{context};
            duet::session peer = co_await connector.connect(proxy.local_endpoint());
            co_await peer.write(question);
            co_await peer.shutdown_send();
            std::string got = co_await peer.read_all(1000);
            auto const report = co_await peer.close();
            BOOST_TEST(report.clean());
            co_await proxy.drain(1min);
            co_await target.drain(1min);
            co_return got;
        }());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_half_close_goes_through)
{
    BOOST_TEST(asked_through(forward, "hello") == "hello!");
    BOOST_TEST(asked_through(forward_with_options, "hello") == "hello!");
}

BOOST_AUTO_TEST_CASE(what_was_read_ahead_is_passed_on)
{
    BOOST_TEST(asked_through(forward_after_the_head, "CONNECT\r\n\r\nhello") == "hello!");
}

BOOST_AUTO_TEST_CASE(a_server_behind_a_proxy_trusts_those_that_are_named)
{
    auto const options = behind_a_proxy();
    asio::ip::tcp::endpoint const inside{asio::ip::make_address("10.1.2.3"), 1};
    asio::ip::tcp::endpoint const outside{asio::ip::make_address("10.2.2.3"), 1};
    BOOST_TEST(options.proxy_protocol->trusted.contains(inside));
    BOOST_TEST(!options.proxy_protocol->trusted.contains(outside));
}
