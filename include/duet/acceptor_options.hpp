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
inline namespace v0 {

/// The system has no descriptor, memory or buffer for another connection, or refuses to accept for another reason that
/// is none of a single connection's; the acceptor waits and tries again.
struct accept_failure
{
    boost::system::error_code error;                  ///< EMFILE, ENFILE, ENOBUFS, ENOMEM, ...
    std::chrono::steady_clock::duration next_try_in;  ///< 5 ms, doubling up to 1 s
    std::uint64_t failures_in_a_row;
};

/// What an acceptor is made with. It has a member with a destructor: hand it to constructors only, never within an
/// awaited call (g++ 12 destroys such a temporary twice).
struct acceptor_options
{
    /// The most connections that may wait in the accept queue; the system cuts it to its own limit (Linux:
    /// net.core.somaxconn). A full queue drops SYNs silently, and clients hang in connect for a second or more.
    int backlog = 4096;

    /// SO_REUSEADDR: bind although connections of an earlier listener are still in TIME_WAIT. For a Unix-domain path:
    /// take over the socket file of a listener that is gone.
    bool reuse_address = true;

    /// SO_REUSEPORT: several listeners on one endpoint, among which the kernel spreads the connections.
    bool reuse_port = false;

    /// An IPv6 listener takes IPv4 connections too (IPV6_V6ONLY off), whatever the system's default is.
    bool dual_stack = true;

    /// The most connections taken from the queue before other work on the executor gets its turn.
    std::size_t batch = 16;

    /// For every session accepted. On Linux set on the listener and inherited: it costs no call for each session.
    session_options session{};

    /// Called on the acceptor's executor at each resource failure. Must not throw.
    std::function<void(accept_failure const&)> on_resource_failure{};
};

/// What an acceptor has met so far.
struct acceptor_counters
{
    std::uint64_t accepted = 0;
    std::uint64_t connection_failures = 0;  ///< connections that were broken before they could be accepted
    std::uint64_t resource_failures = 0;    ///< attempts that the system had no descriptor or memory for
};

/// The kernel's accept queue.
struct listen_queue
{
    std::size_t length = 0;  ///< connections whose handshake is done and that nobody has accepted
    std::size_t limit = 0;

    /// How often a queue was full, for all listeners of this network namespace together: the kernel counts no finer.
    std::uint64_t overflows = 0;
};

}  // namespace v0
}  // namespace duet

#endif
