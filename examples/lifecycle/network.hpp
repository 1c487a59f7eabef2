// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_NETWORK_HPP
#define EXAMPLES_LIFECYCLE_NETWORK_HPP

// What a scene does to the network, on Linux: a network of its own, and segments that are lost.

#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include <duet/trace_log.hpp>

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

/// The end of lose_incoming().
void lose_nothing(int socket);

/// It has sent FIN, and has heard nothing since: FIN_WAIT1. False for what is no socket any more.
bool in_fin_wait_1(int socket);

/// From now on this socket hears nothing, and its close() says nothing, if the process may have that (CAP_NET_ADMIN):
/// as if its machine was off.
void vanish(int socket);

/// Send this many SYNs from addresses that answer nothing. It needs a network of its own.
void flood_with_syns(boost::asio::ip::tcp::endpoint const& to, unsigned count);

/// Send this many ACKs of handshakes that never began, from such addresses. It needs a network of its own.
void flood_with_acks(boost::asio::ip::tcp::endpoint const& to, unsigned count);

/// How many handshakes with this listener on IPv4 have begun and are not complete: SYN_RECV in /proc/net/tcp.
std::size_t half_open(boost::asio::ip::tcp::endpoint const& listener);

/// Set a parameter of this network: "net/ipv4/tcp_syncookies". Throws not_permitted.
void set_parameter(std::string const& name, std::string const& value);

/// A counter of this network namespace, as in /proc/net/netstat: "ListenOverflows".
std::uint64_t counter(std::string_view name);

}  // namespace example

#endif
