// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// An echo over a Unix-domain socket: the same sessions, the same server and the same drain, on a path for an address.
// Try: unix_echo --listen & unix_echo hello world

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <duet/duet.hpp>
#include <duet/format.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> echo(duet::unix_session peer)
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

asio::awaitable<void> say(
    asio::io_context& context, asio::local::stream_protocol::endpoint server, std::vector<std::string> lines)
{
    duet::unix_connector connector{context, {.timeout = std::chrono::seconds{5}}};
    duet::unix_session peer = co_await connector.connect(server);
    for (auto& line : lines)
    {
        line += '\n';
        co_await peer.write(asio::buffer(line));
        // The echo is as long as what was said: read exactly that, and into its place.
        co_await peer.read(asio::buffer(line));
        fmt::print("{}", line);
    }
    duet::close_report const end = co_await peer.close();
    fmt::print(stderr, "closed: {}\n", end.reason);
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv,
        "Sends lines to a server on a Unix-domain socket, and prints their echo.",
        {{"listen", "", "be the server"}, {"path", "unix_echo.sock", "where the socket is"}}, "[LINE]..."};
    asio::local::stream_protocol::endpoint const endpoint{options.text("path")};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    asio::io_context context;
    if (options.flag("listen"))
    {
        // What a server listens on may be made beforehand: a path here, or a descriptor that systemd hands over.
        auto const settings = example::for_strangers(0);
        duet::acceptor_options listening;
        listening.session = settings.session;
        duet::unix_server server{context, duet::unix_acceptor{context, endpoint, listening}, settings, echo};
        fmt::print("listening on {}\n", server.local_endpoint().path());
        return duet::run(context, {.print = true}, server);  // its end removes the socket from the file system
    }
    auto said = asio::co_spawn(context, say(context, endpoint, options.arguments()), asio::use_future);
    context.run();
    said.get();  // throws what it has thrown
}
catch (std::exception const& error)
{
    fmt::print(stderr, "unix_echo: {}\n", error.what());
    return 1;
}
