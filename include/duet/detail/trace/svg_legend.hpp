// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SVG_LEGEND_HPP
#define DUET_DETAIL_TRACE_SVG_LEGEND_HPP

#include <string>
#include <string_view>

#include <duet/detail/trace/diagram_layout.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The elements of an SVG image, one after the other.
class svg_writer
{
public:
    DUET_DECL static std::string number(double value);

    /// Words are escaped. The anchor is "start", "middle" or "end".
    DUET_DECL void text(int x, int y, std::string_view words, char const* kind = "", char const* anchor = "start");

    DUET_DECL void line(char const* kind, double x1, double y1, double x2, double y2);

    /// An invisible place where a pointer meets the element around it.
    DUET_DECL void hit(int x, int y, int width, int height);

    std::string out_{};
};

/// The colours, of light and dark, and the styles of what draw_svg() draws.
DUET_DECL std::string_view svg_css() noexcept;

/// What the lines and colours mean, from `y` on. Returns where it ends.
DUET_DECL int draw_legend(svg_writer& to, diagram_layout const& layout, int width, int y);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/svg_legend.ipp>
#endif

#endif
