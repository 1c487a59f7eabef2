// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// examples/port_forwarder without its line of log per connection: HAProxy writes none here, either.

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <utility>

#include <duet/connector.hpp>
#include <duet/relay.hpp>
#include <duet/run.hpp>

namespace asio = boost::asio;

asio::awaitable<void> forward(duet::session client, duet::connector& connector, char const* port)
{
    duet::session server = co_await connector.connect("127.0.0.1", port);
    duet::relay_options const options{.idle = std::chrono::seconds{300}};
    co_await duet::relay(client, server, options);
}

int main(int argc, char** argv)
{
    if (argc != 3)
        return 2;
    asio::io_context context;
    auto const port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    duet::connector connector{context, {.timeout = std::chrono::seconds{5}}};
    duet::server server{context, {.port = port, .address = "127.0.0.1"},
        [&](duet::session client) { return forward(std::move(client), connector, argv[2]); }};
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, {.print = true}, server);
}
