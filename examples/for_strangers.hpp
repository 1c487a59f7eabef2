// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_FOR_STRANGERS_HPP
#define EXAMPLES_FOR_STRANGERS_HPP

// A recommended set of deadlines and limits for a server that anybody may connect to: copy it, and adapt it to your
// protocol. guarded_server shows what each of them does.

#include <chrono>
#include <cstdint>

#include <duet/server_options.hpp>

namespace example {

/// Without these, a client that connects and says nothing, that sends a byte a second, or that never reads its answers
/// keeps its session, and in the end there are no descriptors left for honest ones.
inline duet::server_options for_strangers(std::uint16_t port, std::chrono::milliseconds unit = std::chrono::seconds{1})
{
    duet::server_options options;
    options.port = port;
    // Below the limit of descriptors (ulimit -n, often 1024): beyond it a client is told at once that it is one too
    // many.
    options.max_sessions = 900;
    options.at_limit = duet::limit_policy::shed;

    auto& deadlines = options.session.deadlines;
    deadlines.first_message = 10 * unit;  // from the connection to the end of the first request, however it drips
    deadlines.message = 30 * unit;        // from the first byte of a request to its end
    deadlines.next_message = 60 * unit;   // silent between requests: the session ends gracefully
    deadlines.write = 20 * unit;          // takes nothing of an answer; a slow reader is not meant
    return options;
}

}  // namespace example

#endif
