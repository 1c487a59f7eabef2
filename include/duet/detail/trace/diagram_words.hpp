// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_WORDS_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_WORDS_HPP

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <duet/detail/trace/diagram_layout.hpp>
#include <duet/detail/trace/numbered_events.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// "5 bytes", "1.4 MB".
DUET_DECL std::string bytes_text(std::uint64_t bytes);

/// "60 us", "1.25 ms", "3.2 s".
DUET_DECL std::string duration_text(std::chrono::nanoseconds time);

/// A time of the trace, precise enough to compare it with others: "130 us", "5.220 ms", "1.5302 s".
DUET_DECL std::string clock_text(std::chrono::nanoseconds time);

/// RFC 9293's name, which is to_string()'s but for "CLOSED".
DUET_DECL std::string_view state_name(tcp_state state) noexcept;

/// What an event says in a picture: "write 5 bytes", "read_some: Connection reset by peer".
DUET_DECL std::string event_words(trace_event const& event, bool told_of_fin);

/// A call and its result in one.
DUET_DECL std::string call_words(trace_event const& call, trace_event const& result, bool told_of_fin);

/// "PSH, ACK 5 bytes, repeated".
DUET_DECL std::string segment_words(trace_segment const& segment);

/// All that is known about an event, or a segment.
DUET_DECL fact_lines event_facts(trace_event const& event);
DUET_DECL fact_lines segment_facts(trace_segment const& segment, numbered_events const& events);

/// Who ended the connection, and why. Empty if the trace does not tell.
DUET_DECL std::string verdict_of(
    trace_log const& log, trace_session const& one, std::vector<trace_segment> const& segments);

/// What the end events say in their own words.
DUET_DECL std::vector<std::string> post_mortems(trace_log const& log, trace_session const& one);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/diagram_words.ipp>
#endif

#endif
