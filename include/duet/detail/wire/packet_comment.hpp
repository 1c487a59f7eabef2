// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_PACKET_COMMENT_HPP
#define DUET_DETAIL_WIRE_PACKET_COMMENT_HPP

// What the comment of a packet says of its segment.

#include <cstdint>
#include <string>
#include <string_view>

#include <duet/detail/trace/numbered_events.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// "write() of 5 bytes", "read_some() returned 5 bytes", "connect() failed: Connection refused".
inline std::string text_of(trace_event const& event)
{
    auto text = event.name.empty() ? std::string{to_string(event.kind)} : event.name + "()";
    auto const bytes = std::to_string(event.bytes) + (event.bytes == 1 ? " byte" : " bytes");
    bool const ended = event.kind == trace_kind::result;
    if (event.error)
        text += " failed: " + event.error.text;
    else if (ended)
        text += " returned";
    if (event.bytes != 0)
        text += (ended && !event.error ? " " : event.error ? ", after " : " of ") + bytes;
    return text;
}

/// A line about an event that a segment has to do with; nothing if it has to do with none.
inline std::string line_about(numbered_events const& events, std::string_view role, std::uint64_t number)
{
    if (number == 0)
        return {};
    auto text = std::string{role} + " event " + std::to_string(number);
    if (auto const* const event = events.find(number))
    {
        text += ": " + text_of(*event);
        if (event->session != 0)
            text += ", session " + std::to_string(event->session);
    }
    return '\n' + text;
}

/// The comment of a packet that begins with `origin`.
inline std::string packet_comment(std::string_view origin, numbered_events const& events, trace_segment const& segment)
{
    std::string text{origin};
    if (segment.label != segment_label::none)
        text += "\nLabel: " + std::string{to_string(segment.label)};
    if (segment.lost)
        text += "\nIt was lost: it never arrived.";
    text += line_about(events, "Caused by", segment.cause);
    text += line_about(events, "Told by", segment.told);
    if (segment.cause == 0 && segment.told == 0)
        text += "\nNo call caused it, and no return told of it, as far as the trace knows.";
    return text;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
