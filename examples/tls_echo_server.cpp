// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The echo server over TLS, and in the clear beside it, with one handler: a template. SIGHUP makes it read its
// certificate again.
// Try: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem
//          -subj /CN=localhost -addext subjectAltName=DNS:localhost
//      tls_echo_server & echo hello | openssl s_client -quiet -no_ign_eof -CAfile cert.pem -connect localhost:7778

#include <boost/asio/signal_set.hpp>

#include <fmt/ostream.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <exception>

#include <duet/format.hpp>
#include <duet/run.hpp>
#include <duet/tls_server.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

template <class Session>
asio::awaitable<void> echo(Session peer)
{
    std::array<char, 4096> buffer;
    for (;;)
    {
        std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)  // the peer's close_notify, or in the clear its FIN
            break;
        co_await peer.write(asio::buffer(buffer, size));
    }
}  // return: our close_notify and FIN, then wait for the peer's

void read_again_on_signal(asio::signal_set& signals, duet::tls_context const& tls, duet::tls_server_options const& from)
{
    signals.async_wait(
        [&](boost::system::error_code const& error, int)
        {
            if (error)
                return;
            try
            {
                tls.replace(from);  // for later handshakes; who is connected is not disturbed
                fmt::print(stderr, "has read its certificate again\n");
            }
            catch (std::exception const& failure)
            {
                fmt::print(stderr, "keeps its certificate: {}\n", failure.what());
            }
            read_again_on_signal(signals, tls, from);
        });
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Sends back whatever it receives, over TLS and in the clear.",
        {{"port", "7778", "where to listen for TLS; 0 chooses a port"},
            {"plain-port", "0", "where to listen without TLS; 0 chooses a port"},
            {"certificate", "cert.pem", "its certificate, and those of the issuers in between"},
            {"key", "key.pem", "the key of the certificate"},
            {"clients", "anybody", "a file with authorities: clients need a certificate of one of them"}}};
    duet::tls_server_options identity;
    identity.identity = {{.file = options.text("certificate")}, {.file = options.text("key")}};
    if (auto const& authorities = options.text("clients"); authorities != "anybody")
    {
        identity.clients = duet::client_certificates::required;
        identity.client_authorities.file = authorities;
    }
    auto const tls = duet::tls_context::server(identity);

    auto settings = example::for_strangers(options.port());
    settings.on_session_end = [](duet::session_end const& end)
    {
        if (end.failure)
            fmt::print(stderr, "{}: {}\n", end.peer, end.what());
    };
    asio::io_context context;
    duet::tls_server server{context, settings, tls, echo<duet::tls_session>};
    settings.port = static_cast<std::uint16_t>(options.number("plain-port"));
    duet::server plain{context, settings, echo<duet::session>};
    asio::signal_set signals{context, SIGHUP};
    read_again_on_signal(signals, tls, identity);
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    fmt::print("in the clear on {}\n", fmt::streamed(plain.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server, plain);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "tls_echo_server: {}\n", error.what());
    return 1;
}
