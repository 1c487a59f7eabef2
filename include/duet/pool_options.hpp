// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_POOL_OPTIONS_HPP
#define DUET_POOL_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The limits of a connection pool. Plain data, trivially destructible. A duration of zero means no limit.
struct pool_options
{
    using duration = std::chrono::steady_clock::duration;

    static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

    /// The most connections at once: leased, idle, or being made. At least 1.
    std::size_t max_connections = 8;

    /// The most connections that are kept while nobody uses them. One that is given back beyond that is closed.
    std::size_t max_idle = no_limit;

    /// The most acquires that wait while all connections are in use. A further one fails at once with
    /// errc::too_many_waiting.
    std::size_t max_waiting = no_limit;

    /// The longest time that an acquire waits for a connection of others. It does not count the connect and the check
    /// that may follow: connector_options::timeout limits the one, and the check limits itself.
    duration wait = std::chrono::seconds{30};

    /// How long a connection may be idle until it is closed. Best a little less than the server allows: then it is
    /// rarely the server that ends a connection, just as a request is sent on it.
    duration idle = std::chrono::minutes{1};

    /// How old a connection may become, from its connect, until it is used no more: so that a pool follows a name whose
    /// addresses change.
    duration max_age{};

    /// How many leases a connection serves.
    std::size_t max_uses = no_limit;
};

/// What a pool has, and what has happened in it so far.
struct pool_counters
{
    std::size_t idle = 0;     ///< connections that nobody uses
    std::size_t in_use = 0;   ///< leases, and acquires that connect or check
    std::size_t waiting = 0;  ///< acquires that wait for a connection of others

    std::uint64_t connected = 0;        ///< connects that have succeeded
    std::uint64_t connects_failed = 0;  ///< connects that have failed, or were cancelled
    std::uint64_t reused = 0;           ///< leases of a connection that another lease had given back
    std::uint64_t unhealthy = 0;        ///< idle connections that were closed because they were of no use any more
    std::uint64_t evicted = 0;          ///< idle connections that were closed because their time was over
    std::uint64_t abandoned = 0;        ///< leases that were not given back: their connections were reset
    std::uint64_t timed_out = 0;        ///< acquires that have waited in vain
    std::uint64_t refused = 0;          ///< acquires that would have waited, and were one too many
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
