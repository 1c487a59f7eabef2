// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server for strangers: a recommended set of deadlines and limits. Without them a client that connects and says
// nothing, that sends a byte a second, or that never reads its answers keeps its session, and in the end there are no
// descriptors left for honest ones. Try: guarded_server --port 7000 & nc localhost 7000

#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include <duet/format.hpp>
#include <duet/run.hpp>

#include "options.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

duet::server_options for_strangers(std::chrono::milliseconds unit)
{
    duet::server_options options;
    // Below the limit of descriptors (ulimit -n): beyond it a client is told at once that it is one too many.
    options.max_sessions = 10'000;
    options.at_limit = duet::limit_policy::shed;

    auto& deadlines = options.session.deadlines;
    deadlines.first_message = 10 * unit;  // from the connection to the end of the first request, however it drips
    deadlines.message = 30 * unit;        // from the first byte of a request to its end
    deadlines.next_message = 60 * unit;   // silent between requests: the session ends gracefully
    deadlines.write = 20 * unit;          // takes nothing of an answer; a slow reader is not meant
    return options;
}

// Answers each line with its length.
asio::awaitable<void> answer(duet::session peer)
{
    std::string input;
    for (;;)
    {
        std::size_t const size = co_await peer.read_until(input, "\n", 4096);
        if (size == 0)
            break;
        std::string const reply = fmt::format("{}\n", size - 1);
        co_await peer.write(asio::buffer(reply));
        input.erase(0, size);
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Answers lines with their length, and ends clients that hold it up.",
        {{"port", "7777", "where to listen; 0 chooses a port"},
            {"unit", "1000", "milliseconds in which the deadlines are counted"}}};
    auto settings = for_strangers(std::chrono::milliseconds{options.number("unit")});
    settings.port = options.port();
    settings.on_session_end = [](duet::session_end const& end)
    {
        fmt::print("{}: {}{}{}\n", end.peer, end.report.reason, end.failure ? ", " : "", end.what());
        std::fflush(stdout);
    };
    asio::io_context context;
    duet::server server{context, settings, answer};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "guarded_server: {}\n", error.what());
    return 1;
}
