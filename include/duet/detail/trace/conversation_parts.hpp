// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_PARTS_HPP
#define DUET_DETAIL_TRACE_CONVERSATION_PARTS_HPP

#include <vector>

#include <duet/detail/trace/conversation_part.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The parts of the conversation on the connection that `one` is an end of, so ordered that each comes after what its
/// end knew and did before; the client's come first where nothing decides.
DUET_DECL std::vector<conversation_part> parts_of(
    trace_log const& log, traced_ends const& ends, std::vector<trace_segment> const& segments);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/conversation_parts.ipp>
#endif

#endif
