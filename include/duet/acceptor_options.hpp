// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_ACCEPTOR_OPTIONS_HPP
#define DUET_ACCEPTOR_OPTIONS_HPP

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A resource failure: the system has no descriptor, memory or buffer for another connection, or accepting fails for
/// another reason that does not concern a single connection. The acceptor waits and tries again.
struct accept_failure
{
    boost::system::error_code error;                  ///< EMFILE, ENFILE, ENOBUFS, ENOMEM, ...
    std::chrono::steady_clock::duration next_try_in;  ///< 5 ms, doubling up to 1 s
    std::uint64_t failures_in_a_row;
};

/// The options of an acceptor. It has a member with a destructor: pass it to constructors only, not inside a co_await
/// expression (g++ 12 destroys such a temporary twice).
struct acceptor_options
{
    /// The maximum number of connections in the accept queue. The system reduces it to its own limit (Linux:
    /// net.core.somaxconn). A full queue silently drops SYNs, and clients then wait in connect for a second or more.
    int backlog = 4096;

    /// SO_REUSEADDR: bind although connections of an earlier listener are still in TIME_WAIT. For a Unix-domain path:
    /// replace the socket file of a listener that no longer exists. Of several acceptors that start on a path at the
    /// same moment, in any processes, one gets it, and the others fail with address_in_use. For that, each holds a lock
    /// while it starts: a file beside the path whose name ends in ".duet-start", and that is removed at once.
    bool reuse_address = true;

    /// SO_REUSEPORT: allow several listeners on one endpoint, if all of them ask for it and belong to one user. The
    /// kernel spreads the connections over them.
    bool reuse_port = false;

    /// Let an IPv6 listener accept IPv4 connections, too (IPV6_V6ONLY off), whatever the system's default is.
    bool dual_stack = true;

    /// The maximum number of connections taken from the queue before other handlers on the executor run. 0 counts as 1.
    std::size_t batch = 16;

    /// The options of every accepted session. On Linux they are set on the listener and inherited, which saves the
    /// calls for each session.
    session_options session{};

    /// Called on the acceptor's executor after each resource failure. Must not throw.
    std::function<void(accept_failure const&)> on_resource_failure{};
};

/// What an acceptor has counted so far.
struct acceptor_counters
{
    std::uint64_t accepted = 0;
    std::uint64_t connection_failures = 0;  ///< connections that failed before they could be accepted
    std::uint64_t resource_failures = 0;    ///< attempts that failed for lack of descriptors or memory
};

/// The kernel's accept queue.
struct listen_queue
{
    std::size_t length = 0;  ///< connections whose handshake is complete, not yet accepted
    std::size_t limit = 0;

    /// How often a queue was full. The kernel counts this only for all listeners of this network namespace together.
    std::uint64_t overflows = 0;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
