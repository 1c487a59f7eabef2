// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_FAULTS_HPP
#define DUET_TEST_FAULTS_HPP

// Loss and death by socket filter and TCP_REPAIR, on one TCP socket. Filters and crash need the rights of a private
// network namespace (netns.hpp).

namespace duet_test {

// What the kernel drops before the socket sees it. Its peer retransmits, as on a lossy network.
enum class loss
{
    everything,  // the socket is deaf: a dead peer, as the other end sees it
    fin,
    rst,
    syn  // on a listener: connects hang. Accepted sockets inherit their listener's filter
};

// Replaces an earlier filter of the socket.
void drop_incoming(int fd, loss what);
void drop_nothing(int fd);

// Drops what carries a flag of the mask (the flags byte of the TCP header).
void drop_incoming_flags(int fd, unsigned mask);

// The next close() of this descriptor sends nothing and forgets the connection, as after a crash: the other end stays
// ESTABLISHED, and what it sends is answered with RST.
void make_close_silent(int fd);

// The next close() of this descriptor sends RST and nothing else (SO_LINGER {1, 0}).
void make_close_reset(int fd);

}  // namespace duet_test

#endif
