// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_LAY_OUT_HPP
#define DUET_DETAIL_TRACE_LAY_OUT_HPP

#include <vector>

#include <duet/detail/trace/diagram_layout.hpp>
#include <duet/diagram_options.hpp>
#include <duet/trace_log.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The picture of the connection that `one` is an end of.
DUET_DECL diagram_layout lay_out(trace_log const& log, trace_session const& one, diagram_options const& options);

/// Only the rows: of the events of the log, and of these segments and states of the connection.
DUET_DECL void lay_out_rows(diagram_layout& layout, trace_log const& log, trace_session const& one,
    diagram_options const& options, std::vector<trace_segment> const& segments,
    std::vector<tcp_state_change> const& states);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/lay_out.ipp>
#endif

#endif
