// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_WIRE_HPP
#define DUET_TEST_WIRE_HPP

#include "support/descriptor.hpp"
#include "support/segment.hpp"

#include <duet/detail/wire/packet_ring.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace duet_test {

// Captures every TCP segment on lo from construction on. Needs a private network namespace (netns.hpp).
//
//     wire capture;
//     ...
//     BOOST_TEST(capture.between(client_port, server_port).text_without_acks() == "c>s S, s>c S., c>s F., s>c F.");
//
// It shares the ring of packets with duet's tap, and nothing else: what the packets say, it reads itself.
//
// A loopback packet passes a packet socket twice; the passage where it is put on the wire is kept. That one happens
// inside the sender's system call, so what a call sent is in the capture when the call returns, and in order.
//
// Every query first waits for everything sent before it (sync()). What the kernel sends later on its own (a delayed
// acknowledgement, a retransmission) is not sent yet: wait for it with eventually().
//
// Thread safety: all members may be called from any thread, except stop() and the destructor.
class wire
{
public:
    wire();
    ~wire();

    wire(wire const&) = delete;
    wire& operator=(wire const&) = delete;

    // Returns when everything sent before is captured. Throws when the capture lost a packet: then no answer is right.
    void sync();

    // Forgets what was captured so far.
    void clear();

    std::vector<segment> segments();
    std::vector<segment> segments(std::uint16_t from_port, std::uint16_t to_port);
    conversation between(std::uint16_t client_port, std::uint16_t server_port);

    // How many segments with the flag went from or to the port, and whether a RST did.
    std::size_t count(std::uint16_t port, tcp_flag flag);
    bool has_rst(std::uint16_t port);

    // Ends the capture; the queries keep answering.
    void stop();

private:
    void open_marker();
    void capture();
    void take(duet::detail::ring_packet const& packet);
    void take_marker(duet::detail::ring_packet const& packet);
    void pass_marker();

    descriptor stop_event_;
    descriptor marker_;
    std::uint16_t marker_port_ = 0;

    std::mutex sync_mutex_;  // one sync at a time
    std::uint64_t marker_sent_ = 0;
    std::uint64_t lost_ = 0;

    std::mutex mutex_;  // of what follows
    std::condition_variable marker_seen_;
    std::uint64_t marker_received_ = 0;
    std::vector<segment> segments_;
    std::exception_ptr failure_;

    duet::detail::packet_ring ring_;
    std::thread thread_;
};

}  // namespace duet_test

#endif
