// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A TCP port forwarder: each client is connected to the target, and what the one says, the other hears, half-close
// included: a FIN is passed on as a FIN while the answer still comes back, a reset as a reset.
// With --accept-proxy and --send-proxy it takes and passes on who the client is, by the PROXY protocol. Each connection
// that has ended leaves a line in the log, which is standard error; with --quiet it does not. Try: python3 -m
// http.server 8000 & port_forwarder --port 7777 --to-port 8000 & curl http://localhost:7777/

#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <duet/connector.hpp>
#include <duet/format.hpp>
#include <duet/proxy_protocol.hpp>
#include <duet/relay.hpp>
#include <duet/run.hpp>

#include "options.hpp"

namespace asio = boost::asio;

struct target
{
    std::string host;
    std::string port;
    duet::relay_options relay;
    std::optional<duet::proxy_version> tells_client;  // sends a PROXY header first
    bool quiet;
};

/// One write(2), so that lines of several programs, or threads, that share a log do not mix: stderr has no buffer.
void log(duet::session const& client, duet::relay_report const& report)
{
    std::string const line =
        fmt::format("{}: {} bytes there, {} back; client {}, target {}\n", client.remote_endpoint(),
            report.forward.bytes, report.backward.bytes, report.first.reason, report.second.reason);
    std::fwrite(line.data(), 1, line.size(), stderr);
}

asio::awaitable<void> forward(duet::session client, duet::connector& connector, target const& to)
{
    // Throws when nobody is there: the client is reset then, as it would be by the target's host.
    duet::session server = co_await connector.connect(to.host, to.port);
    if (to.tells_client)
    {
        duet::proxy_header const header = duet::proxy_header_of(client, *to.tells_client);
        co_await duet::send_proxy_header(server, header);
    }
    duet::relay_report const report = co_await duet::relay(client, server, to.relay);
    if (!to.quiet)
        log(client, report);
}

std::optional<duet::proxy_version> version_of(std::string const& text)
{
    if (text == "no")
        return {};
    if (text == "v1" || text == "v2")
        return text == "v1" ? duet::proxy_version::v1 : duet::proxy_version::v2;
    throw std::invalid_argument{"--send-proxy cannot be '" + text + "'"};
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Forwards TCP connections to another host and port.",
        {{"port", "7777", "where to listen; 0 chooses a port"},
            {"address", "any", "on which address: 127.0.0.1 takes clients of this host alone"},
            {"to-host", "localhost", "where to connect to"}, {"to-port", "8000", "its port"},
            {"idle", "300", "seconds without a byte until a connection is reset"},
            {"accept-proxy", "nobody", "a network (10.0.0.0/8): its connections must begin with a PROXY header"},
            {"send-proxy", "no", "v1 or v2: begin each connection to the target with a PROXY header"},
            {"quiet", "", "no line in the log for each connection"}}};
    target const to{options.text("to-host"), options.text("to-port"),
        {.idle = std::chrono::seconds{options.number("idle")}}, version_of(options.text("send-proxy")),
        options.flag("quiet")};
    asio::io_context context;
    duet::server_options settings{.port = options.port()};
    if (auto const& address = options.text("address"); address != "any")
        settings.address = address;
    settings.max_sessions = 150;  // each has up to six descriptors: two sockets, and two pipes for its bytes
    settings.at_limit = duet::limit_policy::shed;
    if (auto const& network = options.text("accept-proxy"); network != "nobody")
        settings.proxy_protocol = duet::proxy_options{.trusted = {network}};
    duet::connector connector{context, {.timeout = std::chrono::seconds{5}}};
    duet::server server{
        context, settings, [&](duet::session client) { return forward(std::move(client), connector, to); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "port_forwarder: {}\n", error.what());
    return 1;
}
