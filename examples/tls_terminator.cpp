// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Speaks TLS with clients for a server that does not: each client is connected to the target in the clear, half-close
// included. A close_notify is passed on as a FIN while the answer still comes back, and a FIN as a close_notify.
// Try: python3 -m http.server 8000 & tls_terminator --to-port 8000 & curl --cacert cert.pem https://localhost:7778/

#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <duet/connector.hpp>
#include <duet/format.hpp>
#include <duet/relay.hpp>
#include <duet/run.hpp>
#include <duet/tls_server.hpp>

#include "options.hpp"

namespace asio = boost::asio;

struct target
{
    std::string host;
    std::string port;
    duet::relay_options relay;
};

asio::awaitable<void> forward(duet::tls_session client, target const& to)
{
    duet::connector connector{client.get_executor(), {.timeout = std::chrono::seconds{5}}};
    duet::session server = co_await connector.connect(to.host, to.port);
    duet::relay_report const report = co_await duet::relay(client, server, to.relay);
    fmt::print(stderr, "{}: {} bytes there, {} back; client {}, target {}\n", client.remote_endpoint(),
        report.forward.bytes, report.backward.bytes, report.first.reason, report.second.reason);
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Forwards what clients say over TLS to a server that speaks none.",
        {{"port", "7778", "where to listen; 0 chooses a port"}, {"to-host", "localhost", "where to connect to"},
            {"to-port", "8000", "its port"}, {"idle", "300", "seconds without a byte until a connection is reset"},
            {"certificate", "cert.pem", "its certificate, and those of the issuers in between"},
            {"key", "key.pem", "the key of the certificate"}}};
    target const to{
        options.text("to-host"), options.text("to-port"), {.idle = std::chrono::seconds{options.number("idle")}}};
    duet::tls_server_options identity;
    identity.identity = {{.file = options.text("certificate")}, {.file = options.text("key")}};
    identity.protocols = {"http/1.1"};  // most clients that come by TLS are browsers: no h2 here

    asio::io_context context;
    duet::server_options settings{.port = options.port()};
    settings.max_sessions = 300;
    settings.at_limit = duet::limit_policy::shed;
    settings.on_session_end = [](duet::session_end const& end)
    {
        if (end.failure)  // of the handshake, or nobody is there
            fmt::print(stderr, "{}: {}\n", end.peer, end.what());
    };
    duet::tls_server server{context, settings, duet::tls_context::server(identity),
        [&](duet::tls_session client) { return forward(std::move(client), to); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "tls_terminator: {}\n", error.what());
    return 1;
}
