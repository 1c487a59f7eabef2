// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_CAPTURED_SEGMENT_IPP
#define DUET_DETAIL_WIRE_CAPTURED_SEGMENT_IPP

#include <algorithm>

#include <duet/captured_segment.hpp>
#include <duet/detail/wire/headers.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

using packet_bytes = network_bytes<std::byte const>;

/// What an IP header tells.
struct ip_part
{
    std::size_t header = 0;  // its size
    std::uint64_t size = 0;  // of the packet, as it says itself
    boost::asio::ip::address from;
    boost::asio::ip::address to;
};

template <class Address>
Address address_at(packet_bytes packet, std::size_t at)
{
    typename Address::bytes_type bytes;
    for (std::size_t each = 0; each < bytes.size(); ++each)
        bytes[each] = packet.u8(at + each);
    return Address{bytes};
}

// A packet that segmentation is left to the hardware for may be too large for the length in its header, which is 0
// then.
inline std::uint64_t size_or(std::uint64_t size, std::uint64_t told, std::uint32_t length) noexcept
{
    return told == 0 ? length : size;
}

inline std::optional<ip_part> ipv4_part(packet_bytes packet, std::uint32_t length)
{
    using boost::asio::ip::address_v4;
    if (packet.size() < least_ipv4_header || packet.u8(9) != tcp_protocol)
        return std::nullopt;
    bool const fragment = (packet.u16(6) & 0x3fffU) != 0;  // there are more, or its offset
    std::size_t const header = (packet.u8(0) & 0x0fU) * 4U;
    if (fragment || header < least_ipv4_header)
        return std::nullopt;
    auto const size = packet.u16(2);
    return ip_part{
        header, size_or(size, size, length), address_at<address_v4>(packet, 12), address_at<address_v4>(packet, 16)};
}

inline std::optional<ip_part> ipv6_part(packet_bytes packet, std::uint32_t length)
{
    using boost::asio::ip::address_v6;
    if (packet.size() < ipv6_header || packet.u8(6) != tcp_protocol)
        return std::nullopt;
    auto const payload = packet.u16(4);
    return ip_part{ipv6_header, size_or(ipv6_header + payload, payload, length), address_at<address_v6>(packet, 8),
        address_at<address_v6>(packet, 24)};
}

/// The window scale among the options of a SYN, as far as they are there.
inline std::optional<std::uint8_t> find_window_scale(packet_bytes options)
{
    constexpr std::uint8_t end = 0;
    constexpr std::uint8_t padding = 1;
    constexpr std::uint8_t window_scale = 3;
    for (std::size_t at = 0; at < options.size() && options.u8(at) != end;)
    {
        if (options.u8(at) == padding)
        {
            ++at;
            continue;
        }
        if (at + 1 >= options.size() || options.u8(at + 1) < 2)
            break;
        if (options.u8(at) == window_scale && options.u8(at + 1) == 3 && at + 2 < options.size())
            return std::min<std::uint8_t>(options.u8(at + 2), 14);  // RFC 7323 2.3
        at += options.u8(at + 1);
    }
    return std::nullopt;
}

}  // namespace detail

DUET_DECL std::optional<captured_segment> parse_segment(std::span<std::byte const> packet, std::uint32_t length)
{
    detail::packet_bytes const all{packet};
    auto const version = packet.empty() ? 0 : all.u8(0) >> 4U;
    auto const ip = version == 4   ? detail::ipv4_part(all, length)
                    : version == 6 ? detail::ipv6_part(all, length)
                                   : std::nullopt;
    if (!ip || packet.size() < ip->header + detail::least_tcp_header)
        return std::nullopt;
    auto const tcp = all.from(ip->header);
    std::size_t const header = (tcp.u8(12) >> 4U) * 4U;
    if (header < detail::least_tcp_header || ip->size < ip->header + header)
        return std::nullopt;

    captured_segment result;
    result.from = {ip->from, tcp.u16(0)};
    result.to = {ip->to, tcp.u16(2)};
    result.sequence = tcp.u32(4);
    result.flags = static_cast<tcp_flags>(tcp.u8(13));
    result.acknowledgement = contains(result.flags, tcp_flags::ack) ? tcp.u32(8) : 0;
    result.bytes = ip->size - ip->header - header;
    result.window = tcp.u16(14);
    if (contains(result.flags, tcp_flags::syn))
    {
        auto const there = std::min(header, tcp.size());
        result.window_scale = detail::find_window_scale(
            detail::packet_bytes{tcp.bytes().subspan(detail::least_tcp_header, there - detail::least_tcp_header)});
    }
    result.length = length;
    result.packet.assign(packet.begin(), packet.end());
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
