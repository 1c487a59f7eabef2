// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <sstream>
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
#include "capture.hpp"
#include "commands.hpp"
#include "live.hpp"
#include "output.hpp"
#include "printer.hpp"

namespace asio = boost::asio;

namespace tool {
namespace {

struct proxy_settings
{
    address target;
    output out;
    bool live = true;
    bool pictures = false;         // on standard output
    capture* segments = nullptr;  // or null: they are inferred
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
void draw(duet::trace_log const& log, proxy_settings const& settings, std::size_t number, printer& printer)
{
    output out = settings.out;
    if (!out.file.empty() && !log.sessions.empty())
    {
        // A file has one picture: that of the connection to the server, if there is one, tells both.
        auto const& last = log.sessions.back();
        out.picture.title = title_of(last);
        out.file = file_of(out.file, number);
        out.write(log, last.number);
        printer.say(out.file + '\n');
    }
    if (!settings.pictures)
        return;
    for (auto const& each : log.sessions)
    {
        out.picture.title = title_of(each);
        std::ostringstream text;
        out.write(text, log, each.number);
        printer.say(text.str());
    }
}

/// 0: it is the name of a service.
std::uint16_t known_port(std::string const& port)
{
    bool const is_number = port.find_first_not_of("0123456789") == port.npos;
    return is_number ? port_number(port) : std::uint16_t{0};
}

asio::awaitable<void> pass_on(duet::session client, proxy_settings const& settings, duet::trace& trace)
{
    trace.attach(client, "proxy");
    duet::connector connector{client.get_executor(), {.timeout = std::chrono::seconds{10}}};
    trace.attach(connector);
    duet::session server = co_await connector.connect(settings.target.host, settings.target.port);
    co_await duet::relay(client, server, {.idle = std::chrono::minutes{10}});
}

asio::awaitable<void> serve(
    duet::session client, proxy_settings const& settings, std::size_t number, printer& printer)
{
    std::shared_ptr<live_view> live;
    if (settings.live)
    {
        live_style const style{settings.out.width != 0 ? settings.out.width : columns(),
            settings.out.format != format::text, on_terminal()};
        live = std::make_shared<live_view>(client.get_executor(), printer, style, number);
    }
    // One trace for each conversation: what has been shown takes no memory any more.
    duet::trace_options options;
    options.program = "duet-trace proxy";
    options.most_events = 200'000;
    if (live)
        options.on_event = [view = live.get()] { view->wake(); };
    duet::trace trace{std::move(options)};
    if (live)
        live->follow(trace);
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
        if (live)
            live->finish();
        auto log = trace.log();
        if (settings.segments != nullptr)
            settings.segments->merge_into(log);
        draw(log, settings, number, printer);
    }
    catch (std::exception const& error)
    {
        printer.complain(error.what());
    }
    if (failure)
        std::rethrow_exception(failure);
}

}  // namespace

int proxy(std::vector<std::string> const& words)
{
    arguments const given{words, {"listen", "connect", "out", "format", "width"}, {"once", "quiet", "tap"}};
    if (!given.rest().empty() || !given.has("listen") || !given.has("connect"))
        throw usage_error{"proxy needs --listen [HOST:]PORT and --connect HOST:PORT"};
    auto const listen = parse_address(given.text("listen"), "127.0.0.1");
    proxy_settings settings{parse_address(given.text("connect"), "localhost"), {}};
    // What is asked for in a format stays by itself.
    settings.live = !given.has("quiet") && (given.has("out") || !given.has("format"));
    settings.pictures = !settings.live && !given.has("out");
    settings.out.file = given.text("out");
    if (!settings.out.file.empty())
        settings.out.format = format_of(settings.out.file);
    if (given.has("format"))
        settings.out.format = format_named(given.text("format"));
    settings.out.width = given.number("width", 0, 48, 1000);

    printer printer;
    asio::io_context context;
    duet::server_options options;
    options.address = listen.host;
    options.port = port_number(listen.port);
    options.max_sessions = 100;
    options.on_session_end = [&](duet::session_end const& end)
    {
        if (end.failure)
            printer.complain(end.peer + ": " + end.what());
        if (given.has("once"))
            context.stop();
    };
    auto const target_port = known_port(settings.target.port);
    std::optional<capture> segments;
    if (given.has("tap"))
    {
        // Before anybody can connect.
        bool const known = options.port != 0 && target_port != 0;
        segments.emplace(known ? std::vector{options.port, target_port} : std::vector<std::uint16_t>{});
        settings.segments = &*segments;
    }
    std::size_t conversations = 0;
    duet::server server{context, options,
        [&](duet::session client) { return serve(std::move(client), settings, ++conversations, printer); }};
    if (segments && target_port != 0)
        segments->keep({server.local_endpoint().port(), target_port});
    printer.say("listening on " + duet::to_string(server.local_endpoint()) + '\n');
    auto const report = duet::run(context, server);
    auto const status = given.has("once") ? 0 : static_cast<int>(report);
    return printer.finish() ? status : 1;
}

}  // namespace tool
