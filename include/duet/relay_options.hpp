// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RELAY_OPTIONS_HPP
#define DUET_RELAY_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <duet/close_report.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The options of relay(). Plain data, trivially destructible.
struct relay_options
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest time without a byte in either direction; then both connections are reset. Zero means no deadline.
    /// Bytes that the receiver drains from the kernel's buffer also count.
    duration idle{};

    /// The longest time without a byte while one side has finished and the other has not; then both connections are
    /// reset. Zero means no deadline.
    duration half_closed = std::chrono::minutes{2};

    /// The maximum buffer size for each direction, in bytes. A direction between TCP or TLS sessions has a buffer only
    /// while it has bytes, and of 1 MiB at most. On other streams it always has one. It begins with a smaller buffer,
    /// which grows if its reads fill it. Buffers that do not fit the processor's cache are slower: with 8 connections,
    /// buffers of 256 KiB took up to twice the time of 64 KiB.
    std::size_t buffer_size = std::size_t{64} * 1024;

    /// On Linux, between two TCP sessions: let the kernel move bulk data by splice(2), without copying. A direction
    /// that gets 48 KiB or more at once uses a pipe of 256 KiB (two descriptors) in addition to its buffer, as long as
    /// bytes arrive; each context keeps up to 16 empty pipes. Small messages are faster in a buffer. splice(2) is not
    /// used if buffer_size is below 48 KiB, nor for the rest of a relay after the system has no more pipes of this size
    /// (a user has 64 MiB of them) or refuses splice(2).
    bool splice = true;
};

/// How one direction of a relay ended. Plain data, trivially destructible.
struct relay_direction
{
    /// Bytes that the kernel has accepted for the receiver.
    std::uint64_t bytes = 0;

    /// True if the sender's FIN arrived, and everything before it and the FIN itself were passed on.
    bool finished = false;

    /// If it is not finished, the reason: the error of the side that failed first.
    error_code error{};
};

/// How a relay ended. Plain data, trivially destructible.
struct relay_report
{
    relay_direction forward{};   ///< from the first session to the second
    relay_direction backward{};  ///< from the second session to the first
    close_report first{};        ///< the end of the first session
    close_report second{};       ///< the end of the second session

    /// True if both directions ended with FIN, and both peers acknowledged everything.
    bool clean() const noexcept { return forward.finished && backward.finished && first.clean() && second.clean(); }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
