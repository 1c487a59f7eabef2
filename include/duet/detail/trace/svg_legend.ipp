// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SVG_LEGEND_IPP
#define DUET_DETAIL_TRACE_SVG_LEGEND_IPP

#include <cmath>
#include <cstdlib>

#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/svg_legend.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL std::string_view svg_css() noexcept
{
    return R"css(.duet{--bg:#fff;--fg:#1f2328;--muted:#57606a;--line:#8c959f;--client:#0757ba;--server:#8a3d00;--bad:#b3121f;--state:#116329;--chip:#e6f4ea;--note:#fff8d6;--band:#0757ba12;color:var(--fg);background:var(--bg)}
@media(prefers-color-scheme:dark){.duet{--bg:#0d1117;--fg:#e6edf3;--muted:#9aa4af;--line:#6e7681;--client:#79b8ff;--server:#ffb374;--bad:#ff8f8a;--state:#7ee29a;--chip:#12301d;--note:#2d2a16;--band:#79b8ff1c}}
.duet text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--fg)}
.duet .head{font-size:16px;font-weight:600}.duet .verdict{font-size:13px;font-weight:600}.duet .name{font-weight:600}
.duet .faint,.duet .faint text{fill:var(--muted)}.duet .life{stroke:var(--line);stroke-width:2}.duet .done{stroke-dasharray:2 5}
.duet .paper{fill:var(--bg)}.duet .dot{fill:var(--line)}.duet .band{fill:var(--band)}
.duet .arrow{stroke:currentColor;stroke-width:1.8;fill:none}.duet .inferred .arrow{stroke-dasharray:6 4}
.duet .tip{fill:currentColor}.duet .client{color:var(--client)}.duet .server{color:var(--server)}
.duet .bare{color:var(--muted)}.duet .bad{color:var(--bad)}.duet .segment text,.duet .event.bad text{fill:currentColor}
.duet .chip{fill:var(--chip);stroke:var(--state);stroke-width:1}.duet .state.inferred .chip{stroke-dasharray:3 2}
.duet .state text{fill:var(--state);font-size:11px}.duet .fold rect{fill:none;stroke:var(--line);stroke-dasharray:2 3}
.duet .note rect{fill:var(--note);stroke:var(--line)}
.duet .hit{fill:transparent;stroke:none}
)css";
}

DUET_DECL std::string svg_writer::number(double value)
{
    auto const tenths = std::lround(value * 10);
    auto text = std::to_string(tenths / 10);
    return tenths % 10 != 0 ? text + "." + std::to_string(std::abs(tenths % 10)) : text;
}

DUET_DECL void svg_writer::text(int x, int y, std::string_view words, char const* kind, char const* anchor)
{
    out_ += "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\"";
    if (*kind != 0)
        out_.append(" class=\"").append(kind).append("\"");
    if (std::string_view(anchor) != "start")
        out_.append(" text-anchor=\"").append(anchor).append("\"");
    out_ += ">" + xml(words) + "</text>";
}

DUET_DECL void svg_writer::line(char const* kind, double x1, double y1, double x2, double y2)
{
    out_ += std::string("<line class=\"") + kind + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" +
            number(x2) + "\" y2=\"" + number(y2) + "\"/>";
}

DUET_DECL void svg_writer::hit(int x, int y, int width, int height)
{
    out_ += "<rect class=\"hit\" x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" width=\"" +
            std::to_string(width) + "\" height=\"" + std::to_string(height) + "\"/>";
}

DUET_DECL int draw_legend(svg_writer& to, diagram_layout const& layout, int width, int y)
{
    int x = 12;
    auto const place = [&](std::string const& words, int sample)
    {
        auto const wide = sample + static_cast<int>(columns(words)) * 73 / 10 + 22;
        if (x != 12 && x + wide > width)
        {
            x = 12;
            y += 20;
        }
        to.text(x + sample + (sample != 0 ? 6 : 0), y, words, "faint");
        auto const begin = x;
        x += wide;
        return begin;
    };
    auto const arrow = [&](char const* kind, char const* words)
    {
        auto const begin = place(words, 34);
        to.out_ += std::string("<g class=\"segment ") + kind + "\">";
        to.line("arrow", begin, y - 4, begin + 26, y - 4);
        to.out_ += "<path class=\"tip\" d=\"M" + std::to_string(begin + 34) + " " + std::to_string(y - 4) +
                   "l-10 -4v8z\"/></g>";
    };
    auto const kind = item_kind::segment;
    if (layout.any(kind, &diagram_item::observed))
        arrow("", "captured");
    if (layout.any(kind, &diagram_item::observed, false))
        arrow("inferred", "inferred from calls and returns");
    auto const chip = [&](char const* name, char const* words)
    {
        auto const begin = place(words, 48);
        to.out_ += std::string("<g class=\"state ") + name + "\"><rect class=\"chip\" rx=\"7\" x=\"" +
                   std::to_string(begin) + "\" y=\"" + std::to_string(y - 12) +
                   "\" width=\"48\" height=\"15\"/><text x=\"" + std::to_string(begin + 7) + "\" y=\"" +
                   std::to_string(y) + "\">STATE</text></g>";
    };
    if (layout.any(item_kind::state, &diagram_item::observed))
        chip("", "the kernel said so");
    if (layout.any(item_kind::state, &diagram_item::observed, false))
        chip("inferred", "inferred");
    for (auto const& way : layout.stretches)
    {
        auto const begin =
            place(way.to_client ? "half-closed: only server to client" : "half-closed: only client to server", 24);
        to.out_ += "<rect class=\"band\" x=\"" + std::to_string(begin) + "\" y=\"" + std::to_string(y - 12) +
                   "\" width=\"24\" height=\"15\"/>";
    }
    to.out_ += '\n';
    return y;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
