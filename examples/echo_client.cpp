// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends its input, half-closes, and prints what comes back up to the server's FIN. However long the input is: it reads
// while it writes.
// Try: echo_server & echo_client < /etc/services

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include <duet/connector.hpp>
#include <duet/format.hpp>

#include "options.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<duet::close_report> converse(
    asio::io_context& context, std::string host, std::string port, std::string input)
{
    duet::connector connector{context, {.timeout = 5s, .session = {.deadlines = {.idle = 1min}}}};
    duet::session peer = co_await connector.connect(host, port);

    // Both are begun and not awaited. To wait for them here could be for ever: a server with nobody to read its answers
    // stops reading, too. The FIN keeps behind the last byte, and should they fail, the reading below fails as well.
    peer.write(asio::buffer(input))(asio::detached);
    peer.shutdown_send()(asio::detached);

    std::array<char, 16384> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)  // the server's FIN: it has said everything
            break;
        fmt::print("{}", std::string_view{buffer.data(), size});
    }
    duet::close_report const end = co_await peer.close();
    co_return end;
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv,
        "Sends its arguments, or else its standard input, and prints the answer.",
        {{"host", "localhost", "the server"}, {"port", "7777", "its port"}}, "[WORD]..."};
    std::string input;
    for (auto const& word : options.arguments())
        input += word + '\n';
    if (input.empty())
        input.assign(std::istreambuf_iterator<char>{std::cin}, {});

    asio::io_context context;
    auto conversation = asio::co_spawn(
        context, converse(context, options.text("host"), options.text("port"), std::move(input)), asio::use_future);
    context.run();
    duet::close_report const end = conversation.get();  // throws what it has thrown

    fmt::print(stderr, "{}\n", end);
    if (std::fflush(stdout) != 0)
        throw std::runtime_error{"standard output failed"};
    return end.clean() ? 0 : 1;  // a reset after the last byte, say, is no success: was that the whole answer?
}
catch (std::exception const& error)
{
    fmt::print(stderr, "echo_client: {}\n", error.what());
    return 1;
}
