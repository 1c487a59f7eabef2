// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Keeps words for many clients that are silent most of the time. Its handler is called for each request, so that a
// client costs its connection in between, but neither a coroutine nor a buffer.
// Try: word_server --port 7000 & printf 'put color blue\nget color\n' | nc -N localhost 7000

#include <fmt/ostream.h>

#include <cstddef>
#include <cstdio>
#include <exception>
#include <map>
#include <sstream>
#include <string>

#include <duet/run.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

// What clients leave behind has a bound, too: so many words, each of which came in a line of at most 4096 bytes.
struct words
{
    std::size_t most;
    std::map<std::string, std::string> known{};
};

std::string answer_to(std::string const& line, words& kept)
{
    std::istringstream request{line};
    std::string verb;
    std::string name;
    std::string value;
    request >> verb >> name >> value;
    if (verb == "put" && !value.empty())
    {
        if (kept.known.size() >= kept.most && !kept.known.contains(name))
            return "full\n";
        kept.known[name] = value;
        return "kept\n";
    }
    if (verb == "get" && !name.empty())
        return kept.known.contains(name) ? kept.known[name] + '\n' : "unknown\n";
    return "put <name> <value> or get <name>\n";
}

// Called when there is something to read; true: the client may have more to ask.
asio::awaitable<bool> answer(duet::session& peer, words& kept)
{
    std::string input;
    do
    {
        std::size_t const size = co_await peer.read_until(input, "\n", 4096);
        if (size == 0)
            co_return false;
        std::string const reply = answer_to(input.substr(0, size), kept);
        co_await peer.write(asio::buffer(reply));
        input.erase(0, size);
    }
    while (!input.empty());  // of the next request: it came along, and the next call would not have it
    co_return true;
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Keeps words for clients that are silent most of the time.",
        {{"port", "7777", "where to listen; 0 chooses a port"}, {"words", "10000", "the most words to keep"}}};
    words kept{options.number("words")};
    asio::io_context context;
    duet::server server{
        context, example::for_strangers(options.port()), [&](duet::session& peer) { return answer(peer, kept); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    fmt::print(stderr, "word_server: {}\n", error.what());
    return 1;
}
