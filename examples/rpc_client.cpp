// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends all requests at once on one connection, and prints each answer when it comes: not in the order of the requests.
// Try: rpc_server --port 7000 & rpc_client --port 7000 'sleep 500' 'sum 1 2 3'

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <duet/connector.hpp>
#include <duet/format.hpp>
#include <duet/request_stream.hpp>
#include <duet/tasks.hpp>

#include "options.hpp"

namespace asio = boost::asio;

using request_stream = duet::request_stream<duet::session, duet::length_prefix>;

asio::awaitable<void> ask(request_stream& requests, std::string const& request, int& failures)
{
    try
    {
        std::string const answer = co_await requests.ask(request);
        fmt::print("{}: {}\n", request, answer);
    }
    catch (duet::request_error const& error)
    {
        // One that was not sent may be asked again whatever it does; one that was, only if twice does no harm.
        ++failures;
        fmt::print("{}: {}: {}\n", request, error.sent() ? "no answer" : "not sent", error.code().message());
    }
}

asio::awaitable<int> ask_all(asio::io_context& context, example::options const& options)
{
    duet::connector connector{context, {.timeout = std::chrono::seconds{5}}};
    duet::session peer = co_await connector.connect(options.text("host"), options.text("port"));
    std::chrono::milliseconds const within{options.number("within")};
    request_stream requests{std::move(peer), {.bytes = 4}, 65536, {.within = within}};
    int failures = 0;
    auto const begin_all = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        for (auto const& request : options.arguments())
            tasks.begin(ask(requests, request, failures));
        co_return;
    };
    co_await duet::with_tasks(begin_all);
    duet::close_report const end = co_await requests.close();
    fmt::print(stderr, "closed: {}\n", end.reason);
    co_return failures;
}

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Sends requests, and prints the answers as they come.",
        {{"host", "localhost", "the server"}, {"port", "7777", "its port"},
            {"within", "10000", "milliseconds to wait for an answer"}},
        "[REQUEST]..."};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    asio::io_context context;
    auto asked = asio::co_spawn(context, ask_all(context, options), asio::use_future);
    context.run();
    return asked.get() == 0 ? 0 : 1;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "rpc_client: {}\n", error.what());
    return 1;
}
