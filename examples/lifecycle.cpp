// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A connection from handshake to close, seen from both sides: what is called, what TCP does, what comes back.
// Try: lifecycle, or lifecycle --listen --port 7000 & lifecycle --connect --port 7000

#include <boost/asio/co_spawn.hpp>

#include <iostream>

#include <duet/connector.hpp>
#include <duet/run.hpp>

#include "lifecycle_display.hpp"
#include "options.hpp"

namespace asio = boost::asio;

asio::awaitable<void> serve(duet::session peer, example::display& out)
{
    out.step("server", peer, "accept()", "SYN, SYN+ACK, ACK", "a session");
    std::string input;
    for (;;)
    {
        std::size_t const size = co_await peer.read_until(input, "\n", 1000);
        out.step("server", peer, "read_until()", "", size ? std::to_string(size) + " bytes" : "0: the client's FIN");
        if (size == 0)
            break;
        std::string const answer = "you asked: " + input.substr(0, size);
        std::size_t const sent = co_await peer.write(asio::buffer(answer));
        out.step("server", peer, "write(answer)", "data", std::to_string(sent) + " bytes taken");
        input.erase(0, size);
    }
    std::string const last = "last words\n";
    co_await peer.write(asio::buffer(last));
    out.step("server", peer, "write(last words)", "data, against the client's FIN", "11 bytes taken");
    duet::close_report const end = co_await peer.close();
    out.step("server", peer, "close()", "FIN; the client acknowledged it", to_string(end.reason));
}

asio::awaitable<void> talk(asio::any_io_executor executor, std::string host, std::string port, example::display& out)
{
    out.step("client", "connect(" + host + ")", "resolve, then SYN", "...");
    duet::connector connector{executor, {.timeout = std::chrono::seconds{5}}};
    duet::session peer = co_await connector.connect(host, port);
    out.step("client", peer, "connect() returns", "SYN+ACK came, ACK went", "a session");
    std::string input;
    for (std::string const question : {"who?\n", "why?\n"})
    {
        std::size_t const sent = co_await peer.write(asio::buffer(question));
        out.step("client", peer, "write(question)", "data", std::to_string(sent) + " bytes taken");
        std::size_t const size = co_await peer.read_until(input, "\n", 1000);
        out.step("client", peer, "read_until()", "", std::to_string(size) + " bytes");
        input.erase(0, size);
    }
    co_await peer.shutdown_send();
    out.step("client", peer, "shutdown_send()", "FIN: half-closed", "the kernel has it");
    std::string const rest = co_await peer.read_all(1000);
    out.step("client", peer, "read_all()", "the server's FIN came", std::to_string(rest.size()) + " bytes, then FIN");
    duet::close_report const end = co_await peer.close();
    out.step("client", peer, "close()", "ACK; TIME_WAIT is here", to_string(end.reason));
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Shows the life of a connection, client and server side by side.",
        {{"listen", "", "be the server alone"}, {"connect", "", "be the client alone"},
            {"host", "localhost", "where the server is"}, {"port", "0", "its port; 0 lets the system choose"}}};
    asio::io_context context;
    example::display out;
    std::optional<duet::server> server;
    std::string port = options.text("port");
    if (!options.flag("connect"))
    {
        server.emplace(context, duet::server_options{.port = options.port()},
            [&](duet::session peer) { return serve(std::move(peer), out); });
        port = std::to_string(server->local_endpoint().port());
        std::cout << "listening on " << server->local_endpoint() << std::endl;
    }
    if (options.flag("listen"))
        return duet::run(context, *server);
    auto const ended = [&](std::exception_ptr failure)
    {
        if (failure)
            std::rethrow_exception(failure);
        if (server)
            co_spawn(context, server->drain(std::chrono::seconds{5}), [](std::exception_ptr, duet::drain_report) {});
    };
    asio::co_spawn(context, talk(context.get_executor(), options.text("host"), port, out), ended);
    context.run();
    return 0;
}
catch (std::exception const& error)
{
    std::cerr << "lifecycle: " << error.what() << '\n';
    return 1;
}
