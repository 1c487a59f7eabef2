// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PACKET_RING_HPP
#define DUET_TEST_PACKET_RING_HPP

#include "support/descriptor.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace duet_test {

// A packet as the ring holds it, from its IP header on; valid until the next call of next().
struct ring_packet
{
    std::chrono::system_clock::time_point time;
    int family = 0;         // AF_INET, AF_INET6 or AF_UNSPEC
    bool incoming = false;  // else outgoing
    std::span<std::byte const> bytes;
};

// The packets of lo by way of AF_PACKET, in a ring of memory shared with the kernel that holds the headers of 65,536
// packets. An ordinary socket buffer would not do: it charges whole packets (64 KiB each on lo), and
// net.core.rmem_max holds it at 416 KiB for the root of a user namespace.
//
// Of each packet's two passages it holds the outgoing one, and of UDP over IPv4 the incoming one as well.
// Captures from construction on.
class packet_ring
{
public:
    packet_ring();
    ~packet_ring();

    packet_ring(packet_ring const&) = delete;
    packet_ring& operator=(packet_ring const&) = delete;

    // Readable when next() has a packet.
    int fd() const noexcept { return socket_.get(); }

    std::optional<ring_packet> next();

    // How many packets found the ring full since the last call.
    std::uint64_t take_lost_count();

private:
    std::byte* frame() const noexcept;

    descriptor socket_;
    std::byte* memory_ = nullptr;
    unsigned position_ = 0;
    bool holds_frame_ = false;
};

}  // namespace duet_test

#endif
