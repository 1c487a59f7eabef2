// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_REQUEST_OPTIONS_HPP
#define DUET_REQUEST_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The limits of a request_stream. Plain data, trivially destructible.
struct request_options
{
    using duration = std::chrono::steady_clock::duration;

    static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

    /// The longest time from the call of a request to its answer. Zero means no limit.
    duration within = std::chrono::seconds{30};

    /// The most requests under way. Further ones wait, in the order of the calls.
    std::size_t max_under_way = 1024;

    /// The most requests that wait for that. A further one fails at once with errc::too_many_waiting.
    std::size_t max_waiting = no_limit;
};

/// What has become of the requests of a request_stream.
struct request_counters
{
    std::size_t under_way = 0;  ///< requests that were begun and not answered
    std::size_t waiting = 0;    ///< requests that wait until fewer are under way

    std::uint64_t answered = 0;
    std::uint64_t timed_out = 0;  ///< requests whose time passed
    std::uint64_t late = 0;       ///< answers to requests that nobody waited for any more: they were dropped
    std::uint64_t writes = 0;     ///< writes of the session, each of which had one request or more
};

/// The limits of serve_requests(). Plain data, trivially destructible.
struct serve_requests_options
{
    /// The most requests of one peer that are answered at once. While there are so many, no further one is read: the
    /// peer's window closes when the session's buffers are full.
    std::size_t max_concurrent = 64;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
