// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_SVG_HPP
#define DUET_DETAIL_TRACE_DIAGRAM_SVG_HPP

#include <string>

#include <duet/detail/trace/diagram_layout.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

struct svg_style
{
    int width = 960;        ///< below 640, calls and returns stand between the lifelines
    bool for_page = false;  ///< inside a page, which has the styles and the title, and shows the facts
};

DUET_DECL std::string draw_svg(diagram_layout const& layout, svg_style style);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/diagram_svg.ipp>
#endif

#endif
