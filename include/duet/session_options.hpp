// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_OPTIONS_HPP
#define DUET_SESSION_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The deadlines of a session. Zero means no deadline. Plain data, trivially destructible.
///
/// No deadline expires early, and each may expire late by one tick of the system's coarse clock (10 ms or less on
/// Linux). One exception: activity is timed by the last tick, so if ticks themselves are late (a busy virtual machine),
/// `idle` is early by as much. Setting a deadline only stores a time point; a session has one timer, which expires only
/// when the earliest deadline is due.
///
/// **The deadlines of the peer count only while an operation waits for the peer**, not while the program itself works:
/// `idle` and `half_closed` count while a read, a write, delivered() or wait_peer_gone() is pending, and from its
/// begin; `first_message`, `next_message` and `message` while a read is. A session on which nothing waits has no timer,
/// and does not keep the context running.
///
/// **Progress** is a byte that is received, that the kernel accepts, or that the peer's TCP acknowledges. On Linux the
/// time of an acknowledgement is known; elsewhere, and on a Unix-domain socket, it is noticed when the deadline is due,
/// so bytes that were unacknowledged then may double the deadline.
///
/// **What the defaults do not protect from**: a client that connects and says nothing, that is silent between messages,
/// or that sends single bytes now and then, keeps its session for ever. A server for strangers sets `first_message`,
/// `next_message`, `message` and `write`: examples/for_strangers.hpp is a recommended set.
struct deadlines
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest time that one read operation may take, from its call to its completion. This includes `read` and
    /// `read_until`: a peer that sends single bytes now and then does not extend it. The operation ends with
    /// errc::read_timed_out; the session stays usable, and bytes that arrive later stay readable. To limit a single
    /// call, see `within()` of the operation.
    duration read{};

    /// The longest time that a write may wait without progress: the kernel accepts none of its bytes, and the peer
    /// acknowledges none. So a slow reader is not cut off, and one that takes nothing is. The write ends with
    /// errc::write_timed_out and the number of bytes so far. It poisons the send side if a part of it was sent or a FIN
    /// waits behind it.
    duration write{};

    /// The longest time without progress in either direction. Then the connection is reset. A one-way transfer on a
    /// half-closed connection is not idle. For a graceful end see `next_message`.
    duration idle{};

    /// The longest time without progress while one direction has ended and the other has not (FIN_WAIT2, CLOSE_WAIT).
    /// Then the connection is reset. Without this deadline a program may wait for ever: the kernel's own FIN_WAIT2
    /// timer runs only after the descriptor was closed.
    duration half_closed = std::chrono::minutes{2};

    /// The longest time that close() waits without progress. Then the connection is reset.
    duration close = std::chrono::seconds{5};

    /// The longest time that close() takes once the kernel has accepted every write. If there is still progress then,
    /// close() leaves the rest to the kernel, as a plain close(2) does, and the report says so
    /// (close_reason::left_to_kernel): a slow reader gets everything, and nothing is reset.
    duration close_total = std::chrono::seconds{30};

    /// How long the peer's TCP may give no sign of life until the peer counts as dead: neither data nor an
    /// acknowledgement nor the answer to a probe. The kernel's keepalive asks while nothing is under way (whole
    /// seconds, at least 2), its retransmissions and window probes while bytes are; on Linux the session judges the
    /// latter itself. A peer that keeps its window closed and answers probes is alive. (TCP_USER_TIMEOUT alone, RFC
    /// 5482, would end it.) Noticed while an operation waits. On Linux, a
    /// connection of a connector gets its keepalive when an operation has waited for a quarter of this time, or when
    /// the program asks for the socket: most connections end before, and need none. Linux before 6.15 doubles the
    /// pauses between probes up to two minutes, and may take as much longer to notice. TCP only; systems other than
    /// Linux have keepalive only.
    duration dead_peer = std::chrono::minutes{2};

    /// The absolute deadline for the first whole message, counted from accept or connect. It is met by the first
    /// `read`, `read_until` or `read_all` that completes, by the first answer (a write after bytes were received), or
    /// by session::message_received(). Progress does not extend it. Then the connection is reset.
    duration first_message{};

    /// The longest wait for the first byte of a message, from the call of the read that waits for it: how long a client
    /// may be silent between messages. The read ends with errc::next_message_timed_out; a handler of a server that
    /// leaves with it, and a message handler, end their session gracefully. See session::message_received() for what
    /// counts as the end of the message before.
    duration next_message{};

    /// The longest time for the whole of a message, from its first byte: for a client that stalls in the middle of one,
    /// or sends a byte a second. Progress does not extend it. Then the connection is reset.
    duration message{};
};

/// What a write does when the writes that wait in a session's queue have reached session_options::queue_limit.
enum class full_queue : std::uint8_t
{
    wait,   ///< it queues nevertheless, and completes in its turn: that holds back whoever awaits it
    fail,   ///< it fails with errc::queue_full, nothing of it is sent, and the session goes on
    abort,  ///< the session is reset, and all of its operations fail with errc::queue_full
};

/// The options of a session. Plain data, trivially destructible.
struct session_options
{
    duet::deadlines deadlines{};

    /// TCP_NODELAY. On by default: a library that writes whole messages gains nothing from Nagle's algorithm but its
    /// delay. On Linux, a connection of a connector gets it before its second write, or when the program asks for the
    /// socket: it makes no difference to the first.
    bool no_delay = true;

    /// SO_SNDBUF and SO_RCVBUF in bytes. 0 keeps the system's choice, on Linux its auto-tuning.
    int send_buffer_size = 0;
    int receive_buffer_size = 0;

    /// How many bytes of writes may wait in the session's queue while the peer takes none, and what a further write
    /// does. Each write counts with its bytes and 256 more; one alone may be of any size. 0: no limit. For a program
    /// that writes to many peers without awaiting each: a peer that never reads would keep all that it is sent.
    std::size_t queue_limit = 0;
    full_queue when_queue_full = full_queue::fail;

    /// The maximum number of bytes that close() reads and discards while it waits for the peer's FIN.
    std::size_t close_discard_limit = std::size_t{64} * 1024 * 1024;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
