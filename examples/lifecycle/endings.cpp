// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connections that do not end as both programs want it.

#include <boost/asio/deferred.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "network.hpp"
#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view too_large = "413 Content Too Large\n";

asio::awaitable<void> answer_half(duet::session peer)
{
    std::string question;
    co_await peer.read_until(question, "\n", 1000);
    co_await peer.write("the first half of an ");
    peer.abort();
}

asio::awaitable<void> want_all(duet::session peer)
{
    co_await peer.write("the answer?\n");
    try
    {
        co_await peer.read_all(1000);
    }
    catch (duet::session_error const&)  // reset: what has come is not all
    {
    }
}

/// Upload something, through a network that loses the first answer.
asio::awaitable<void> upload(stage& on, duet::connector& connecting, stage::endpoint to)
{
    duet::session peer = co_await connecting.connect(to);
    lose_incoming(peer.native_handle(), duet::tcp_flags::psh);
    std::string const request = "POST /\n" + std::string(1000, 'x');
    co_await peer.write(request);
    co_await stage::pause(50ms);
    lose_nothing(peer.native_handle());
    on.note("the network has lost the answer once; now it loses nothing any more");
    try
    {
        co_await peer.read_all(1000);
        co_await peer.close();
    }
    catch (duet::session_error const&)
    {
    }
}

/// As most servers are written.
asio::awaitable<void> refuse_by_hand(stage& on, asio::ip::tcp::acceptor& listening)
{
    asio::ip::tcp::socket peer = co_await listening.async_accept(asio::deferred);
    std::string line(7, ' ');
    co_await asio::async_read(peer, asio::buffer(line), asio::deferred);
    auto const written = co_await asio::async_write(peer, asio::buffer(too_large), asio::deferred);
    on.note(fmt::format("the server, by hand: send() = {}; close() with {} bytes unread", written, peer.available()));
    peer.close();
}

asio::awaitable<void> refuse(duet::acceptor& listening)
{
    duet::session peer = co_await listening.accept();
    std::string line(7, ' ');
    co_await peer.read(asio::buffer(line));
    co_await peer.write(too_large);
    co_await peer.close();
}

asio::awaitable<void> close(duet::session peer)
{
    co_await peer.close();
}

/// Both ends close before the other's FIN is there: the network loses the first ones.
asio::awaitable<void> close_both(stage& on, duet::acceptor& listening, duet::connector& connecting)
{
    duet::session client = co_await connecting.connect(listening.local_endpoint());
    duet::session server = co_await listening.accept();
    int const sockets[] = {client.native_handle(), server.native_handle()};  // both stay until each has heard a FIN
    for (int const socket : sockets)
        lose_incoming(socket, duet::tcp_flags::fin);
    on.begin(close(std::move(client)));
    co_await stage::pause(30ms);  // so that the client's FIN is also the first that is sent again
    on.begin(close(std::move(server)));
    co_await stage::pause(30ms);
    on.note("each end has sent its FIN and not seen the other's: the network has lost both. They are sent again");
    // The client's comes first, also on a machine that is so busy that one was sent again, and lost, meanwhile.
    lose_nothing(sockets[1]);
    while (in_fin_wait_1(sockets[1]))
        co_await stage::pause(2ms);
    lose_nothing(sockets[0]);
}

}  // namespace

void abort_by_server(stage& on)
{
    on.play(answer_half, want_all);
}

void unread_input_by_hand(stage& on)
{
    auto listening = on.listen_by_hand();
    auto connecting = on.connector();
    on.begin(refuse_by_hand(on, listening));
    on.begin(upload(on, connecting, listening.local_endpoint()));
    on.run();
}

void unread_input(stage& on)
{
    auto listening = on.listen();
    auto connecting = on.connector();
    on.begin(refuse(listening));
    on.begin(upload(on, connecting, listening.local_endpoint()));
    on.run();
}

void simultaneous_close(stage& on)
{
    auto listening = on.listen();
    auto connecting = on.connector();
    on.begin(close_both(on, listening, connecting));
    on.run();
}

}  // namespace example
