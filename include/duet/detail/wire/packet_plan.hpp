// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_PACKET_PLAN_HPP
#define DUET_DETAIL_WIRE_PACKET_PLAN_HPP

// A packet made from what a trace tells.

#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <duet/detail/wire/headers.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The bytes of payload that fit every packet.
inline constexpr std::uint32_t most_payload = 65535 - 40 - 28;

struct packet_plan
{
    // Of one family.
    boost::asio::ip::tcp::endpoint from;
    boost::asio::ip::tcp::endpoint to;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    tcp_flags flags = tcp_flags::none;
    std::uint16_t window = 0;
    std::optional<std::uint8_t> window_scale{};  // of a SYN
    std::size_t payload = 0;                     // bytes, all of them 0; at most most_payload

    bool syn() const noexcept { return contains(flags, tcp_flags::syn); }

    std::size_t tcp_header() const noexcept
    {
        return least_tcp_header + (syn() ? 4U : 0U) + (syn() && window_scale ? 4U : 0U);
    }

    std::size_t ip_header() const noexcept { return from.address().is_v4() ? least_ipv4_header : ipv6_header; }

    std::size_t size() const noexcept { return ip_header() + tcp_header() + payload; }
};

class packet_maker
{
public:
    explicit packet_maker(packet_plan const& plan) : plan_{plan}, headers_(plan.ip_header() + plan.tcp_header()) {}

    /// The packet from its IP header on, or its first `most` bytes, but at least its headers. The checksums are those
    /// of the whole packet: a payload of zeros adds nothing to them.
    std::vector<std::byte> make(std::size_t most)
    {
        auto const addresses = plan_.from.address().is_v4() ? write_ipv4() : write_ipv6();
        write_tcp(addresses);
        headers_.resize(std::clamp(most, headers_.size(), plan_.size()));
        return std::move(headers_);
    }

private:
    using bytes = network_bytes<std::byte>;

    bytes at(std::size_t place) { return bytes{std::span{headers_}}.from(place); }

    template <class Address>
    static void put_address(bytes ip, std::size_t place, Address const& address)
    {
        for (auto const each : address.to_bytes())
            ip.put8(place++, each);
    }

    /// Returns where the two addresses are.
    std::span<std::byte const> write_ipv4()
    {
        auto ip = at(0);
        ip.put8(0, 0x45);
        ip.put16(2, static_cast<unsigned>(plan_.size()));
        ip.put16(6, 0x4000);  // do not fragment
        ip.put8(8, 64);
        ip.put8(9, tcp_protocol);
        put_address(ip, 12, plan_.from.address().to_v4());
        put_address(ip, 16, plan_.to.address().to_v4());
        ip.put16(10, internet_checksum(internet_sum(ip.bytes().first(least_ipv4_header))));
        return ip.bytes().subspan(12, 8);
    }

    std::span<std::byte const> write_ipv6()
    {
        auto ip = at(0);
        ip.put8(0, 0x60);
        ip.put16(4, static_cast<unsigned>(plan_.size() - ipv6_header));
        ip.put8(6, tcp_protocol);
        ip.put8(7, 64);
        put_address(ip, 8, plan_.from.address().to_v6());
        put_address(ip, 24, plan_.to.address().to_v6());
        return ip.bytes().subspan(8, 32);
    }

    void write_tcp(std::span<std::byte const> addresses)
    {
        auto tcp = at(plan_.ip_header());
        tcp.put16(0, plan_.from.port());
        tcp.put16(2, plan_.to.port());
        tcp.put32(4, plan_.sequence);
        tcp.put32(8, plan_.acknowledgement);
        tcp.put8(12, static_cast<unsigned>(plan_.tcp_header() / 4 << 4U));
        tcp.put8(13, static_cast<unsigned>(plan_.flags));
        tcp.put16(14, plan_.window);
        if (plan_.syn())
            tcp.put32(20, 0x02040000U + most_payload);  // the maximum segment size
        if (plan_.syn() && plan_.window_scale)
            tcp.put32(24, 0x01030300U + *plan_.window_scale);  // a byte of padding, and the window scale
        // The sum begins with the pseudo-header.
        auto const length = static_cast<std::uint32_t>(plan_.tcp_header() + plan_.payload);
        auto const sum = internet_sum(tcp.bytes(), internet_sum(addresses, tcp_protocol + length));
        tcp.put16(16, internet_checksum(sum));
    }

    packet_plan plan_;
    std::vector<std::byte> headers_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
