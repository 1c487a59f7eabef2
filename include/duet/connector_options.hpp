// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CONNECTOR_OPTIONS_HPP
#define DUET_CONNECTOR_OPTIONS_HPP

#include <chrono>
#include <cstddef>

#include <duet/backoff.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace v0 {

/// What a connector is made with. Plain data, trivially destructible. A deadline of zero is none.
struct connector_options
{
    using duration = std::chrono::steady_clock::duration;

    /// The longest that one connect takes in all, from the look-up of the name to the session. With retries: each try.
    /// Without it a peer that drops SYNs holds a connect for the kernel's own limit, some two minutes on Linux.
    duration timeout = std::chrono::seconds{30};

    /// The longest that the name's look-up takes.
    duration resolve_timeout{};

    /// The longest that the attempt on one address takes; the others go on.
    duration attempt_timeout{};

    /// How long an attempt has to itself until the one on the next address joins it (RFC 8305 5, "Connection Attempt
    /// Delay"). A failed attempt is followed at once. Less than 10 ms is taken as 10 ms, the least that the RFC allows.
    duration attempt_delay = std::chrono::milliseconds{250};

    /// For every session; its socket options are set on each attempt's socket, before it connects.
    session_options session{};
};

/// How a connect tries again. Plain data, trivially destructible: it may stand within an awaited call.
struct retry_options
{
    /// The waits between the tries.
    backoff_options delays{};

    /// The most tries, the first one included; 0 is no limit.
    std::size_t max_tries = 0;
};

/// A try failed, and there will be another: told to basic_connector::on_retry().
struct connect_retry
{
    session_error const& error;  ///< a basic_connect_error, with every attempt
    std::size_t tries;           ///< so far
    connector_options::duration next_try_in;
};

}  // namespace v0
}  // namespace duet

#endif
