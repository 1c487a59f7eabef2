// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_MERMAID_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_MERMAID_HPP

#include <string>

#include <duet/detail/trace/diagram_layout.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL std::string draw_mermaid(diagram_layout const& layout);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/diagram_mermaid.ipp>
#endif

#endif
