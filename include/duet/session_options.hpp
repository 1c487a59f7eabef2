// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_OPTIONS_HPP
#define DUET_SESSION_OPTIONS_HPP

#include <chrono>
#include <cstddef>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {

/// The deadlines of a session. Zero means no deadline. Plain data, trivially destructible.
///
/// No deadline expires early, and each may expire late by one tick of the system's coarse clock (10 ms or less on
/// Linux). One exception: activity is timed by the last tick, so if ticks themselves are late (a busy virtual machine),
/// `idle` is early by as much. Setting a deadline only stores a time point; a session has one timer, which expires only
/// when the earliest deadline is due.
struct deadlines
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest time that one read operation may take, from its call to its completion. This includes `read` and
    /// `read_until`: a peer that sends single bytes now and then does not extend it. The operation ends with
    /// errc::read_timed_out; the session stays usable, and bytes that arrive later stay readable.
    duration read{};

    /// The longest time that a write may wait while the kernel accepts none of its bytes; progress restarts it. The
    /// write ends with errc::write_timed_out and the number of bytes so far. It poisons the send side if a part of it
    /// was sent or a FIN waits behind it.
    duration write{};

    /// The longest time without a byte in either direction. Then the connection is reset. A one-way transfer on a
    /// half-closed connection is not idle. For a graceful end use `read`, and close() when it expires.
    ///
    /// For `idle`, `half_closed` and `close`, acknowledged bytes also count as progress, so a slow peer that drains the
    /// kernel's buffer is not idle. Acknowledgements are checked when the deadline is due, so bytes that were
    /// unacknowledged then may double it.
    duration idle{};

    /// The longest time without a byte while one direction has ended and the other has not (FIN_WAIT2, CLOSE_WAIT).
    /// Then the connection is reset. Without this deadline a program may hold such a connection for ever: the kernel's
    /// own FIN_WAIT2 timer runs only after the descriptor was closed.
    duration half_closed = std::chrono::minutes{2};

    /// The longest time that close() waits without progress. Progress is bytes that the kernel accepts, bytes that the
    /// peer acknowledges, and bytes received.
    duration close = std::chrono::seconds{5};

    /// The longest time that close() takes in all, with or without progress.
    duration close_total = std::chrono::seconds{30};

    /// How long a peer may leave probes or data unacknowledged until it counts as dead. This sets keepalive *and*
    /// TCP_USER_TIMEOUT, because keepalive does not run while data is unacknowledged (RFC 1122 4.2.3.6, RFC 5482).
    /// Keepalive is rounded up to whole seconds, at least 2. TCP only; systems other than Linux have keepalive only.
    duration dead_peer = std::chrono::minutes{2};

    /// The absolute deadline for the first whole message, counted from accept or connect. It is met by the first
    /// `read`, `read_until` or `read_all` that completes, or by session::first_message_received() in programs that use
    /// `read_some`. Progress does not extend it. Then the connection is reset.
    duration first_message{};
};

/// The options of a session. Plain data, trivially destructible.
struct session_options
{
    duet::deadlines deadlines{};

    /// TCP_NODELAY. On by default: a library that writes whole messages gains nothing from Nagle's algorithm but its
    /// delay.
    bool no_delay = true;

    /// SO_SNDBUF and SO_RCVBUF in bytes. 0 keeps the system's choice, on Linux its auto-tuning.
    int send_buffer_size = 0;
    int receive_buffer_size = 0;

    /// The maximum number of bytes that close() reads and discards while it waits for the peer's FIN.
    std::size_t close_discard_limit = std::size_t{64} * 1024 * 1024;
};

}  // namespace v0
}  // namespace duet

#endif
