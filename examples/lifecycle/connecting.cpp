// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a client meets before it has a connection, and what a server meets before it listens.

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include <duet/resolver.hpp>

#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

using endpoint = stage::endpoint;

asio::awaitable<void> be_refused(duet::connector& connecting, endpoint to)
{
    try
    {
        co_await connecting.connect(to);
    }
    catch (duet::session_error const&)  // connection_refused
    {
    }
}

asio::awaitable<void> greet(duet::acceptor& listening)
{
    duet::session peer = co_await listening.accept();
    co_await peer.write("hello\n");
    co_await peer.close();
}

asio::awaitable<void> be_greeted(duet::session peer)
{
    co_await peer.read_all(1000);
    co_await peer.close();
}

asio::awaitable<void> connect_by_name(duet::connector& connecting)
{
    duet::session peer = co_await connecting.connect("two-addresses.example", "7777");
    co_await be_greeted(std::move(peer));
}

asio::awaitable<void> connect_to(duet::connector& connecting, endpoint to, stage& on, std::string about)
{
    duet::session peer = co_await connecting.connect(to);
    on.note(about);
    co_await be_greeted(std::move(peer));
}

/// What bind(2) says to a program that does not ask for SO_REUSEADDR.
std::string bind_by_hand(asio::io_context& context, endpoint at)
{
    asio::ip::tcp::socket socket{context, at.protocol()};
    boost::system::error_code error;
    socket.bind(at, error);
    return error ? error.message() : "bound";
}

}  // namespace

void refused(stage& on)
{
    auto const reserved = on.reserve();
    auto connecting = on.connector();
    on.begin(be_refused(connecting, reserved.local_endpoint()));
    on.run();
}

void happy_eyeballs(stage& on)
{
    auto const full = on.listen_by_hand(0);
    auto const waiting = on.fill_queue(full.local_endpoint(), 1);
    auto listening = on.listen();
    auto const resolve = [first = full.local_endpoint(), second = listening.local_endpoint()](
                             std::string const&, std::string const&) {
        return std::vector<endpoint>{first, second};
    };
    auto connecting = on.connector({}, duet::system_resolver{resolve});
    on.begin(greet(listening));
    on.begin(connect_by_name(connecting));
    on.run();
}

void time_wait(stage& on)
{
    auto connecting = on.connector();
    endpoint at;
    {
        auto listening = on.listen();
        at = listening.local_endpoint();
        on.begin(greet(listening));
        on.begin(connect_to(connecting, at, on, "the server closes first: its end will be in TIME_WAIT"));
        on.run();
    }
    auto const said = bind_by_hand(on.context(), at);
    auto listening = on.listen({}, at);
    on.begin(greet(listening));
    auto const about =
        fmt::format("the server was started again. bind(), by hand: {}; duet::acceptor: it listens", said);
    on.begin(connect_to(connecting, at, on, about));
    on.run();
}

}  // namespace example
