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
    std::string input;
    for (bool last = false; !last;)
    {
        // Here nothing is half done, so here a drain may end it. What has arrived by then is still answered, but only
        // once: a client that always has one more question in the air would otherwise hold the drain to its deadline.
        last = peer.finish_requested();
        bool const readable = co_await peer.wait_readable();
        if (!readable)
            break;
        do
        {
            std::size_t const size = co_await peer.read_until(input, "\n", 4096);
            if (size == 0)
                co_return;
            ++questions.read;
            worker.expires_after(work);
            co_await worker.async_wait(asio::use_awaitable);
            std::string const reply = "done: " + input.substr(0, size);
            co_await peer.write(asio::buffer(reply));
            ++questions.answered;
            input.erase(0, size);
        }
        while (input.find('\n') != std::string::npos);  // several in one segment
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
