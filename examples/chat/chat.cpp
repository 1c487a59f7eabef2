// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A chat for nc: rooms, names, who is there, and what was said. docs/en/systems/chat.md tells how it is used, and what
// happens to members that vanish, or do not read.
// Try: chat --port 7000 & nc localhost 7000, in two terminals

#include <fmt/ostream.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <utility>

#include <duet/format.hpp>
#include <duet/run.hpp>

#include "../for_strangers.hpp"
#include "../options.hpp"
#include "conversation.hpp"

namespace asio = boost::asio;

namespace {

example::options read_options(int argc, char** argv)
{
    return {argc, argv, "A chat with rooms. The first line is your name; then /join ROOM, /names, /history, /quit.",
        {{"port", "7777", "where to listen; 0 chooses a port"}, {"threads", "2", "how many threads serve"},
            {"sessions", "900", "how many at once: below the limit of descriptors"},
            {"rooms", "100", "how many, with those that are empty and remembered"},
            {"history", "50", "messages that a room remembers"},
            {"queue", "262144", "bytes that may wait for one member; one more ends its session"},
            {"pace", "5", "lines a second that one member may say, after the first 20"},
            {"unit", "1000", "milliseconds in which the deadlines are counted"}}};
}

chat::limits limits_of(example::options const& options)
{
    chat::limits result;
    result.rooms = std::max<std::size_t>(options.number("rooms"), 1);
    result.history = options.number("history");
    result.pace =
        std::chrono::nanoseconds{std::chrono::seconds{1}} / std::max<std::uint32_t>(options.number("pace"), 1);
    result.to_name = std::chrono::milliseconds{options.number("unit")} * 30;
    return result;
}

duet::server_options settings_of(example::options const& options)
{
    std::chrono::milliseconds const unit{options.number("unit")};
    auto settings = example::for_strangers(options.port(), unit);
    settings.threads = options.number("threads");
    settings.max_sessions = options.number("sessions");
    auto& deadlines = settings.session.deadlines;
    deadlines.first_message = {};     // the handler waits for a name, and no longer than limits::to_name
    deadlines.next_message = {};      // who listens may be silent
    deadlines.dead_peer = 20 * unit;  // but not its network, for so long, or twice if it was sent something
    settings.session.queue_limit = options.number("queue");
    settings.session.when_queue_full = duet::full_queue::abort;
    settings.session.send_buffer_size = 64 * 1024;  // what the kernel keeps for a member that does not read
    settings.on_session_end = [](duet::session_end const& end)
    {
        if (end.failure)
            fmt::print(stderr, "{} {}: {}\n", end.peer, end.note.empty() ? "without a name" : end.note, end.what());
    };
    return settings;
}

}  // namespace

int main(int argc, char** argv)
try
{
    auto const options = read_options(argc, argv);
    chat::hall all{limits_of(options)};
    asio::io_context context;
    duet::server server{
        context, settings_of(options), [&](duet::session peer) { return chat::serve(std::move(peer), all); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "chat: {}\n", error.what());
    return 1;
}
