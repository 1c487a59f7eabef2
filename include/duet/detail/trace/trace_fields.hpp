// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_FIELDS_HPP
#define DUET_DETAIL_TRACE_TRACE_FIELDS_HPP

// The members of a trace's file, once for writing and for reading. visit(key, member, value) is called for each: a
// writer leaves a member of that value out, and a reader leaves it at that value if it is not there.

#include <concepts>
#include <type_traits>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Object is T, or T const.
template <class Object, class T>
concept either = std::same_as<std::remove_const_t<Object>, T>;

template <either<trace_session> Session, class Visitor>
void visit_fields(Session& one, Visitor&& visit)
{
    visit("number", one.number, 0U);
    visit("client", one.client, false);
    visit("local", one.local, "");
    visit("remote", one.remote, "");
    visit("name", one.name, "");
}

template <either<trace_error> Error, class Visitor>
void visit_fields(Error& error, Visitor&& visit)
{
    visit("category", error.category, "");
    visit("value", error.value, 0);
    visit("text", error.text, "");
}

template <either<tcp_snapshot> Snapshot, class Visitor>
void visit_fields(Snapshot& kernel, Visitor&& visit)
{
    using std::chrono::microseconds;
    visit("state", kernel.state, tcp_state::unknown);
    visit("round_trip_time_us", kernel.round_trip_time, microseconds{});
    visit("round_trip_variance_us", kernel.round_trip_variance, microseconds{});
    visit("congestion_window", kernel.congestion_window, 0U);
    visit("segments_unacknowledged", kernel.segments_unacknowledged, 0U);
    visit("segments_sacked", kernel.segments_sacked, 0U);
    visit("retransmits_in_a_row", kernel.retransmits_in_a_row, 0U);
    visit("probes_in_a_row", kernel.probes_in_a_row, 0U);
    visit("segments_retransmitted", kernel.segments_retransmitted, 0U);
    visit("maximum_segment_size", kernel.maximum_segment_size, 0U);
    visit("bytes_acknowledged", kernel.bytes_acknowledged, 0U);
    visit("bytes_unsent", kernel.bytes_unsent, 0U);
    visit("send_window", kernel.send_window, 0U);
    visit("last_received_ms", kernel.last_received, std::chrono::milliseconds{});
}

template <either<trace_segment> Segment, class Visitor>
void visit_fields(Segment& segment, Visitor&& visit)
{
    visit("from_client", segment.from_client, true);
    visit("flags", segment.flags, tcp_flags::none);
    visit("sequence", segment.sequence, 0U);
    visit("acknowledgement", segment.acknowledgement, 0U);
    visit("bytes", segment.bytes, 0U);
    visit("window", segment.window, std::nullopt);
    visit("sent_ns", segment.sent, std::nullopt);
    visit("received_ns", segment.received, std::nullopt);
    visit("lost", segment.lost, false);
    visit("evidence", segment.evidence, evidence::inferred);
    visit("cause", segment.cause, 0U);
    visit("told", segment.told, 0U);
}

template <either<trace_event> Event, class Visitor>
void visit_fields(Event& event, Visitor&& visit)
{
    visit("number", event.number, 0U);
    visit("time_ns", event.time, std::chrono::nanoseconds{});
    visit("session", event.session, 0U);
    visit("kind", event.kind, trace_kind{0xff});  // always there
    visit("evidence", event.evidence, evidence::observed);
    visit("name", event.name, "");
    visit("call", event.call, 0U);
    visit("bytes", event.bytes, 0U);
    visit("error", event.error, trace_error{});
    visit("receive", event.receive, receive_state::open);
    visit("send", event.send, send_state::open);
    visit("reason", event.reason, close_reason::none);
    visit("kernel", event.kernel, std::nullopt);
    visit("segment", event.segment, std::nullopt);
    visit("text", event.text, "");
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
