// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_SETTINGS_HPP
#define EXAMPLES_BALANCER_SETTINGS_HPP

#include <chrono>
#include <cstdint>
#include <optional>

#include <duet/proxy_header.hpp>
#include <duet/relay_options.hpp>

namespace example {

/// What concerns the connections to backends.
struct settings
{
    using duration = std::chrono::milliseconds;

    std::uint32_t tries = 3;                          ///< how many backends a client is offered to, at most
    duration connect_timeout{};                       ///< until an attempt to connect has failed
    duration check_interval{};                        ///< from one check of a backend to the next
    std::optional<duet::proxy_version> tells_client;  ///< begins each connection with a PROXY header
    duet::relay_options relay{};
    bool quiet = false;  ///< no line in the log for each connection
};

/// What clients have met that no backend is to blame for alone.
struct client_counters
{
    std::uint64_t without_backend = 0;  ///< were reset because no backend was up, or none of those that were tried
};

}  // namespace example

#endif
