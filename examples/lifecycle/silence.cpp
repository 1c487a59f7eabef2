// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// One end says nothing any more, and the other must find out what that means.

#include <boost/asio/deferred.hpp>

#include <string>

#include "network.hpp"
#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

using namespace std::chrono_literals;

duet::session_options short_patience()
{
    duet::session_options result;
    result.deadlines.dead_peer = 2s;
    return result;
}

/// A server of which nothing is heard once it has answered. Its kernel is silent, too: its machine is off, for all that
/// the client knows.
asio::awaitable<void> answer_once(stage& on, asio::ip::tcp::acceptor& listening, asio::ip::tcp::socket& server)
{
    server = co_await listening.async_accept(asio::deferred);
    char question = 0;
    co_await server.async_read_some(asio::buffer(&question, 1), asio::deferred);
    co_await server.async_write_some(asio::buffer(&question, 1), asio::deferred);
    vanish(server.native_handle());
    on.note("the server's machine is off: whatever is sent to it is lost");
}

asio::awaitable<void> ask_in_vain(stage& on, duet::connector& connecting, stage::endpoint to)
{
    duet::session peer = co_await connecting.connect(to);
    std::string answer(1, ' ');
    try
    {
        co_await peer.write("1");
        co_await peer.read(asio::buffer(answer));
        co_await stage::pause(100ms);
        co_await peer.write("2");
        on.note("write() has returned: the kernel has the byte, and nobody else");
        co_await peer.read(asio::buffer(answer));
    }
    catch (duet::session_error const&)  // dead_peer
    {
    }
}

asio::awaitable<void> wait_for_news(duet::connector& connecting, stage::endpoint to)
{
    duet::session peer = co_await connecting.connect(to);
    std::string news(1, ' ');
    try
    {
        co_await peer.read(asio::buffer(news));
    }
    catch (duet::session_error const&)  // dead_peer
    {
    }
}

/// The kernel of the server answers probes, until nothing reaches it.
asio::awaitable<void> answer_probes(stage& on, asio::ip::tcp::acceptor& listening, asio::ip::tcp::socket& server)
{
    server = co_await listening.async_accept(asio::deferred);
    co_await stage::pause(1500ms);
    vanish(server.native_handle());
    on.note("the server's machine is off: whatever is sent to it is lost");
}

asio::awaitable<void> send_much(duet::acceptor& listening)
{
    duet::session peer = co_await listening.accept();
    std::string const much(32'000, 'x');
    co_await peer.write(much);
    co_await peer.close();
}

/// A program that does something else for a while.
asio::awaitable<void> read_late(stage& on, duet::connector& connecting, stage::endpoint to)
{
    duet::session peer = co_await connecting.connect(to);
    on.note("the client's program is busy, and does not read");
    co_await stage::pause(800ms);
    co_await peer.read_all(100'000);
    co_await peer.close();
}

}  // namespace

void peer_vanishes(stage& on)
{
    auto listening = on.listen_by_hand();
    auto connecting = on.connector({.session = short_patience()});
    auto& server = on.socket_that_stays();
    on.begin(answer_once(on, listening, server));
    on.begin(ask_in_vain(on, connecting, listening.local_endpoint()));
    on.run();
}

void keep_alive(stage& on)
{
    auto listening = on.listen_by_hand();
    auto connecting = on.connector({.session = short_patience()});
    auto& server = on.socket_that_stays();
    on.begin(answer_probes(on, listening, server));
    on.begin(wait_for_news(connecting, listening.local_endpoint()));
    on.run();
}

void zero_window(stage& on)
{
    duet::session_options small;
    small.receive_buffer_size = 4096;
    small.send_buffer_size = 4096;
    auto listening = on.listen({.session = small});
    auto connecting = on.connector({.session = small});
    on.begin(send_much(listening));
    on.begin(read_late(on, connecting, listening.local_endpoint()));
    on.run();
}

}  // namespace example
