// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_PCAPNG_IPP
#define DUET_DETAIL_WIRE_PCAPNG_IPP

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <duet/detail/trace/numbered_events.hpp>
#include <duet/detail/wire/endpoint_text.hpp>
#include <duet/detail/wire/packet_comment.hpp>
#include <duet/detail/wire/packet_plan.hpp>
#include <duet/detail/wire/pcapng_block.hpp>
#include <duet/pcapng.hpp>
#include <duet/trace_segments.hpp>
#include <duet/version.hpp>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL pcapng_writer::pcapng_writer(std::ostream& out, std::string_view comment, std::string_view origin)
    : out_{&out}
{
    using detail::pcapng_option;
    constexpr std::uint32_t byte_order = 0x1a2b3c4d;
    constexpr std::uint32_t unknown_size = 0xffffffff;
    constexpr std::uint32_t raw_ip = 101;  // LINKTYPE_RAW

    detail::pcapng_block section{detail::pcapng_type::section_header};
    section.put32(byte_order);
    section.put16(1);  // the version of the format
    section.put16(0);
    section.put32(unknown_size);
    section.put32(unknown_size);
    section.put_text(pcapng_option::comment, comment);
    section.put_text(pcapng_option::section_application, "duet " DUET_VERSION_STRING);
    section.write(out);

    detail::pcapng_block interface {
        detail::pcapng_type::interface_description
    };
    interface.put16(raw_ip);
    interface.put16(0);
    interface.put32(0);  // no limit for the size of a packet
    interface.put_text(pcapng_option::interface_description, origin);
    interface.put_option(pcapng_option::interface_time_resolution, "\x09");  // 10^-9 s
    interface.write(out);
}

DUET_DECL void pcapng_writer::write(std::span<std::byte const> packet, std::uint32_t length,
    std::chrono::system_clock::time_point time, std::string_view comment)
{
    auto const since_1970 = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
    auto const stamp = static_cast<std::uint64_t>(since_1970);
    detail::pcapng_block block{detail::pcapng_type::enhanced_packet};
    block.put32(0);  // the interface
    block.put32(static_cast<std::uint32_t>(stamp >> 32U));
    block.put32(static_cast<std::uint32_t>(stamp));
    block.put32(static_cast<std::uint32_t>(packet.size()));
    block.put32(length);
    block.put_bytes(packet);
    block.put_text(detail::pcapng_option::comment, comment);
    block.write(*out_);
}

namespace detail {

using boost::asio::ip::tcp;

/// The two ends of a connection that has addresses of one family, or else made-up ones.
struct packet_ends
{
    explicit packet_ends(trace_session const& of)
    {
        auto const local = endpoint_of(of.local);
        auto const remote = endpoint_of(of.remote);
        made_up = !local || !remote || local->protocol() != remote->protocol();
        auto const example = [](unsigned number)  // of RFC 5737
        {
            return tcp::endpoint{boost::asio::ip::address_v4{0xc0000200U + number}, static_cast<std::uint16_t>(number)};
        };
        client = made_up ? example(1) : of.client ? *local : *remote;
        server = made_up ? example(2) : of.client ? *remote : *local;
    }

    tcp::endpoint client;
    tcp::endpoint server;
    bool made_up = false;
};

/// How far the windows of a connection have to be shifted to fit 16 bits.
inline std::uint8_t window_shift(std::span<trace_segment const> segments)
{
    std::uint32_t most = 0;
    for (auto const& each : segments)
        most = std::max(most, each.window.value_or(0));
    auto const bits = std::bit_width(most);
    return static_cast<std::uint8_t>(bits > 16 ? std::min<int>(static_cast<int>(bits) - 16, 14) : 0);
}

/// Makes the packets of a session.
class session_packets
{
public:
    session_packets(std::ostream& out, trace_log const& log, trace_session const& of, pcapng_options const& options)
        : began_{log.began}, events_{log}, ends_{of}, options_{options}, writer_{out, about(log, of),
                                                                             "made from a trace by duet"}
    {
    }

    void write(std::span<trace_segment const> segments)
    {
        shift_ = window_shift(segments);
        std::vector<trace_segment const*> ordered;
        for (auto const& each : segments)
            ordered.push_back(&each);
        std::stable_sort(
            ordered.begin(), ordered.end(), [](auto const* a, auto const* b) { return when(*a) < when(*b); });
        for (auto const* const each : ordered)
            write(*each);
    }

private:
    std::string about(trace_log const& log, trace_session const& of) const
    {
        auto text =
            "Made by duet from a trace: the packets of this file were not captured. Payload is zeros.\nSession " +
            std::to_string(of.number);
        if (!of.name.empty())
            text += ", " + of.name;
        if (!log.program.empty())
            text += ", of " + log.program;
        if (ends_.made_up)
            text += "\nIts ends have no addresses, so these are made up: local \"" + of.local + "\", remote \"" +
                    of.remote + "\".";
        return text;
    }

    static trace_segment::time when(trace_segment const& segment)
    {
        return segment.sent ? *segment.sent : segment.received.value_or(trace_segment::time{});
    }

    void write(trace_segment const& segment)
    {
        bool const observed = segment.evidence == evidence::observed;
        std::string origin = observed ? "Made by duet: its headers are those of a captured packet."
                                      : "Made by duet: this packet was not captured.";
        if (!segment.window)
            origin += " Its window is not known.";
        auto const comment = packet_comment(origin, events_, segment);
        auto plan = plan_of(segment);
        auto left = std::min<std::uint64_t>(segment.bytes, std::numeric_limits<std::uint32_t>::max());
        auto const last_flags = tcp_flags::fin | tcp_flags::psh;
        do
        {
            plan.payload = static_cast<std::size_t>(std::min<std::uint64_t>(left, most_payload));
            left -= plan.payload;
            plan.flags = left == 0 ? segment.flags : without(segment.flags, last_flags);
            writer_.write(packet_maker{plan}.make(options_.snap_length), static_cast<std::uint32_t>(plan.size()),
                time_of(segment), comment);
            plan.sequence += static_cast<std::uint32_t>(plan.payload);
        }
        while (left != 0);
    }

    static tcp_flags without(tcp_flags flags, tcp_flags others)
    {
        return static_cast<tcp_flags>(static_cast<unsigned>(flags) & ~static_cast<unsigned>(others));
    }

    packet_plan plan_of(trace_segment const& segment) const
    {
        packet_plan plan;
        plan.from = segment.from_client ? ends_.client : ends_.server;
        plan.to = segment.from_client ? ends_.server : ends_.client;
        plan.sequence = segment.sequence;
        plan.acknowledgement = segment.acknowledgement;
        // The window of a SYN is not scaled.
        bool const syn = contains(segment.flags, tcp_flags::syn);
        if (syn && shift_ != 0)
            plan.window_scale = shift_;
        auto const window = segment.window ? *segment.window >> (syn ? 0U : shift_) : 0xffffU;
        plan.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(window, 0xffff));
        return plan;
    }

    std::chrono::system_clock::time_point time_of(trace_segment const& segment) const
    {
        return began_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(when(segment));
    }

    std::chrono::system_clock::time_point began_;
    numbered_events events_;
    packet_ends ends_;
    pcapng_options options_;
    pcapng_writer writer_;
    std::uint8_t shift_ = 0;
};

/// The captured segments of a trace's sessions as segments_of() knows them, by the numbers of their events.
inline std::unordered_map<std::uint64_t, trace_segment> known_segments(trace_log const& log)
{
    std::unordered_map<std::uint64_t, trace_segment> result;
    std::unordered_map<std::uint32_t, std::vector<std::uint64_t>> numbers;
    for (auto const& event : log.events)
        if (event.kind == trace_kind::segment && event.segment)
            numbers[event.session].push_back(event.number);
    for (auto const& one : log.sessions)
    {
        auto const found = numbers.find(one.number);
        if (found == numbers.end())
            continue;
        auto const segments = segments_of(log, one);
        for (std::size_t at = 0; at != std::min(segments.size(), found->second.size()); ++at)
            result.emplace(found->second[at], segments[at]);
    }
    return result;
}

}  // namespace detail

DUET_DECL void write_pcapng(std::ostream& out, trace_log const& log, trace_session const& of,
    std::span<trace_segment const> segments, pcapng_options const& options)
{
    detail::session_packets{out, log, of, options}.write(segments);
}

DUET_DECL void write_pcapng(std::ostream& out, trace_log const& log, std::span<captured_segment const> segments)
{
    auto const of = log.program.empty() ? "" : ", with the trace of " + log.program;
    pcapng_writer writer{out, "Captured by duet" + of + '.', "captured by duet"};
    detail::numbered_events const events{log};
    auto const known = detail::known_segments(log);
    for (auto const& each : segments)
    {
        auto const* const event = events.find(each.event);
        auto const found = known.find(each.event);
        writer.write(each.packet, each.length, each.wall_time,
            found != known.end()      ? detail::packet_comment("Captured.", events, found->second)
            : event && event->segment ? detail::packet_comment("Captured.", events, *event->segment)
                                      : "");
    }
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
