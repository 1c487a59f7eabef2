// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server for strangers, with the recommended deadlines and limits of for_strangers.hpp: it ends clients that hold it
// up, and tells of each session how it ended. Try: guarded_server --port 7000 & nc localhost 7000

#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include <duet/format.hpp>
#include <duet/line_reader.hpp>
#include <duet/run.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

// Answers each line with its length.
asio::awaitable<void> answer(duet::session peer)
{
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        std::string const reply = fmt::format("{}\n", line->size());
        co_await peer.write(reply);
        peer.set_note(std::string{line->substr(0, 40)});  // the last line, for the log
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Answers lines with their length, and ends clients that hold it up.",
        {{"port", "7777", "where to listen; 0 chooses a port"},
            {"unit", "1000", "milliseconds in which the deadlines are counted"},
            {"sessions", "900", "the most clients at once"}}};
    auto settings = example::for_strangers(options.port(), std::chrono::milliseconds{options.number("unit")});
    settings.max_sessions = options.number("sessions");
    settings.on_session_end = [](duet::session_end const& end)
    {
        fmt::print("{}\n", end);  // who, how long, what was asked, why it ended, how many bytes
        std::fflush(stdout);
    };
    asio::io_context context;
    duet::server server{context, settings, answer};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    int const status = duet::run(context, {.print = true}, server);
    fmt::print("{}\n", server.counters());
    return status;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "guarded_server: {}\n", error.what());
    return 1;
}
