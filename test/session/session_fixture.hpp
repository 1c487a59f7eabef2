// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SESSION_FIXTURE_HPP
#define DUET_TEST_SESSION_FIXTURE_HPP

// A session with a raw peer on sockets of the kernel, for tests whose point is the kernel, or real time. All others use
// memory_fixture.hpp.

#include "session/operations.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/fd.hpp"
#include "support/in_thread.hpp"
#include "support/kernel.hpp"
#include "support/raw_peer.hpp"
#include "support/started.hpp"

#include <boost/asio/buffer.hpp>

#include <duet/session.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <unistd.h>

namespace duet_test {

// What a peer sees that reads to the end and then closes.
inline received read_all_and_close(raw_socket& peer)
{
    auto all = peer.recv_all();
    peer.close();
    return all;
}

inline asio::awaitable<void> pause(std::chrono::steady_clock::duration time)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

/// The buffers on both sides of a connection on which a write of `long_write` bytes stalls for certain when the peer
/// does not read.
inline constexpr int small_buffer = 8 * 1024;
inline constexpr std::size_t long_write = std::size_t{2} << 20U;

inline duet::session_options stalling(duet::session_options options = {})
{
    options.send_buffer_size = small_buffer;
    return options;
}

inline duet::session_options stalling(duet::deadlines const& values)
{
    return stalling(with(values));
}

inline raw_options const small_window{.receive_buffer = small_buffer};

/// A session, and the raw peer at the other end of its connection. The session's end is the one that accepted.
template <class Session>
class conversation_with
{
    no_leaked_descriptors descriptors_;  // first: it watches all the others

public:
    explicit conversation_with(raw_options const& peer_options = {}) : pair{connect(peer_options)} {}

    conversation_with(conversation_with const&) = delete;
    conversation_with& operator=(conversation_with const&) = delete;

    Session make(duet::session_options const& options = {})
    {
        return adopt<Session>(pair.server, context.get_executor(), options);
    }

    /// Run `body(session)` to its end. Then the session is destroyed, and nothing may be left to do on the context.
    template <class Body>
    void play(duet::session_options const& options, Body&& body)
    {
        run(context, converse(options, body));
    }

    template <class Body>
    void play(Body&& body)
    {
        play({}, std::forward<Body>(body));
    }

    asio::io_context context;
    raw_pair pair;
    raw_socket& peer = pair.client;

private:
    static raw_pair connect(raw_options const& peer_options)
    {
        if constexpr (std::is_same_v<Session, duet::session>)
        {
            return connected_pair(raw_address::v4(0), peer_options);
        }
        else
        {
            static std::atomic<int> number = 0;
            auto const name =
                std::string(1, '\0') + "duet-" + std::to_string(::getpid()) + '-' + std::to_string(++number);
            return connected_pair(raw_address::local(name), peer_options);
        }
    }

    template <class Body>
    asio::awaitable<void> converse(duet::session_options const& options, Body& body)
    {
        auto session = make(options);
        co_await body(session);
    }
};

using tcp_talk = conversation_with<duet::session>;
using unix_talk = conversation_with<duet::unix_session>;

}  // namespace duet_test

#endif
