// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server that can be stopped under load and loses no answer: each question that it has read is answered before its
// FIN. A client that gets the FIN in place of an answer knows that nobody has touched its question, and asks elsewhere.
// Try: draining_server --port 7000 & printf 'one\ntwo\n' | nc -N localhost 7000; kill -TERM $!

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ostream.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include <duet/line_reader.hpp>
#include <duet/run.hpp>

#include "for_strangers.hpp"
#include "options.hpp"

namespace asio = boost::asio;

struct counts
{
    std::size_t read = 0;
    std::size_t answered = 0;
};

asio::awaitable<void> answer(duet::session peer, std::chrono::milliseconds work, counts& questions)
{
    asio::steady_timer worker{peer.get_executor()};
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        // Between two lines nothing is half done, so there a drain may end it. What has arrived by then is still
        // answered. But a client that always has one more question in the air does not hold the drain to its deadline.
        auto const question = co_await lines.next();
        if (!question)
            break;
        ++questions.read;
        worker.expires_after(work);
        co_await worker.async_wait(asio::use_awaitable);
        std::string const reply = fmt::format("done: {}\n", *question);
        co_await peer.write(reply);
        ++questions.answered;
    }
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Answers lines after some work, and loses none when it is stopped.",
        {{"port", "7777", "where to listen; 0 chooses a port"}, {"work", "20", "milliseconds for each answer"}}};
    std::chrono::milliseconds const work{options.number("work")};
    counts questions;
    asio::io_context context;
    duet::server server{context, example::for_strangers(options.port()),
        [&](duet::session peer) { return answer(std::move(peer), work, questions); }};
    fmt::print("listening on {}\n", fmt::streamed(server.local_endpoint()));
    std::fflush(stdout);
    int const status = duet::run(context, {.print = true}, server);
    fmt::print(stderr, "questions: {} read, {} answered\n", questions.read, questions.answered);
    return status;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "draining_server: {}\n", error.what());
    return 1;
}
