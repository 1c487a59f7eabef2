// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_LABELS_HPP
#define DUET_DETAIL_TRACE_SEGMENT_LABELS_HPP

#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Labels the captured segments of one connection, and says which were lost; trace_segments.hpp has the table.
DUET_DECL void label_segments(std::vector<trace_segment>& segments);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/segment_labels.ipp>
#endif

#endif
