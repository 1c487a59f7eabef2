// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The client of docs/en/guide/tutorial.md.

#include <duet/duet.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<void> ask(std::string question)
{
    auto const executor = co_await asio::this_coro::executor;
    duet::connector connector{executor, {.timeout = 5s}};
    duet::session server = co_await connector.connect("localhost", "7777");
    co_await server.write(question);
    co_await server.shutdown_send();  // our FIN: that was all
    std::string const answer = co_await server.read_all(1000);
    std::cout << answer;
    duet::close_report const end = co_await server.close();
    std::cerr << "closed: " << to_string(end.reason) << '\n';
}

int main(int argc, char** argv)
try
{
    std::string question;
    for (int i = 1; i < argc; ++i)
        question += std::string{argv[i]} + '\n';
    asio::io_context context;
    auto asked = asio::co_spawn(context, ask(question), asio::use_future);
    context.run();
    asked.get();  // throws what ask() has thrown
}
catch (std::exception const& error)
{
    std::cerr << "ask: " << error.what() << '\n';
    return 1;
}
