// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <duet/connector.hpp>
#include <duet/endpoint.hpp>
#include <duet/relay.hpp>
#include <duet/run.hpp>
#include <duet/server.hpp>
#include <duet/trace.hpp>

#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"

namespace asio = boost::asio;

namespace tool {
namespace {

struct proxy_settings
{
    address target;
    output out;
};

/// "talk.html", then "talk-2.html".
std::string file_of(std::string const& file, std::size_t number)
{
    if (file.empty() || number == 1)
        return file;
    auto const dot = file.rfind('.');
    return file.substr(0, dot) + '-' + std::to_string(number) + file.substr(dot);
}

/// Draw both connections of one conversation: the client's, and the one to the server.
void show(duet::trace_log const& log, proxy_settings const& settings, std::size_t number)
{
    for (auto const& each : log.sessions)
    {
        output out = settings.out;
        out.picture.title = each.client ? "proxy to server " + each.remote : "client " + each.remote + " to proxy";
        if (!out.file.empty())
        {
            // A file has one picture: that of the connection to the server, if there is one, tells both.
            if (&each != &log.sessions.back())
                continue;
            out.file = file_of(out.file, number);
        }
        out.write(log, each.number);
        if (!out.file.empty())
            std::cout << out.file << '\n' << std::flush;
    }
}

asio::awaitable<void> pass_on(duet::session client, proxy_settings const& settings, duet::trace& trace)
{
    trace.attach(client, "client");
    duet::connector connector{client.get_executor(), {.timeout = std::chrono::seconds{10}}};
    trace.attach(connector);
    duet::session server = co_await connector.connect(settings.target.host, settings.target.port);
    co_await duet::relay(client, server, {.idle = std::chrono::minutes{10}});
}

asio::awaitable<void> serve(duet::session client, proxy_settings const& settings, std::size_t number)
{
    // One trace for each conversation: what has been shown takes no memory any more.
    duet::trace trace{{.program = "duet-trace proxy", .most_events = 200'000}};
    std::exception_ptr failure;
    try
    {
        co_await pass_on(std::move(client), settings, trace);
    }
    catch (...)
    {
        failure = std::current_exception();
    }
    // Its session was destroyed with the coroutine that failed; what it was reset with is in the trace, too.
    try
    {
        show(trace.log(), settings, number);
    }
    catch (std::exception const& error)
    {
        std::cerr << "duet-trace: " << error.what() << '\n';
    }
    if (failure)
        std::rethrow_exception(failure);
}

}  // namespace

int proxy(std::vector<std::string> const& words)
{
    arguments const given{words, {"listen", "connect", "out", "format", "width"}, {"once"}};
    if (!given.rest().empty() || !given.has("listen") || !given.has("connect"))
        throw usage_error{"proxy needs --listen [HOST:]PORT and --connect HOST:PORT"};
    auto const listen = parse_address(given.text("listen"), "127.0.0.1");
    proxy_settings settings{parse_address(given.text("connect"), "localhost"), {}};
    settings.out.file = given.text("out");
    if (!settings.out.file.empty())
        settings.out.format = format_of(settings.out.file);
    if (given.has("format"))
        settings.out.format = format_named(given.text("format"));
    settings.out.width = given.number("width", 0, 48, 1000);

    asio::io_context context;
    duet::server_options options;
    options.address = listen.host;
    options.port = port_number(listen.port);
    options.max_sessions = 100;
    options.on_session_end = [&](duet::session_end const& end)
    {
        if (end.failure)
            std::cerr << "duet-trace: " << end.peer << ": " << end.what() << '\n';
        if (given.has("once"))
            context.stop();
    };
    std::size_t conversations = 0;
    duet::server server{context, options,
        [&](duet::session client) { return serve(std::move(client), settings, ++conversations); }};
    std::cout << "listening on " << duet::to_string(server.local_endpoint()) << std::endl;
    auto const report = duet::run(context, server);
    return given.has("once") ? 0 : static_cast<int>(report);
}

}  // namespace tool
