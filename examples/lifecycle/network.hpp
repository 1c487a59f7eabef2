// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_NETWORK_HPP
#define EXAMPLES_LIFECYCLE_NETWORK_HPP

// What a scene does to the network, on Linux: a network of its own, and segments that are lost.

#include <duet/trace_log.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace example {

/// This process may not do something; what() says what, and what it takes.
class not_permitted : public std::runtime_error
{
public:
    using runtime_error::runtime_error;
};

/// Move this process into a network namespace that nobody else is in: a loopback interface, counters at zero, and the
/// right to capture. An ordinary user gets it together with a user namespace, in which he is root. The process must
/// have one thread. Throws not_permitted.
void enter_own_network();

/// Lose the segments that come for this socket and have one of these flags, before its TCP sees them. It needs no
/// privilege.
void lose_incoming(int socket, duet::tcp_flags which);

/// There is no segment without one of them.
constexpr auto any_segment = static_cast<duet::tcp_flags>(0xff);

/// The end of lose_incoming().
void lose_nothing(int socket);

/// A counter of this network namespace, as in /proc/net/netstat: "ListenOverflows".
std::uint64_t counter(std::string_view name);

}  // namespace example

#endif
