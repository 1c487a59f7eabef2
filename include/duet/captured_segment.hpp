// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CAPTURED_SEGMENT_HPP
#define DUET_CAPTURED_SEGMENT_HPP

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A TCP segment as it was on the wire. Plain data.
struct captured_segment
{
    friend bool operator==(captured_segment const&, captured_segment const&) = default;

    // When it was captured, by the steady clock of this machine and by the time of day.
    std::chrono::steady_clock::time_point time{};
    std::chrono::system_clock::time_point wall_time{};

    boost::asio::ip::tcp::endpoint from{};
    boost::asio::ip::tcp::endpoint to{};
    tcp_flags flags = tcp_flags::none;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;  ///< 0 without tcp_flags::ack
    std::uint64_t bytes = 0;            ///< of payload

    std::uint16_t window = 0;                    ///< as in the header: not scaled
    std::optional<std::uint8_t> window_scale{};  ///< the option of a SYN, at most 14; nullopt: it has none

    std::uint32_t length = 0;         ///< of the packet on the wire, from its IP header on
    std::vector<std::byte> packet{};  ///< the packet from its IP header on, or its beginning

    std::uint64_t event = 0;  ///< the number of its event in the trace, once merge() has added it
};

/// What a tap has captured.
struct tap_capture
{
    std::vector<captured_segment> segments{};  ///< in the order in which they were captured
    std::uint64_t lost = 0;                    ///< that there was no room for, after the last of those that are here
};

/// Reads an IPv4 or IPv6 packet from its IP header on. `length` is that of the packet on the wire, of which `packet`
/// may be the beginning. The result has no times and no event.
///
/// nullopt: it is not TCP, it is a fragment, its IPv6 header has extensions, its lengths contradict each other, or the
/// 20 bytes that every TCP header has are not all there.
DUET_DECL std::optional<captured_segment> parse_segment(std::span<std::byte const> packet, std::uint32_t length);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/wire/captured_segment.ipp>
#endif

#endif
