// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server that tells Prometheus how it is: `GET /metrics` has what it counts of its sessions and of the kernel's queue
// of clients, and a counter of its own; `GET /ready` is for a load balancer.
// Try: metrics --port 7000 --metrics-port 7001 & echo hello | nc -N localhost 7000; curl localhost:7001/metrics

#include <fmt/ostream.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <duet/line_reader.hpp>
#include <duet/prometheus.hpp>
#include <duet/run.hpp>
#include <duet/server.hpp>

#include "../for_strangers.hpp"
#include "../options.hpp"
#include "http_pages.hpp"

namespace asio = boost::asio;

// Answers each line with its length.
asio::awaitable<void> answer(duet::session peer, std::uint64_t& lines_answered)
{
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        std::string const reply = fmt::format("{}\n", line->size());
        co_await peer.write(reply);
        ++lines_answered;
    }
}

// Who looks at the metrics has a limit of its own: a crowd of clients keeps no observer out.
duet::server_options for_observers(std::uint16_t port)
{
    auto result = example::for_strangers(port);
    result.max_sessions = 20;
    return result;
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Answers lines with their length, and tells Prometheus how it is.",
        {{"port", "7777", "where to listen; 0 chooses a port"},
            {"metrics-port", "7778", "where GET /metrics is answered; 0 chooses a port"}}};

    asio::io_context context;
    std::uint64_t lines_answered = 0;
    duet::server_metrics const clients{"lines"};
    duet::server server{context, clients.watch(example::for_strangers(options.port())),
        [&](duet::session peer) { return answer(std::move(peer), lines_answered); }};

    auto const find = [&](std::string_view path) -> std::optional<example::http_page>
    {
        if (path == "/ready")
            return example::http_page{.status = server.ready() ? 200 : 503, .body = server.ready() ? "yes\n" : "no\n"};
        if (path != "/metrics")
            return std::nullopt;
        duet::prometheus_page page;
        page.add(clients.sample(server));
        page.counter("lines_answered_total", "Lines answered.", static_cast<double>(lines_answered));
        return example::http_page{
            .content_type = std::string{duet::prometheus_page::content_type}, .body = page.text()};
    };
    duet::server metrics{context, for_observers(options.port("metrics-port")),
        [&](duet::session peer) { return example::serve_pages(std::move(peer), find); }};

    fmt::print("listening on {}\nmetrics on {}\n", fmt::streamed(server.local_endpoint()),
        fmt::streamed(metrics.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server, metrics);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "metrics: {}\n", error.what());
    return 1;
}
