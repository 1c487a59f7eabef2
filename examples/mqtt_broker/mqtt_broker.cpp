// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A broker for MQTT 3.1.1: clients publish messages on topics, and get those of the topics to which they have
// subscribed. docs/en/systems/mqtt_broker.md tells what it does and does not do.
// Try: mqtt_broker --port 1883 & mosquitto_sub -t 'house/#' -v & mosquitto_pub -t house/hall -m 21

#include <fmt/ostream.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <duet/format.hpp>
#include <duet/run.hpp>
#ifdef MQTT_BROKER_TLS
#include <duet/tls_server.hpp>
#endif

#include "../for_strangers.hpp"
#include "../options.hpp"
#include "broker.hpp"
#include "connection.hpp"

namespace asio = boost::asio;

example::options read_options(int argc, char** argv)
{
    return {argc, argv, "A broker for MQTT 3.1.1 over TCP, and over TLS.",
        {{"port", "1883", "where to listen; 0 chooses a port"},
#ifdef MQTT_BROKER_TLS
            {"tls-port", "8883", "where to listen for TLS, with a certificate; 0 chooses a port"},
            {"tls-cert", "none", "its certificate, and those of the issuers in between"},
            {"tls-key", "none", "the key of the certificate"},
#endif
            {"connections", "900", "how many at once, on each port: below the limit of descriptors"},
            {"clients", "20000", "of how many it knows something, also while they are away"},
            {"packet", "262144", "bytes of the largest packet"},
            {"output", "1048576", "bytes that may wait for one client before messages of QoS 0 are dropped"},
            {"queued", "10000", "messages of QoS 1 that may wait for one client"},
            {"subscriptions", "100", "of one client"},
            {"all-subscriptions", "100000", "of all clients, also of those that are away"},
            {"retained", "5000", "messages that are kept for who subscribes later, one for each topic"},
            {"retained-bytes", "4194304", "of their topics and payloads"},
            {"second", "1000", "milliseconds of a second, in keep-alives and deadlines: fewer for a test"}}};
}

mqtt::limits limits_of(example::options const& options)
{
    mqtt::limits result;
    result.clients = options.number("clients");
    result.packet = options.number("packet");
    result.late = 32 * result.packet;
    result.output = options.number("output");
    result.queued = options.number("queued");
    result.subscriptions = options.number("subscriptions");
    result.all_subscriptions = options.number("all-subscriptions");
    result.retained = options.number("retained");
    result.retained_bytes = options.number("retained-bytes");
    result.second = std::chrono::milliseconds{options.number("second")};
    return result;
}

duet::server_options settings_of(example::options const& options)
{
    auto settings = example::for_strangers(options.port(), std::chrono::milliseconds{options.number("second")});
    settings.max_sessions = options.number("connections");
    settings.session.deadlines.next_message = {};  // each client has a keep-alive of its own
    settings.on_session_end = [](duet::session_end const& end)
    {
        if (end.failure)
            fmt::print(stderr, "{}: {}\n", end.peer, end.what());
    };
    return settings;
}

void tell(char const* what, auto const& server)
{
    fmt::print("{} on {}\n", what, fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
}

int main(int argc, char** argv)
try
{
    auto const options = read_options(argc, argv);
    mqtt::broker broker{limits_of(options)};
    asio::io_context context;
    auto settings = settings_of(options);
    duet::server plain{
        context, settings, [&](duet::session peer) { return mqtt::serve<duet::session>(std::move(peer), broker); }};
#ifdef MQTT_BROKER_TLS
    if (options.text("tls-cert") != "none")
    {
        duet::tls_server_options identity;
        identity.identity = {{.file = options.text("tls-cert")}, {.file = options.text("tls-key")}};
        settings.port = static_cast<std::uint16_t>(options.number("tls-port"));
        duet::tls_server secret{context, settings, duet::tls_context::server(identity),
            [&](duet::tls_session peer) { return mqtt::serve<duet::tls_session>(std::move(peer), broker); }};
        tell("TLS", secret);
        tell("listening", plain);
        return duet::run(context, {.print = true}, plain, secret);
    }
#endif
    tell("listening", plain);
    return duet::run(context, {.print = true}, plain);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "mqtt_broker: {}\n", error.what());
    return 1;
}
