// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIVE_TRANSPORTS_HPP
#define EXAMPLES_LIVE_TRANSPORTS_HPP

// Three ways to send the frames of a camera through a link, and to receive them at the other end.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "recording.hpp"

namespace example {

struct show
{
    std::uint32_t frames;                // how many
    std::chrono::milliseconds interval;  // from one to the next
    std::size_t frame_size;              // in bytes
    std::uint16_t port;
    boost::asio::ip::address here;   // where the receiver listens
    boost::asio::ip::address there;  // what the sender connects to
};

enum class when_late
{
    queue,  ///< every frame is sent, whatever waits before it
    drop,   ///< a frame is dropped if one before it still waits for the network
};

/// Over one TCP connection. Completes when everything that was sent has arrived.
boost::asio::awaitable<void> send_by_tcp(show const& what, when_late rule, recording& result);

/// In datagrams. Completes when nothing has come for a second after the last one.
boost::asio::awaitable<void> send_by_udp(show const& what, recording& result);

}  // namespace example

#endif
