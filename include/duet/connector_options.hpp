// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CONNECTOR_OPTIONS_HPP
#define DUET_CONNECTOR_OPTIONS_HPP

#include <chrono>
#include <cstddef>

#include <duet/backoff.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The options of a connector. Plain data, trivially destructible. A deadline of zero means no deadline.
struct connector_options
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest time that one connect takes in all, from the look-up of the name to the session. With retries it
    /// applies to each try. Without it, a peer that drops SYNs delays a connect until the kernel's own limit, about two
    /// minutes on Linux.
    duration timeout = std::chrono::seconds{30};

    /// The longest time that the look-up of the name takes.
    duration resolve_timeout{};

    /// The longest time that the attempt on one address takes. The other attempts go on.
    duration attempt_timeout{};

    /// How long an attempt runs alone before the attempt on the next address begins (RFC 8305 5, "Connection Attempt
    /// Delay"). After a failed attempt the next one begins at once. Values below 10 ms, the minimum of the RFC, count
    /// as 10 ms.
    duration attempt_delay = std::chrono::milliseconds{250};

    /// The options of every session. Its socket options are set on the socket of each attempt, before it connects.
    session_options session{};
};

/// How a connect is retried. Plain data, trivially destructible, so it may be used inside a co_await expression.
struct retry_options
{
    /// The delays between the tries. Options that are not valid are refused with invalid_argument, before the first
    /// try.
    backoff_options delays{};

    /// The maximum number of tries, including the first one; 0 means no limit.
    std::size_t max_tries = 0;
};

/// A try failed and another one will follow; passed to the hook of basic_connector::on_retry().
struct connect_retry
{
    session_error const& error;  ///< a basic_connect_error, with the error of every attempt
    std::size_t tries;           ///< the number of tries so far
    connector_options::duration next_try_in;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
