// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What one member of a chat says, all others hear, also those whose sessions run on another thread of the server.
// Try: chat_server --port 7000 & nc localhost 7000, in two terminals

#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <duet/line_reader.hpp>
#include <duet/run.hpp>

#include "chat_room.hpp"
#include "options.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> chat(example::chat_room& room, duet::session peer)
{
    struct membership
    {
        example::chat_room& of;
        ~membership() { of.leave(this); }
    } const me{room};
    room.join(&me, peer);
    co_await peer.write("welcome\n");
    duet::line_reader lines{peer, 1000};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        peer.message_received();  // it has no answer, so say that it is over
        room.say(&me, std::string{*line} + '\n');
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "What one client says, all others hear.",
        {{"port", "7777", "where to listen; 0 chooses a port"}, {"threads", "2", "how many threads serve"}}};
    duet::server_options settings;
    settings.port = options.port();
    settings.threads = static_cast<std::size_t>(options.number("threads"));
    settings.max_sessions = 1000;
    settings.session.deadlines.message = 30s;
    settings.session.deadlines.write = 20s;
    settings.session.queue_limit = std::size_t{1} << 20;  // a member that reads nothing is let go
    settings.session.when_queue_full = duet::full_queue::abort;
    example::chat_room room;
    asio::io_context context;
    duet::server server{context, settings, [&](duet::session peer) { return chat(room, std::move(peer)); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "chat_server: {}\n", error.what());
    return 1;
}
