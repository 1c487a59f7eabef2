// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_TEXT_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_TEXT_HPP

#include <cstddef>
#include <string>

#include <duet/detail/trace/diagram_layout.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

struct text_style
{
    std::size_t width = 80;
    bool unicode = false;
    bool colours = false;
    std::size_t time = 9;  ///< columns of a time, at least: "45.678 ms"
};

DUET_DECL std::string draw_text(diagram_layout const& layout, text_style style);

/// Without title and legend.
DUET_DECL std::string draw_text_rows(diagram_layout const& layout, text_style style);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/diagram_text.ipp>
#endif

#endif
