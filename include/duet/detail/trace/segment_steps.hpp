// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_STEPS_HPP
#define DUET_DETAIL_TRACE_SEGMENT_STEPS_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A segment leaves one end, or arrives at the other.
struct segment_step
{
    std::chrono::nanoseconds time{};
    std::size_t segment = 0;  ///< its index
    bool arrives = false;
};

/// In order of time. Of those at the same time, an earlier segment's come first.
inline std::vector<segment_step> steps_of(std::vector<trace_segment> const& segments)
{
    std::vector<segment_step> result;
    for (std::size_t index = 0; index != segments.size(); ++index)
    {
        auto const& segment = segments[index];
        if (auto const left = segment.sent ? segment.sent : segment.received)
            result.push_back({*left, index, false});
        if (segment.received && !segment.lost)
            result.push_back({*segment.received, index, true});
    }
    std::stable_sort(result.begin(), result.end(),
        [](auto const& a, auto const& b)
        { return std::tie(a.time, a.segment, a.arrives) < std::tie(b.time, b.segment, b.arrives); });
    return result;
}

/// How many sequence numbers a segment takes.
inline std::uint32_t length_of(trace_segment const& segment) noexcept
{
    return static_cast<std::uint32_t>(segment.bytes) + (contains(segment.flags, tcp_flags::syn) ? 1U : 0U) +
           (contains(segment.flags, tcp_flags::fin) ? 1U : 0U);
}

/// True if a segment with that acknowledgement acknowledges all of this one.
inline bool covers(std::uint32_t acknowledgement, trace_segment const& segment) noexcept
{
    return static_cast<std::int32_t>(acknowledgement - segment.sequence - length_of(segment)) >= 0;
}

/// An acknowledgement, and nothing else.
inline bool is_bare(trace_segment const& segment) noexcept
{
    return segment.flags == tcp_flags::ack && segment.bytes == 0;
}

inline bool is_probe(segment_label label) noexcept
{
    return label == segment_label::keep_alive_probe || label == segment_label::zero_window_probe;
}

inline bool is_answer(segment_label label) noexcept
{
    return label == segment_label::keep_alive_answer || label == segment_label::zero_window_answer;
}

/// The two ends of a connection, as far as they are in the trace.
struct traced_ends
{
    traced_ends(trace_log const& log, trace_session const& one)
    {
        auto const* const other = log.other_end(one);
        client = one.client ? &one : other;
        server = one.client ? other : &one;
    }

    trace_session const* client;  // or null
    trace_session const* server;  // or null
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
