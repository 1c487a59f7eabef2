// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The classic loop: the client asks, the server answers, until the client closes and the server's read returns 0.
// Try: question_answer --listen & question_answer who? what? why?

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>

#include <duet/duet.hpp>
#include <duet/format.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> answer(duet::session peer)
{
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        auto const question = co_await lines.next();
        if (!question)
            break;  // the client has finished, or the server drains; no question is lost
        std::string const reply = fmt::format("42 is the answer to {}\n", *question);
        co_await peer.write(reply);
    }
}

asio::awaitable<void> ask(asio::io_context& context, example::options const& options)
{
    duet::connector connector{context, {.timeout = std::chrono::seconds{5}}};
    duet::session peer = co_await connector.connect(options.text("host"), options.text("port"));
    duet::line_reader answers{peer, 4096};
    for (auto const& question : options.arguments())
    {
        std::string const line = question + '\n';
        co_await peer.write(line);
        auto const reply = co_await answers.next();
        if (!reply)
            throw std::runtime_error{"the server ended before it answered '" + question + "'"};
        fmt::print("{}\n", *reply);
    }
    duet::close_report const end = co_await peer.close();
    fmt::print(stderr, "closed: {}\n", end.reason);
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Asks a server, and prints its answers; or is the server.",
        {{"listen", "", "be the server"}, {"host", "localhost", "the server"}, {"port", "7777", "its port"}},
        "[QUESTION]..."};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    asio::io_context context;
    if (options.flag("listen"))
    {
        duet::server server{context, example::for_strangers(options.port()), answer};
        fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
        return duet::run(context, {.print = true}, server);
    }
    auto asked = asio::co_spawn(context, ask(context, options), asio::use_future);
    context.run();
    asked.get();  // throws what it has thrown
}
catch (std::exception const& error)
{
    fmt::print(stderr, "question_answer: {}\n", error.what());
    return 1;
}
