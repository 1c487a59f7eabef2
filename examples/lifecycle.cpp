// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A connection from handshake to close, seen from both sides: what is called, what TCP does, what comes back. What is
// called watched here has the calls of duet's classes, and shows each. Try: lifecycle; lifecycle | less

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include <duet/run.hpp>

#include "lifecycle_watched.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> serve(example::watched_session peer)
{
    std::string input;
    for (;;)
    {
        std::size_t const size = co_await peer.read_until(input, "\n", 1000);
        if (size == 0)  // the client's FIN: it asks nothing more, but it listens
            break;
        std::string const answer = "re: " + input.substr(0, size);
        co_await peer.write(asio::buffer(answer));
        input.erase(0, size);
    }
    co_await peer.write(asio::buffer(std::string_view{"last words\n"}));
    co_await peer.close();  // FIN, and wait until the client's TCP has it
}

asio::awaitable<void> talk(asio::io_context& context, std::string host, std::string port, example::display& out)
{
    example::watched_connector connector{context.get_executor(), {.timeout = std::chrono::seconds{5}}, out};
    example::watched_session peer = co_await connector.connect(host, port);
    for (std::string const question : {"who?\n", "why?\n"})
    {
        std::string answer;
        co_await peer.write(asio::buffer(question));
        co_await peer.read_until(answer, "\n", 1000);
    }
    co_await peer.shutdown_send();  // half-close: FIN, behind the last question
    co_await peer.read_all(1000);   // the last words, up to the server's FIN
    co_await peer.close();
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Shows the life of a connection, with client and server in one program.",
        {{"listen", "", "be the server alone"}, {"connect", "", "be the client alone"},
            {"host", "localhost", "where the server is"}, {"port", "7777", "its port; 0, or in one program: any"}}};
    bool const both = options.flag("listen") == options.flag("connect");
    example::display out{both || options.flag("connect"), both || options.flag("listen")};
    asio::io_context context;
    std::optional<example::watched_server> server;
    if (both || options.flag("listen"))
        server.emplace(context, both && !options.flag("port") ? 0 : options.port(), serve, out);
    if (server && !both)
        return duet::run(context, {.print = true}, *server);
    std::string const port = server ? std::to_string(server->local_endpoint().port()) : options.text("port");
    auto const ended = [&](std::exception_ptr failure)
    {
        if (failure)
            std::rethrow_exception(failure);
        if (server)
            asio::co_spawn(context, server->drain(std::chrono::seconds{5}), asio::detached);
    };
    asio::co_spawn(context, talk(context, options.text("host"), port, out), ended);
    context.run();
}
catch (std::exception const& error)
{
    fmt::print(stderr, "lifecycle: {}\n", error.what());
    return 1;
}
