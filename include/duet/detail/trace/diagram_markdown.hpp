// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_MARKDOWN_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_MARKDOWN_HPP

#include <string>
#include <vector>

#include <duet/detail/trace/conversation.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL std::string draw_markdown(std::vector<conversation_row> const& rows);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/diagram_markdown.ipp>
#endif

#endif
