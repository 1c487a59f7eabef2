// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SEGMENT_HPP
#define DUET_TEST_SEGMENT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

// What was said on the wire: one TCP segment, and the segments of one connection with the questions tests ask of them.
// Pure data; the capture is in wire.hpp.

namespace duet_test {

// The flags byte of the TCP header (RFC 9293 3.1).
enum class tcp_flag : std::uint8_t
{
    fin = 0x01,
    syn = 0x02,
    rst = 0x04,
    psh = 0x08,
    ack = 0x10
};

// The end of the connection that sends: the client is the one that connected.
enum class side
{
    client,
    server
};

struct segment
{
    std::chrono::system_clock::time_point time;
    int family = 0;  // AF_INET or AF_INET6
    std::uint16_t from_port = 0;
    std::uint16_t to_port = 0;
    std::uint8_t flags = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    std::uint16_t window = 0;
    std::size_t payload = 0;

    bool has(tcp_flag const flag) const noexcept { return (flags & static_cast<std::uint8_t>(flag)) != 0; }

    // Carries nothing but an acknowledgement or a window.
    bool is_pure_ack() const noexcept
    {
        return payload == 0 && !has(tcp_flag::fin) && !has(tcp_flag::syn) && !has(tcp_flag::rst);
    }

    // tcpdump's letters: "S", "S.", ".", "P.(3)", "F.", "R.", "R"; the payload size in parentheses.
    std::string text() const;
};

// Reads an IPv4 or IPv6 packet from its IP header on (only the headers need be there). Empty when it is not TCP.
std::optional<segment> parse_segment(int family, std::span<std::byte const> packet);

// The segments of one connection, in the order in which they were put on the wire.
class conversation
{
public:
    conversation(std::uint16_t client_port, std::uint16_t server_port, std::vector<segment> const& all);

    // "c>s S, s>c S., c>s ., c>s P.(3)"
    std::string text() const;

    // The same without what repeats what was said: a machine that stands still for a while sees retransmissions even on
    // lo, and each may be acknowledged once more.
    std::string text_without_repetitions() const;

    // Without pure acknowledgements, too: the kernel is free to send them, and when.
    std::string text_without_acks() const;

    std::size_t count(tcp_flag flag) const;
    std::size_t count(side from, tcp_flag flag) const;
    bool has_rst() const;
    bool has_rst(side from) const;

    // How many distinct payload bytes a side put on the wire, and how many of them came before its FIN (empty: it sent
    // no FIN). Retransmissions do not count twice. Both need the capture to have seen the side's SYN.
    std::uint32_t bytes_sent(side from) const;
    std::optional<std::uint32_t> bytes_before_fin(side from) const;

    // The side sent a FIN, and no payload byte lies behind it.
    bool fin_after_last_byte(side from) const;

    std::vector<segment> const& segments() const noexcept { return segments_; }

    // One line a segment with times and relative sequence numbers, for the text of a failed check.
    std::string dump() const;

private:
    side from(segment const& each) const noexcept;
    bool is_retransmission(std::size_t position) const noexcept;
    std::optional<std::uint32_t> initial_sequence(side from) const;

    std::uint16_t client_port_;
    std::uint16_t server_port_;
    std::vector<segment> segments_;
};

std::ostream& operator<<(std::ostream& out, side from);
std::ostream& operator<<(std::ostream& out, segment const& each);
std::ostream& operator<<(std::ostream& out, conversation const& all);

}  // namespace duet_test

#endif
