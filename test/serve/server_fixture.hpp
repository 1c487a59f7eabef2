// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SERVER_FIXTURE_HPP
#define DUET_TEST_SERVER_FIXTURE_HPP

// What the tests of servers share: handlers, where to listen, and a client.

#include "session/session_fixture.hpp"

#include <duet/server.hpp>

#include <chrono>
#include <functional>
#include <string>

namespace duet_test {

inline asio::awaitable<void> echo(duet::session peer)
{
    std::string buffer(4096, '\0');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer.data(), size));
    }
}

/// Answers message after message, and stops between two of them when it is asked to.
template <class Session>
asio::awaitable<void> polite(Session peer)
{
    for (;;)
    {
        auto const more = co_await peer.wait_readable();
        if (!more)
            break;
        auto const heard = co_await read(peer);
        if (heard.empty())
            break;
        co_await write(peer, heard);
    }
}

inline asio::awaitable<duet::drain_report> drain(duet::server& serving, std::chrono::steady_clock::duration timeout)
{
    auto const report = co_await serving.drain(timeout);
    co_return report;
}

inline duet::server_options on_loopback(duet::server_options options = {})
{
    options.address = "127.0.0.1";
    return options;
}

inline raw_socket client_of(duet::server const& serving)
{
    return raw_socket::connect(raw_address::v4(serving.local_endpoint().port()));
}

/// Run the server in this thread until something is so.
inline void serve(asio::io_context& context, std::function<bool()> const& enough)
{
    eventually(
        [&]
        {
            context.poll();
            return enough();
        },
        "what the server is run for");
}

inline void serve_until_active(asio::io_context& context, duet::server& serving, std::uint64_t sessions)
{
    serve(context, [&] { return serving.counters().active == sessions; });
}

/// No work is left: what was served keeps nothing running.
inline void require_end(asio::io_context& context)
{
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST(context.stopped());
}

}  // namespace duet_test

#endif
