// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The server of docs/en/guide/tutorial.md.

#include <duet/duet.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> greet(duet::session peer)
{
    asio::steady_timer work{peer.get_executor()};
    duet::line_reader lines{peer, 1000};
    for (;;)
    {
        auto const name = co_await lines.next();
        if (!name)  // the client has finished, or the server drains
            break;
        std::string const answer = "hello, " + std::string{*name} + '\n';
        work.expires_after(2s);  // stands for work
        co_await work.async_wait(asio::use_awaitable);
        co_await peer.write(answer);
    }
}

int main()
try
{
    duet::server_options options;
    options.port = 7777;
    options.max_sessions = 900;
    options.at_limit = duet::limit_policy::shed;
    options.session.deadlines.first_message = 10s;  // from the connection to the first whole line
    options.session.deadlines.message = 30s;        // from the first byte of a line to its end
    options.session.deadlines.next_message = 60s;   // silence between two lines
    options.session.deadlines.write = 20s;          // the client takes nothing of an answer
    options.on_session_end = [](duet::session_end const& end)
    { std::clog << end.peer << ": " << to_string(end.post_mortem) << '\n'; };

    asio::io_context context;
    duet::server server{context, options, greet};
    std::clog << "listening on " << server.local_endpoint() << '\n';
    return duet::run(context, {.print = true}, server);
}
catch (std::exception const& error)
{
    std::cerr << "greeter: " << error.what() << '\n';
    return 1;
}
