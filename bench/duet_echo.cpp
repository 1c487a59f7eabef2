// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The README's echo server, with a port to choose, every deadline armed by --deadlines, --threads, and --pin, which
// keeps them on cores of their own. With --patient it holds a buffer only while there are bytes. --trace records the
// sessions: WHAT is memory, recorder (the last 64 events of each), file (to /dev/null), or unattached, which only makes
// the trace. It listens where all the others do, and not on every address.

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string_view>

#include <duet/duet.hpp>
#include <duet/trace.hpp>

namespace asio = boost::asio;

asio::awaitable<void> echo(duet::session peer)
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

asio::awaitable<bool> answer(duet::session& peer)
{
    std::array<char, 4096> buffer;
    std::size_t const size = co_await peer.read_some(asio::buffer(buffer));
    if (size > 0)
        co_await peer.write(asio::buffer(buffer, size));
    co_return size > 0;
}

duet::deadlines every_deadline()
{
    using std::chrono::seconds;
    return {.read = seconds{30},
        .write = seconds{30},
        .idle = seconds{60},
        .half_closed = seconds{30},
        .close = seconds{5},
        .close_total = seconds{30},
        .dead_peer = seconds{60},
        // Our echo frames with read_some and never says that a first message was complete: this one stays armed.
        .first_message = seconds{3600}};
}

duet::trace_options trace_options_of(std::string_view what)
{
    duet::trace_options result;
    if (what == "recorder")
        result.last_events = 64;
    else if (what == "file")
        result.file = "/dev/null";
    else
        result.most_events = 100'000'000;
    return result;
}

/// `traced`: see --trace; empty: there is no trace.
template <class Handler>
int serve(duet::server_options const& options, std::string_view traced, Handler handler)
{
    asio::io_context context;
    duet::server server{context, options, handler};
    std::optional<duet::trace> trace;
    if (!traced.empty())
        trace.emplace(trace_options_of(traced));
    if (trace && traced != "unattached")
        trace->attach(server);
    std::cout << "listening on " << server.local_endpoint() << std::endl;
    return duet::run(context, {.print = true}, server);
}

int main(int argc, char** argv)
{
    duet::server_options options{.address = "127.0.0.1"};
    bool patient = false;
    std::string_view traced;
    for (int i = 1; i < argc; ++i)
    {
        std::string_view const word = argv[i];
        if (word == "--deadlines")
            options.session.deadlines = every_deadline();
        else if (word == "--threads" && i + 1 < argc)
            options.threads = static_cast<std::size_t>(std::atoi(argv[++i]));
        else if (word == "--pin")
            options.pin_threads = true;
        else if (word == "--patient")
            patient = true;
        else if (word == "--trace" && i + 1 < argc)
            traced = argv[++i];
        else
            options.port = static_cast<std::uint16_t>(std::atoi(argv[i]));
    }
    return patient ? serve(options, traced, answer) : serve(options, traced, echo);
}
