// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_HEADERS_HPP
#define DUET_DETAIL_WIRE_HEADERS_HPP

// The headers of a packet: IPv4 (RFC 791), IPv6 (RFC 8200) and TCP (RFC 9293).

#include <cstddef>
#include <cstdint>
#include <span>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline constexpr std::size_t least_ipv4_header = 20;
inline constexpr std::size_t ipv6_header = 40;
inline constexpr std::size_t least_tcp_header = 20;
inline constexpr std::uint8_t tcp_protocol = 6;

/// A part of a packet, read and written in the byte order of the network. The caller keeps within its size.
template <class Byte>
class network_bytes
{
public:
    explicit network_bytes(std::span<Byte> bytes) : bytes_{bytes} {}

    std::size_t size() const noexcept { return bytes_.size(); }

    std::span<Byte> bytes() const noexcept { return bytes_; }

    network_bytes from(std::size_t at) const { return network_bytes{bytes_.subspan(at)}; }

    std::uint8_t u8(std::size_t at) const { return std::to_integer<std::uint8_t>(bytes_[at]); }

    std::uint16_t u16(std::size_t at) const { return static_cast<std::uint16_t>(u8(at) << 8U | u8(at + 1)); }

    std::uint32_t u32(std::size_t at) const { return std::uint32_t{u16(at)} << 16U | u16(at + 2); }

    void put8(std::size_t at, unsigned value) { bytes_[at] = static_cast<std::byte>(value & 0xffU); }

    void put16(std::size_t at, unsigned value)
    {
        put8(at, value >> 8U);
        put8(at + 1, value);
    }

    void put32(std::size_t at, std::uint32_t value)
    {
        put16(at, value >> 16U);
        put16(at + 2, value);
    }

private:
    std::span<Byte> bytes_;
};

/// The sum of RFC 1071, not yet complemented, of an even number of bytes or the last ones.
inline std::uint32_t internet_sum(std::span<std::byte const> bytes, std::uint32_t sum = 0) noexcept
{
    for (std::size_t at = 0; at < bytes.size(); ++at)
    {
        sum += std::to_integer<std::uint32_t>(bytes[at]) << (at % 2 == 0 ? 8U : 0U);
        sum = (sum & 0xffffU) + (sum >> 16U);
    }
    return sum;
}

inline std::uint16_t internet_checksum(std::uint32_t sum) noexcept
{
    return static_cast<std::uint16_t>(~sum & 0xffffU);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
