// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A service for systemd: its sockets come from a .socket unit, it says when it is ready and when it ends, and a
// watchdog ends it if it hangs. By hand it runs as any other server. Try: systemd-socket-activate -l 7000 line_service
// & echo hello | nc -N localhost 7000

#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include <duet/inherited.hpp>
#include <duet/line_reader.hpp>
#include <duet/run.hpp>
#include <duet/server.hpp>
#include <duet/service_manager.hpp>

#include "../for_strangers.hpp"
#include "../options.hpp"

namespace asio = boost::asio;

// Answers each line with its length.
asio::awaitable<void> answer(duet::session peer, bool may_hang)
{
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        if (may_hang && *line == "hang")
            std::this_thread::sleep_for(std::chrono::hours{1});  // for the demonstration: the watchdog sees it
        std::string const reply = fmt::format("{}\n", line->size());
        co_await peer.write(reply);
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Answers lines with their length, as a service of systemd.",
        {{"port", "7777", "where to listen if systemd has passed no socket; 0 chooses a port"},
            {"may-hang", "", "hang when a client says so, to see the watchdog"}}};
    asio::io_context context;
    bool const may_hang = options.flag("may-hang");
    duet::server server{context, duet::inherited_descriptors(), example::for_strangers(options.port()),
        [=](duet::session peer) { return answer(std::move(peer), may_hang); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);

    // For `systemctl status`. run() says the rest: READY=1, WATCHDOG=1 and STOPPING=1.
    auto const failed =
        duet::service_manager{}.notify(fmt::format("STATUS=listening on {}", duet::to_string(server.local_endpoint())));
    if (failed)
        fmt::print(stderr, "line_service: NOTIFY_SOCKET: {}\n", failed.message());
    return duet::run(context, {.print = true, .notify = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "line_service: {}\n", error.what());
    return 1;
}
