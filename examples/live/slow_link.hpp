// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIVE_SLOW_LINK_HPP
#define EXAMPLES_LIVE_SLOW_LINK_HPP

// A slow link that loses packets, on Linux: a TUN device whose other end is this program. The system's TCP and UDP send
// through it, so that loss, delay and a full queue do to them what a real link does. It is to be used in a network
// namespace of one's own.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

namespace example {

struct link_options
{
    std::uint32_t rate = 0;             // bytes a second of the media; the other direction has no limit
    std::chrono::milliseconds delay{};  // in each direction, besides the queue
    std::size_t queue = 0;              // bytes that wait for the link; what does not fit is lost
    double loss = 0;                    // the probability for each packet of the media
    std::uint32_t seed = 0;
};

class slow_link
{
public:
    using clock = std::chrono::steady_clock;

    /// What is sent to `far` arrives, through the link, at `near`: one machine is on both sides. The link exchanges the
    /// addresses of each packet, which leaves its checksums right.
    static constexpr char const* near = "10.99.0.1";
    static constexpr char const* far = "10.99.0.2";

    /// Makes the device, and carries packets until it is destroyed, or the context ends. Packets for `media_port` are
    /// those of the media. Throws system_error if the system does not let us.
    slow_link(boost::asio::any_io_executor executor, std::uint16_t media_port, link_options const& options);

    boost::asio::awaitable<void> run();

    void set_rate(std::uint32_t bytes_a_second) noexcept { options_.rate = bytes_a_second; }

    void set_loss(double probability) noexcept { options_.loss = probability; }

private:
    struct packet
    {
        clock::time_point due;
        std::vector<char> bytes;
    };

    /// One direction: packets leave in the order in which they came.
    struct direction
    {
        explicit direction(boost::asio::any_io_executor const& executor) : timer{executor} {}

        std::deque<packet> under_way{};
        boost::asio::steady_timer timer;
    };

    boost::asio::awaitable<void> receive();
    boost::asio::awaitable<void> deliver(direction& to);
    void take(std::vector<char> bytes);
    std::optional<clock::time_point> media_due(std::size_t size);

    boost::asio::posix::stream_descriptor device_;
    std::uint16_t media_port_;
    link_options options_;
    std::mt19937 random_;
    direction media_;
    direction back_;
    clock::time_point free_at_{};  // when the link has sent everything that waits
};

}  // namespace example

#endif
