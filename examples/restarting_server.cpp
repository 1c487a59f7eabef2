// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server that a new version of its program replaces, and no client notices. SIGUSR2 starts the program that is now at
// the same path; it takes over the listening sockets, and says by a SIGTERM that it serves; then the old one drains.
// With --share the new process listens on the same port itself (SO_REUSEPORT).
// Try: restarting_server --port 7000 & nc localhost 7000; kill -USR2 $!; nc localhost 7000

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ostream.h>

#include <csignal>
#include <exception>
#include <string>

#include <duet/run.hpp>

#include <unistd.h>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> tell_process(duet::session peer)
{
    std::string const reply = fmt::format("served by {}\n", ::getpid());
    co_await peer.write(asio::buffer(reply));
}

/// If the successor does not start, or never says that it serves, this process goes on.
void start_successor(duet::server& server, char const* program)
try
{
    bool const share = server.options().share_port;
    auto const listeners = share ? duet::handed_listeners{} : server.hand_over();
    listeners.start(program, {fmt::format("--port={}", server.local_endpoint().port()),
                                 fmt::format("--threads={}", server.options().threads),
                                 fmt::format("--share={}", share ? 1 : 0), fmt::format("--replaces={}", ::getpid())});
}
catch (std::exception const& error)
{
    fmt::print(stderr, "restarting_server: {}\n", error.what());
}

asio::awaitable<void> restart_at(asio::signal_set& signal, duet::server& server, char const* program)
{
    for (;;)
    {
        co_await signal.async_wait(asio::use_awaitable);
        start_successor(server, program);
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Tells clients its process, and at SIGUSR2 a new one replaces it.",
        {{"port", "7777", "where to listen; 0 chooses a port"}, {"threads", "1", "each with its own listener"},
            {"share", "0", "1: a new process listens itself"}, {"replaces", "0", "the process to end"}}};
    std::signal(SIGCHLD, SIG_IGN);  // nobody asks how a successor ended
    asio::io_context context;
    asio::signal_set signal{context, SIGUSR2};  // from here on it ends the process no more
    auto settings = example::for_strangers(options.port());
    settings.threads = options.number("threads");
    settings.share_port = options.number("share") != 0;
    duet::server server{context, duet::inherited_descriptors(), settings, tell_process};
    asio::co_spawn(context, restart_at(signal, server, argv[0]), asio::detached);
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    if (auto const predecessor = static_cast<::pid_t>(options.number("replaces")))
        ::kill(predecessor, SIGTERM);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "restarting_server: {}\n", error.what());
    return 1;
}
