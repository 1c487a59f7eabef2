// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Reads lines until the client half-closes, and answers with them sorted. The client's FIN is the whole protocol: it
// says "that was all", and leaves the other direction open for the answer.
// Try: sort_server --port 7000 & printf 'b\na\n' | nc -N localhost 7000

#include <fmt/ostream.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <duet/run.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

std::string sorted(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty())
    {
        lines.push_back(text.substr(0, text.find('\n')));
        text.remove_prefix(std::min(lines.back().size() + 1, text.size()));
    }
    std::ranges::sort(lines);

    std::string result;
    for (auto const line : lines)
        result.append(line) += '\n';
    return result;
}

asio::awaitable<void> sort_lines(duet::session peer, std::size_t limit)
{
    // Whatever is not a whole input throws: a reset, a deadline, a byte beyond the limit. The client is then reset too.
    // An error message would not do: in this protocol it would pass for a sorted line.
    std::string const input = co_await peer.read_all(limit);
    std::string const answer = sorted(input);
    co_await peer.write(asio::buffer(answer));
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv,
        "Reads lines until the client half-closes, and answers with them sorted.",
        {{"port", "7777", "where to listen; 0 chooses a port"},
            {"limit", "16777216", "the most bytes to take from one client"}}};

    auto settings = example::for_strangers(options.port());
    settings.max_sessions = 64;  // each may hold its input twice: this and the limit are the bounds of our memory
    // The one message of a session is as long as the client likes, so what counts is that it makes progress.
    auto& deadlines = settings.session.deadlines;
    deadlines.first_message = deadlines.message = {};
    deadlines.idle = std::chrono::minutes{1};
    settings.on_session_end = [](duet::session_end const& end)
    {
        if (end.failure)
            fmt::print(stderr, "sort_server: {}\n", end.what());
    };

    asio::io_context context;
    duet::server server{context, settings,
        [limit = options.number("limit")](duet::session peer) { return sort_lines(std::move(peer), limit); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "sort_server: {}\n", error.what());
    return 1;
}
