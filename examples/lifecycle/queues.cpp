// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What happens behind listen(): in the queue of handshakes, and in that of connections nobody has accepted yet.

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "network.hpp"
#include "scenes.hpp"
#include "stage.hpp"

namespace example {
namespace {

using namespace std::chrono_literals;
using endpoint = stage::endpoint;

std::string in_words(duet::acceptor const& listening)
{
    duet::error_code error;
    auto const queue = listening.queue(error);
    return fmt::format("the queue has {} of {}", queue.length, queue.limit);
}

asio::awaitable<void> talk_to_the_late_one(stage& on, duet::connector& connecting, endpoint to)
{
    duet::session peer = co_await connecting.connect(to);
    on.note("connect() has taken a second: the SYN was sent again");
    co_await peer.read_all(1000);
    co_await peer.close();
}

/// Accept again, after a while in which nobody did.
asio::awaitable<void> accept_late(stage& on, duet::acceptor& listening, std::uint64_t overflows)
{
    co_await stage::pause(100ms);  // much less than the second after which the SYN is sent again
    on.note(fmt::format("{}: ListenOverflows +{}. The server accepts again", in_words(listening),
        counter("ListenOverflows") - overflows));
    for (int early = 0; early != 2; ++early)
        co_await listening.accept();
    on.trace().attach(listening);
    duet::session late = co_await listening.accept();
    co_await late.write("hello\n");
    co_await late.close();
}

asio::awaitable<void> reset_at_once(duet::connector& connecting, endpoint to)
{
    duet::session peer = co_await connecting.connect(to);
    co_await peer.write("never mind\n");
    peer.abort();
}

asio::awaitable<void> accept_what_is_reset(duet::acceptor& listening)
{
    duet::session peer = co_await listening.accept();
    std::string input;
    try
    {
        co_await peer.read_all(input, 1000);
    }
    catch (duet::session_error const&)  // peer_reset
    {
    }
}

asio::awaitable<void> serve_honest_ones(duet::acceptor& listening)
{
    try
    {
        duet::session peer = co_await listening.accept();
        co_await peer.write("hello\n");
        co_await peer.close();
    }
    catch (duet::session_error const&)  // closed: nobody has come
    {
    }
}

asio::awaitable<void> connect_honestly(stage& on, duet::acceptor& listening, duet::connector& connecting)
{
    try
    {
        duet::session peer = co_await connecting.connect(listening.local_endpoint());
        on.note(
            fmt::format("SYN cookies: {} sent, {} came back", counter("SyncookiesSent"), counter("SyncookiesRecv")));
        co_await peer.read_all(1000);
        co_await peer.close();
    }
    catch (duet::session_error const&)  // connect_timed_out
    {
        listening.close();
    }
}

asio::awaitable<void> watch_the_queue(stage& on)
{
    co_await stage::pause(100ms);
    on.note(fmt::format("half-open connections fill the queue; SYNs dropped: {}", counter("TCPReqQFullDrop")));
}

void flood(stage& on, std::string const& cookies)
{
    set_parameter("net/ipv4/tcp_syncookies", cookies);
    auto listening = on.listen({.backlog = 4});
    auto connecting = on.connector({.timeout = 1500ms});
    flood_with_syns(listening.local_endpoint(), 8);
    if (cookies == "0")
        on.begin(watch_the_queue(on));
    on.begin(serve_honest_ones(listening));
    on.begin(connect_honestly(on, listening, connecting));
    on.run();
}

}  // namespace

void backlog_overflow(stage& on)
{
    auto listening = on.listen_unseen({.backlog = 1});
    auto connecting = on.connector();
    auto const before = counter("ListenOverflows");
    auto const waiting = on.fill_queue(listening.local_endpoint(), 2);
    on.begin(talk_to_the_late_one(on, connecting, listening.local_endpoint()));
    on.begin(accept_late(on, listening, before));
    on.run();
}

void syn_flood(stage& on)
{
    flood(on, "0");
}

void syn_cookies(stage& on)
{
    flood(on, "1");
}

void reset_in_queue(stage& on)
{
    auto listening = on.listen();
    auto connecting = on.connector();
    on.begin(reset_at_once(connecting, listening.local_endpoint()));
    on.run();
    on.begin(accept_what_is_reset(listening));
    on.run();
}

}  // namespace example
