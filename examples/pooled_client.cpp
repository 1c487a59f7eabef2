// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Asks a server that answers one line after the other many things at once: on a few connections, which a pool keeps.
// Try: question_answer --listen & pooled_client --connections 2 who? what? why? where?

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>

#include <duet/connection_pool.hpp>
#include <duet/tasks.hpp>

#include "options.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

// The size of the answer with its end of line; 0 if the connection ended instead.
asio::awaitable<std::size_t> ask_once(duet::session& server, std::string const& question, std::string& answer)
{
    std::string const line = question + '\n';
    co_await server.write(line);
    std::size_t const size = co_await server.read_until(answer, "\n", 4096).within(10s);
    co_return size;
}

asio::awaitable<void> ask(duet::connection_pool& pool, std::string const& question)
{
    for (;;)
    {
        auto lease = co_await pool.acquire();
        bool again = false;
        try
        {
            std::string answer;
            std::size_t const size = co_await ask_once(*lease, question, answer);
            if (size > 0)
            {
                if (size == answer.size())
                    lease.give_back();  // the whole answer was read, and nothing came behind it
                fmt::print("{}", answer.substr(0, size));
                co_return;
            }
            again = lease.reused();
            if (!again)
                throw duet::session_error{duet::errc::ended, "ask", question, 0};
        }
        catch (duet::session_error const& error)
        {
            // The server may have ended the connection just as we asked. Another try does no harm: we only ask.
            bool const lost = error.code() == duet::condition::reset || error.code() == duet::condition::truncated;
            again = lost && lease.reused();
            if (!again)
                throw;
        }
    }
}

asio::awaitable<void> ask_all(duet::connection_pool& pool, example::options const& options)
{
    auto const begin_all = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        for (auto const& question : options.arguments())
            tasks.begin(ask(pool, question));
        co_return;
    };
    co_await duet::with_tasks(begin_all);
    auto const counters = pool.counters();
    fmt::print(stderr, "connected {}, reused {}\n", counters.connected, counters.reused);
    co_await pool.close();
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Asks a server many things at once, on a few connections.",
        {{"host", "localhost", "the server"}, {"port", "7777", "its port"},
            {"connections", "4", "the most connections at once"}},
        "[QUESTION]..."};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    asio::io_context context;
    duet::connection_pool pool{duet::connector{context, {.timeout = 5s}}, options.text("host"), options.text("port"),
        {.max_connections = options.number("connections")}};
    auto asked = asio::co_spawn(context, ask_all(pool, options), asio::use_future);
    context.run();
    asked.get();  // throws what it has thrown
}
catch (std::exception const& error)
{
    fmt::print(stderr, "pooled_client: {}\n", error.what());
    return 1;
}
