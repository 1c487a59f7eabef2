// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_LIFECYCLE_HPP
#define DUET_LIFECYCLE_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The state of the direction from the peer to us.
enum class receive_state : std::uint8_t
{
    open,
    ended,   ///< the peer's FIN was read
    failed,  ///< reset, deadline, dead peer, or ended by us
};

/// The state of the direction from us to the peer.
enum class send_state : std::uint8_t
{
    open,
    finishing,  ///< FIN is queued behind the writes
    finished,   ///< FIN was handed to the kernel
    failed,     ///< reset, deadline, dead peer, a write cut part-way, or ended by us
};

/// The combined state of both directions.
enum class session_state : std::uint8_t
{
    open,
    half_closed_remote,  ///< the peer has finished; we may still send
    half_closed_local,   ///< we have finished; the peer may still send
    closed,              ///< neither direction carries bytes any more
};

/// Who ended the connection, and how. The first cause stays.
enum class close_reason : std::uint8_t
{
    none,             ///< it has not ended
    clean,            ///< both sides sent FIN, and the peer acknowledged everything that we sent
    discarded_input,  ///< as clean, but close() discarded bytes that the peer had sent
    peer_reset,       ///< the peer reset the connection, or was gone
    dead_peer,        ///< the peer no longer answered
    timed_out,        ///< one of our deadlines passed
    discard_limit,    ///< the peer sent more than close_discard_limit during close()
    left_to_kernel,   ///< close() ended before the connection: the kernel delivers the rest, FIN included
    aborted,          ///< abort(), or close() after a write that was cut part-way
    dropped,          ///< the session was destroyed without close()
    failed,           ///< any other error of the system
};

/// The number of reasons: each is below it.
inline constexpr std::size_t close_reasons = static_cast<std::size_t>(close_reason::failed) + 1;

/// An event in the life of a connection.
enum class lifecycle_event : std::uint8_t
{
    peer_finished,     ///< a read met the peer's FIN
    finish_requested,  ///< shutdown_send() was called
    writes_flushed,    ///< the write queue is empty
    write_cut,         ///< a write ended part-way: the peer cannot know where the next message begins
    receive_failed,    ///< a read failed for good
    send_failed,       ///< a write failed for good; bytes that arrived before are still readable
    deadline_passed,   ///< a deadline of the whole session passed: idle, half_closed, message or first_message
    abort_requested,   ///< abort() was called
    close_requested,   ///< close() was called
    all_acknowledged,  ///< the peer's TCP has everything, our FIN included
    close_gave_up,     ///< a deadline or the limit of close() was exceeded
    dropped,           ///< the last session object was destroyed
    peer_vanished,     ///< the peer's host no longer answers
    close_left,        ///< close() has waited long enough for a peer that still makes progress
};

/// The actions that an event requires. A set of flags.
enum class lifecycle_action : std::uint8_t
{
    none = 0,
    send_fin = 1,         ///< hand FIN to the kernel
    fail_reads = 2,       ///< complete the pending read
    fail_writes = 4,      ///< complete the queued writes
    discard_input = 8,    ///< read and discard until the peer's FIN
    await_delivery = 16,  ///< wait until everything sent is acknowledged
    reset = 32,           ///< close the descriptor with RST
    release = 64,         ///< close the descriptor
};

constexpr lifecycle_action operator|(lifecycle_action a, lifecycle_action b) noexcept
{
    return static_cast<lifecycle_action>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}

constexpr bool contains(lifecycle_action set, lifecycle_action one) noexcept
{
    return (static_cast<std::uint8_t>(set) & static_cast<std::uint8_t>(one)) != 0;
}

/// The rules of a connection's life, from handshake to close. It does no I/O: it takes events and returns actions.
///
/// Every combination of state and event is defined. After the descriptor is closed (`released()`), it ignores every
/// event.
///
/// Distinct objects: safe. Shared objects: unsafe.
class lifecycle
{
public:
    friend constexpr bool operator==(lifecycle const&, lifecycle const&) noexcept = default;

    constexpr receive_state receive() const noexcept { return receive_; }

    constexpr send_state send() const noexcept { return send_; }

    constexpr close_reason reason() const noexcept { return reason_; }

    /// close() was called.
    constexpr bool closing() const noexcept { return closing_; }

    /// The descriptor is closed.
    constexpr bool released() const noexcept { return released_; }

    /// A write was cut part-way.
    constexpr bool poisoned() const noexcept { return poisoned_; }

    constexpr session_state state() const noexcept
    {
        bool const receiving = receive_ == receive_state::open && !released_;
        bool const sending = send_ == send_state::open && !released_;
        if (receiving && sending)
            return session_state::open;
        if (receiving)
            return session_state::half_closed_local;
        // A FIN that waits behind writes was not sent yet.
        if (sending || (send_ == send_state::finishing && !released_))
            return session_state::half_closed_remote;
        return session_state::closed;
    }

    /// True if exactly one direction has ended with FIN, and the other is still open.
    constexpr bool half_closed() const noexcept
    {
        bool const received = receive_ == receive_state::ended;
        bool const sent = send_ == send_state::finished;
        return !released_ && (received || sent) && received != sent;
    }

    /// Report an event and get the actions that it requires. `cause` is only used with receive_failed, send_failed and
    /// close_gave_up: peer_reset, dead_peer, timed_out, discard_limit or failed.
    constexpr lifecycle_action apply(lifecycle_event event, close_reason cause = close_reason::failed) noexcept
    {
        using action = lifecycle_action;
        if (released_)
            return action::none;
        switch (event)
        {
        case lifecycle_event::peer_finished:
            if (receive_ != receive_state::open)
                return action::none;
            receive_ = receive_state::ended;
            return closing_ ? next_of_close() : action::none;

        case lifecycle_event::finish_requested:
            if (send_ == send_state::open)
                send_ = send_state::finishing;
            return action::none;

        case lifecycle_event::writes_flushed:
            if (send_ != send_state::finishing)
                return action::none;
            send_ = send_state::finished;
            return closing_ ? action::send_fin | next_of_close() : action::send_fin;

        case lifecycle_event::write_cut:
            if (send_ == send_state::finished || send_ == send_state::failed)
                return action::none;
            send_ = send_state::failed;
            poisoned_ = true;
            return closing_ ? action::fail_writes | end(close_reason::aborted, action::reset) : action::fail_writes;

        case lifecycle_event::receive_failed:
            note(cause);
            if (receive_ == receive_state::open)
                receive_ = receive_state::failed;
            return fail_send() | action::fail_reads | (closing_ ? end(cause, action::release) : action::none);

        case lifecycle_event::send_failed:
            // The receive side stays open: bytes that arrived before the reset are read first. The next read after them
            // reports receive_failed.
            note(cause);
            return fail_send() | (closing_ ? action::fail_reads | end(cause, action::release) : action::none);

        case lifecycle_event::deadline_passed:
            return end(close_reason::timed_out, action::reset);

        case lifecycle_event::abort_requested:
            return end(close_reason::aborted, action::reset);

        case lifecycle_event::close_requested:
            if (closing_)
                return action::none;
            closing_ = true;
            // A FIN after a write that was cut part-way would make the incomplete message look complete.
            if (poisoned_)
                return end(close_reason::aborted, action::reset);
            if (send_ == send_state::failed || receive_ == receive_state::failed)
                return end(reason_, action::release);
            if (send_ == send_state::open)
                send_ = send_state::finishing;
            return action::fail_reads | next_of_close();

        case lifecycle_event::all_acknowledged:
            if (!closing_ || receive_ != receive_state::ended || send_ != send_state::finished)
                return action::none;
            return end(close_reason::clean, action::release);

        case lifecycle_event::close_gave_up:
            return closing_ ? end(cause, action::reset) : action::none;

        case lifecycle_event::dropped:
            // A FIN after a write that was cut part-way would make the incomplete message look complete.
            return end(receive_ == receive_state::ended && send_ == send_state::finished ? close_reason::clean
                                                                                         : close_reason::dropped,
                poisoned_ ? action::reset : action::release);

        case lifecycle_event::peer_vanished:
            return end(close_reason::dead_peer, action::reset);

        case lifecycle_event::close_left:
            // The kernel delivers only what it has, so the FIN must have been handed to it.
            if (!closing_ || send_ != send_state::finished)
                return action::none;
            return end(close_reason::left_to_kernel, action::release);
        }
        return action::none;
    }

private:
    constexpr void note(close_reason cause) noexcept
    {
        if (reason_ == close_reason::none)
            reason_ = cause;
    }

    constexpr lifecycle_action fail_send() noexcept
    {
        if (send_ == send_state::finished || send_ == send_state::failed)
            return lifecycle_action::none;
        send_ = send_state::failed;
        return lifecycle_action::fail_writes;
    }

    /// The actions that close() still needs. It discards input while the writes are flushed: a peer that is blocked in
    /// a write would otherwise never read ours.
    constexpr lifecycle_action next_of_close() const noexcept
    {
        if (receive_ == receive_state::open)
            return lifecycle_action::discard_input;
        return send_ == send_state::finished ? lifecycle_action::await_delivery : lifecycle_action::none;
    }

    constexpr lifecycle_action end(close_reason cause, lifecycle_action how) noexcept
    {
        note(cause);
        released_ = true;
        if (receive_ == receive_state::open)
            receive_ = receive_state::failed;
        if (send_ == send_state::open || send_ == send_state::finishing)
            send_ = send_state::failed;
        return how | lifecycle_action::fail_reads | lifecycle_action::fail_writes;
    }

    receive_state receive_ = receive_state::open;
    send_state send_ = send_state::open;
    close_reason reason_ = close_reason::none;
    bool closing_ = false;
    bool released_ = false;
    bool poisoned_ = false;
};

constexpr std::string_view to_string(receive_state value) noexcept
{
    switch (value)
    {
    case receive_state::open:
        return "open";
    case receive_state::ended:
        return "ended";
    case receive_state::failed:
        return "failed";
    }
    return "?";
}

constexpr std::string_view to_string(send_state value) noexcept
{
    switch (value)
    {
    case send_state::open:
        return "open";
    case send_state::finishing:
        return "finishing";
    case send_state::finished:
        return "finished";
    case send_state::failed:
        return "failed";
    }
    return "?";
}

constexpr std::string_view to_string(session_state value) noexcept
{
    switch (value)
    {
    case session_state::open:
        return "open";
    case session_state::half_closed_remote:
        return "half_closed_remote";
    case session_state::half_closed_local:
        return "half_closed_local";
    case session_state::closed:
        return "closed";
    }
    return "?";
}

constexpr std::string_view to_string(close_reason value) noexcept
{
    switch (value)
    {
    case close_reason::none:
        return "none";
    case close_reason::clean:
        return "clean";
    case close_reason::discarded_input:
        return "discarded_input";
    case close_reason::peer_reset:
        return "peer_reset";
    case close_reason::dead_peer:
        return "dead_peer";
    case close_reason::timed_out:
        return "timed_out";
    case close_reason::discard_limit:
        return "discard_limit";
    case close_reason::left_to_kernel:
        return "left_to_kernel";
    case close_reason::aborted:
        return "aborted";
    case close_reason::dropped:
        return "dropped";
    case close_reason::failed:
        return "failed";
    }
    return "?";
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
