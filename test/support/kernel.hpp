// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_KERNEL_HPP
#define DUET_TEST_KERNEL_HPP

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

// What the kernel knows about a connection. Nothing here changes or consumes anything; in particular SO_ERROR is never
// read, since reading it eats the error (P18).

namespace duet_test {

// The numbers of the kernel's TCP_* states.
enum class kernel_state : std::uint8_t
{
    established = 1,
    syn_sent,
    syn_received,
    fin_wait1,
    fin_wait2,
    time_wait,
    closed,
    close_wait,
    last_ack,
    listen,
    closing
};

std::ostream& operator<<(std::ostream& out, kernel_state state);
std::ostream& operator<<(std::ostream& out, std::optional<kernel_state> const& state);

// From TCP_INFO. TIME_WAIT shows as closed there: a descriptor no longer owns it (torture list 0.2).
kernel_state state_of(int fd);

// From /proc/net/tcp and tcp6 of this namespace, by ports: also TIME_WAIT, and sockets whose descriptor is closed.
// Empty when there is no such socket. A listener has the remote port 0.
std::optional<kernel_state> state_of(std::uint16_t local_port, std::uint16_t remote_port);

// How many TCP sockets are in the state: all, or those with the port at either end.
std::size_t count_state(kernel_state state);
std::size_t count_state(kernel_state state, std::uint16_t port);

// Bytes received and not yet read (SIOCINQ); of a peer's FIN it tells nothing.
std::size_t unread_bytes(int fd);

// Bytes handed to the kernel and not yet acknowledged by the peer (SIOCOUTQ); a FIN counts as one.
std::size_t unacknowledged_bytes(int fd);

// What poll reports at once: "IN,OUT,ERR,HUP,RDHUP" in this order, those that are set.
std::string poll_text(int fd);

// The accept queue of a listener: what waits in it and how much it holds (TCP_INFO's tcpi_unacked and tcpi_sacked).
struct accept_queue
{
    std::size_t length = 0;
    std::size_t limit = 0;
};
accept_queue accept_queue_of(int fd);

}  // namespace duet_test

#endif
