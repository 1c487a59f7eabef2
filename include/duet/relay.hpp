// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RELAY_HPP
#define DUET_RELAY_HPP

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <duet/close_report.hpp>
#include <duet/error.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace v0 {

/// What relay() is given. Plain data, trivially destructible.
struct relay_options
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest time without a byte in either direction; then both connections are reset. Zero is none. What the
    /// receiver takes out of the kernel's buffer is such a byte, too.
    duration idle{};

    /// The longest time without a byte after one side has finished and while the other has not; then both connections
    /// are reset. Zero is none.
    duration half_closed = std::chrono::minutes{2};

    /// The room for what was read from one side and is not yet taken by the other, for each direction, in bytes. A
    /// direction begins with a part of it and grows into it when its reads come back full. More is slower once it does
    /// not fit the processor's cache: with 8 connections 256 KiB took up to twice the time of 64.
    std::size_t buffer_size = std::size_t{64} * 1024;

    /// On Linux, between two TCP sessions: let the kernel move bulk by splice(2), without a copy. A direction where 48
    /// KiB and more come at once has a pipe of 256 KiB, which is two descriptors, while there are bytes, and that room
    /// beside its buffer; up to 16 empty ones are kept for each context. Small messages are faster in a buffer, and a
    /// buffer_size below 48 KiB leaves it at that. So does a system that has no more pipes of this size (a user has 64
    /// MiB of them), or refuses splice(2), for the rest of that relay.
    bool splice = true;
};

/// How one direction of a relay ended. Plain data, trivially destructible.
struct relay_direction
{
    /// Bytes that the receiver's kernel has taken.
    std::uint64_t bytes = 0;

    /// The sender's FIN came, everything before it was passed on, and so was the FIN.
    bool finished = false;

    /// Why it ended where it was not finished: the error of the side that failed first.
    error_code error{};
};

/// How a relay ended. Plain data, trivially destructible.
struct relay_report
{
    relay_direction forward{};   ///< from the first session to the second
    relay_direction backward{};  ///< from the second session to the first
    close_report first{};        ///< the end of the first session
    close_report second{};       ///< the end of the second session

    /// Both directions came to their FIN, and both peers acknowledged everything.
    bool clean() const noexcept { return forward.finished && backward.finished && first.clean() && second.clean(); }
};

/// Carry bytes between two connections until both have ended, and end each of them: a FIN becomes a FIN, and the other
/// direction goes on; a failure becomes a RST, since half an answer must not look whole. Both directions run at once,
/// with a buffer each: a side that takes nothing stops what is meant for it, and nothing else.
///
/// Where one side fails after its FIN was passed on, the other side has all that was meant for it, and gets the
/// graceful end; a reset that comes earlier is a failure, as it is on its way through TCP. A failure is noticed while
/// the other side is silent, and while it takes nothing.
///
/// Completes with the report, on errors too. Both sessions are at their end then, and must stay until then. Their idle
/// and half-closed deadlines are replaced by those of `options`; the others count as they are.
///
/// Cancellation of any type resets both connections, and the report says so.
/// The two sessions are on one executor, and so is the caller.
template <class First, class Second>
boost::asio::awaitable<relay_report, typename First::executor_type> relay(
    First& first, Second& second, relay_options options = {});

#if defined(DUET_SEPARATE_COMPILATION)
extern template boost::asio::awaitable<relay_report> relay(session& first, session& second, relay_options options);
#endif

}  // namespace v0
}  // namespace duet

#include <duet/detail/relay/relay.ipp>

#endif
