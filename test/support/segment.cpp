// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/segment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ostream>
#include <stdexcept>

#include <netinet/in.h>
#include <sys/socket.h>

namespace duet_test {
namespace {

constexpr std::size_t ipv6_header_size = 40;
constexpr std::size_t minimal_header_size = 20;  // of IPv4 and of TCP

std::uint8_t byte_at(std::span<std::byte const> const data, std::size_t const at)
{
    return std::to_integer<std::uint8_t>(data[at]);
}

std::uint16_t word_at(std::span<std::byte const> const data, std::size_t const at)
{
    return static_cast<std::uint16_t>(byte_at(data, at) << 8 | byte_at(data, at + 1));
}

std::uint32_t double_word_at(std::span<std::byte const> const data, std::size_t const at)
{
    return static_cast<std::uint32_t>(word_at(data, at)) << 16 | word_at(data, at + 2);
}

// Where the TCP header starts, and how long the packet says it is from there.
struct tcp_place
{
    std::size_t offset = 0;
    std::size_t size = 0;
};

std::optional<tcp_place> find_tcp(int const family, std::span<std::byte const> const packet)
{
    if (family == AF_INET && packet.size() >= minimal_header_size && byte_at(packet, 9) == IPPROTO_TCP)
    {
        std::size_t const header = (byte_at(packet, 0) & 0x0fU) * 4U;
        return tcp_place{header, word_at(packet, 2) - header};
    }
    // Extension headers do not occur between the sockets of one machine.
    if (family == AF_INET6 && packet.size() >= ipv6_header_size && byte_at(packet, 6) == IPPROTO_TCP)
        return tcp_place{ipv6_header_size, word_at(packet, 4)};
    return std::nullopt;
}

// Sequence numbers wrap: they are compared as distances from the first one.
std::uint32_t distance(std::uint32_t const from, std::uint32_t const to)
{
    return to - from;
}

}  // namespace

std::string segment::text() const
{
    std::string result;
    if (has(tcp_flag::fin))
        result += 'F';
    if (has(tcp_flag::syn))
        result += 'S';
    if (has(tcp_flag::rst))
        result += 'R';
    if (has(tcp_flag::psh))
        result += 'P';
    if (has(tcp_flag::ack))
        result += '.';
    if (payload != 0)
        result += '(' + std::to_string(payload) + ')';
    return result;
}

std::optional<segment> parse_segment(int const family, std::span<std::byte const> const packet)
{
    auto const place = find_tcp(family, packet);
    if (!place || packet.size() < place->offset + minimal_header_size)
        return std::nullopt;
    auto const tcp = packet.subspan(place->offset);
    std::size_t const header = static_cast<std::size_t>(byte_at(tcp, 12) >> 4) * 4;
    segment result;
    result.family = family;
    result.from_port = word_at(tcp, 0);
    result.to_port = word_at(tcp, 2);
    result.sequence = double_word_at(tcp, 4);
    result.acknowledgement = double_word_at(tcp, 8);
    result.flags = byte_at(tcp, 13);
    result.window = word_at(tcp, 14);
    result.payload = place->size - header;
    return result;
}

conversation::conversation(
    std::uint16_t const client_port, std::uint16_t const server_port, std::vector<segment> const& all)
    : client_port_{client_port}, server_port_{server_port}
{
    for (auto const& each : all)
    {
        bool const forth = each.from_port == client_port && each.to_port == server_port;
        bool const back = each.from_port == server_port && each.to_port == client_port;
        if (forth || back)
            segments_.push_back(each);
    }
}

side conversation::from(segment const& each) const noexcept
{
    return each.from_port == client_port_ ? side::client : side::server;
}

std::string conversation::text() const
{
    std::string result;
    for (auto const& each : segments_)
    {
        result += result.empty() ? "" : ", ";
        result += from(each) == side::client ? "c>s " : "s>c ";
        result += each.text();
    }
    return result;
}

std::string conversation::text_without_repetitions() const
{
    conversation spoken{client_port_, server_port_, {}};
    for (std::size_t position = 0; position < segments_.size(); ++position)
        if (!is_retransmission(position))
            spoken.segments_.push_back(segments_[position]);
    return spoken.text();
}

std::string conversation::text_without_acks() const
{
    conversation spoken{client_port_, server_port_, {}};
    for (std::size_t position = 0; position < segments_.size(); ++position)
        if (!segments_[position].is_pure_ack() && !is_retransmission(position))
            spoken.segments_.push_back(segments_[position]);
    return spoken.text();
}

// All that it carries was sent before. A RST carries nothing, and none is a repetition; a pure acknowledgement carries
// its number.
bool conversation::is_retransmission(std::size_t const position) const noexcept
{
    auto const& again = segments_[position];
    if (again.has(tcp_flag::rst))
        return false;
    auto const last = segments_.begin() + static_cast<std::ptrdiff_t>(position);
    return std::any_of(segments_.begin(), last,
        [&](segment const& each)
        {
            return from(each) == from(again) && each.sequence == again.sequence && each.payload == again.payload &&
                   each.has(tcp_flag::syn) == again.has(tcp_flag::syn) &&
                   each.has(tcp_flag::fin) == again.has(tcp_flag::fin) &&
                   (!again.is_pure_ack() || each.acknowledgement == again.acknowledgement);
        });
}

std::size_t conversation::count(tcp_flag const flag) const
{
    return count(side::client, flag) + count(side::server, flag);
}

std::size_t conversation::count(side const from_side, tcp_flag const flag) const
{
    auto const matches = [&](segment const& each) { return from(each) == from_side && each.has(flag); };
    return static_cast<std::size_t>(std::count_if(segments_.begin(), segments_.end(), matches));
}

bool conversation::has_rst() const
{
    return count(tcp_flag::rst) != 0;
}

bool conversation::has_rst(side const from_side) const
{
    return count(from_side, tcp_flag::rst) != 0;
}

// The sequence number of the first payload byte: the SYN takes up one.
std::optional<std::uint32_t> conversation::initial_sequence(side const from_side) const
{
    for (auto const& each : segments_)
    {
        if (from(each) == from_side && each.has(tcp_flag::syn))
            return each.sequence + 1;
    }
    return std::nullopt;
}

std::uint32_t conversation::bytes_sent(side const from_side) const
{
    auto const initial = initial_sequence(from_side);
    if (!initial)
        throw std::logic_error{"the capture has not seen the SYN: " + dump()};
    std::uint32_t result = 0;
    for (auto const& each : segments_)
    {
        if (from(each) == from_side && each.payload != 0)
            result = std::max(result, distance(*initial, each.sequence) + static_cast<std::uint32_t>(each.payload));
    }
    return result;
}

std::optional<std::uint32_t> conversation::bytes_before_fin(side const from_side) const
{
    auto const initial = initial_sequence(from_side);
    if (!initial)
        throw std::logic_error{"the capture has not seen the SYN: " + dump()};
    for (auto const& each : segments_)
    {
        // The FIN stands behind the payload of its own segment.
        if (from(each) == from_side && each.has(tcp_flag::fin))
            return distance(*initial, each.sequence) + static_cast<std::uint32_t>(each.payload);
    }
    return std::nullopt;
}

bool conversation::fin_after_last_byte(side const from_side) const
{
    auto const before_fin = bytes_before_fin(from_side);
    return before_fin && *before_fin == bytes_sent(from_side);
}

std::string conversation::dump() const
{
    std::string result = "connection " + std::to_string(client_port_) + " > " + std::to_string(server_port_) + ", " +
                         std::to_string(segments_.size()) + " segments\n";
    auto const client_initial = initial_sequence(side::client).value_or(0);
    auto const server_initial = initial_sequence(side::server).value_or(0);
    for (auto const& each : segments_)
    {
        bool const forth = from(each) == side::client;
        std::chrono::duration<double, std::milli> const elapsed = each.time - segments_.front().time;
        // A SYN's own number lies one before the first byte: -1.
        auto const sequence = static_cast<std::int32_t>(each.sequence - (forth ? client_initial : server_initial));
        auto const acknowledged =
            static_cast<std::int32_t>(each.acknowledgement - (forth ? server_initial : client_initial));
        char line[128];
        std::snprintf(line, sizeof line, "%10.3f ms  %s %-10s seq %d ack %d win %d\n", elapsed.count(),
            forth ? "c>s" : "s>c", each.text().c_str(), sequence, each.has(tcp_flag::ack) ? acknowledged : 0,
            each.window);
        result += line;
    }
    return result;
}

std::ostream& operator<<(std::ostream& out, side const from)
{
    return out << (from == side::client ? "client" : "server");
}

std::ostream& operator<<(std::ostream& out, segment const& each)
{
    return out << each.from_port << '>' << each.to_port << ' ' << each.text();
}

std::ostream& operator<<(std::ostream& out, conversation const& all)
{
    return out << all.dump();
}

}  // namespace duet_test
