// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_LINKS_HPP
#define DUET_DETAIL_TRACE_SEGMENT_LINKS_HPP

#include <vector>

#include <duet/detail/trace/segment_inference.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Gives each captured segment the event that caused it, and the event that told of it, where it has none.
DUET_DECL void link_segments(std::vector<trace_segment>& segments, facts_of_ends const& facts);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/segment_links.ipp>
#endif

#endif
