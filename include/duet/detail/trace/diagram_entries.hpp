// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_ENTRIES_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_ENTRIES_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <duet/detail/trace/diagram_layout.hpp>
#include <duet/diagram_options.hpp>
#include <duet/trace_log.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What is to be placed in a picture, before it has rows.
struct diagram_entry
{
    enum class what : std::uint8_t
    {
        event,
        segment,
        arrival,  ///< of a segment that crosses another
        state,    ///< of which no segment tells
        fold,
        note,
    };

    what kind{};
    std::chrono::nanoseconds time{};
    std::uint64_t rank = 0;  ///< decides among those of the same time
    diagram_item item{};
    std::uint64_t number = 0;        ///< of the event
    std::size_t segment = 0;         ///< the index of the segment
    bool carries_bytes = false;      ///< it may be folded
    std::chrono::nanoseconds end{};  ///< of what a fold stands for
};

/// A state as a picture shows it; it has no row yet.
DUET_DECL diagram_item state_item(tcp_state_change const& state);

/// The entries of the connection that `one` is an end of, in order, folded.
DUET_DECL std::vector<diagram_entry> entries_of(trace_log const& log, trace_session const& one,
    std::vector<trace_segment> const& segments, std::vector<tcp_state_change> const& states,
    diagram_options const& options);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/diagram_entries.ipp>
#endif

#endif
