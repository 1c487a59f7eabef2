// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_OPTIONS_HPP
#define DUET_SESSION_OPTIONS_HPP

#include <chrono>
#include <cstddef>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {

/// Every deadline of a session. Zero is none. Plain data, trivially destructible.
///
/// None fires early, and each may fire late by one tick of the system's coarse clock (10 ms or less on Linux). Where
/// activity counts, it is timed by the last tick: if ticks themselves are late (a busy virtual machine), `idle` is
/// early by as much. Deadlines are lazy: arming one stores a time point, and one timer per session wakes only when the
/// earliest is due.
struct deadlines
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest that one read operation may take, from its call to its completion (`read` and `read_until`
    /// included: a peer that sends a byte now and then does not stretch it). The operation ends with
    /// errc::read_timed_out; the session stays usable, and bytes that arrive later stay readable.
    duration read{};

    /// The longest that a write may wait while the kernel takes none of its bytes; restarted by progress. The write
    /// ends with errc::write_timed_out and the bytes so far, and the send side is poisoned.
    duration write{};

    /// The longest time without a byte in either direction. The connection is reset. A one-way transfer on a
    /// half-closed connection is not idle. For a polite end use `read`, and close() when it passes.
    ///
    /// Bytes that wait in the kernel for a slow peer and are acknowledged are progress too, here, at half_closed and at
    /// close. It is looked at when the deadline is due, so what was under way by then may double it.
    duration idle{};

    /// The longest time without a byte while one direction has ended and the other has not (FIN_WAIT2, CLOSE_WAIT).
    /// The connection is reset. A program that holds such a connection holds it forever: the kernel's own FIN_WAIT2
    /// timer runs only after the descriptor was closed.
    duration half_closed = std::chrono::minutes{2};

    /// The longest that close() waits without progress: bytes taken or acknowledged by the peer, bytes received.
    duration close = std::chrono::seconds{5};

    /// The longest that close() takes in all, however much progress there is.
    duration close_total = std::chrono::seconds{30};

    /// How long a peer may leave probes or data unacknowledged until it counts as dead: keepalive *and*
    /// TCP_USER_TIMEOUT, since keepalive does not run while data is unacknowledged (RFC 1122 4.2.3.6, RFC 5482). In
    /// whole seconds on the wire, at least 2. TCP on Linux only; elsewhere keepalive alone.
    duration dead_peer = std::chrono::minutes{2};

    /// The absolute deadline for the first whole message, counted from accept or connect: met by the first `read`,
    /// `read_until` or `read_all` that completes, or by session::first_message_received() where the program frames
    /// with `read_some`. Progress does not stretch it. The connection is reset.
    duration first_message{};
};

/// What a session is made with. Plain data, trivially destructible.
struct session_options
{
    duet::deadlines deadlines{};

    /// TCP_NODELAY. On: a library that writes whole messages gains nothing from Nagle's algorithm but its delay.
    bool no_delay = true;

    /// SO_SNDBUF and SO_RCVBUF in bytes. 0 leaves the system's choice, and on Linux its auto-tuning.
    int send_buffer_size = 0;
    int receive_buffer_size = 0;

    /// The most that close() reads and discards, in bytes, while it waits for the peer's FIN.
    std::size_t close_discard_limit = std::size_t{64} * 1024 * 1024;
};

}  // namespace v0
}  // namespace duet

#endif
