// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_SVG_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_SVG_IPP

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <duet/detail/trace/diagram_svg.hpp>
#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/svg_legend.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Where things are, in pixels.
struct svg_geometry
{
    explicit svg_geometry(int wanted)
        : width(std::clamp(wanted, 320, 4000)), narrow(width < 640), left(narrow ? 16 : width * 36 / 100),
          right(narrow ? width - 16 : width - width * 29 / 100), time(narrow ? 0 : 84)
    {
    }

    /// The columns of text that fit beside a lifeline.
    std::size_t side_columns(bool client) const noexcept
    {
        int const space = narrow ? width - 2 * 30 : client ? left - 14 - time : width - right - 22;
        return static_cast<std::size_t>(std::max(space * 10 / 73, 12));
    }

    int width;
    bool narrow;
    int left;
    int right;
    int time;
};

/// The lines of a row: what stands above its arrow, and below.
struct svg_row
{
    int top = 0;
    int arrow = 0;
    std::array<int, 2> side{};  // the next line of each side
    bool shared = false;        // both sides' lines stand beneath each other
};

class svg_picture : private svg_writer
{
public:
    svg_picture(diagram_layout const& layout, svg_style style)
        : layout_(layout), style_(style), at_(style.width), rows_(layout.rows.size())
    {
    }

    std::string draw()
    {
        head();
        measure();
        background();
        for (std::size_t index = 0; index != layout_.items.size(); ++index)
            draw(layout_.items[index], index);
        auto const height = draw_legend(*this, layout_, at_.width, bottom_ + 26) + 14;
        auto const size = std::to_string(at_.width) + "\" height=\"" + std::to_string(height);
        std::string result = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"duet ";
        result += at_.narrow ? "narrow" : "wide";
        result += "\" width=\"" + size + "\" viewBox=\"0 0 " + std::to_string(at_.width) + " " +
                  std::to_string(height) + "\" role=\"" + (style_.for_page ? "group" : "img") + "\" aria-label=\"" +
                  xml("Sequence diagram of " + layout_.title) + "\">\n";
        if (!style_.for_page)
            result.append("<style>").append(svg_css()).append("</style>\n");
        result += "<rect class=\"paper\" width=\"" + size + "\"/>\n";
        return result + out_ + "</svg>\n";
    }

private:
    static constexpr int line_height = 19;

    void head()
    {
        int y = 10;
        auto const paragraph = [&](std::string const& words, char const* kind, int height, int per_column)
        {
            for (auto const& part : wrapped(words, static_cast<std::size_t>((at_.width - 24) * 10 / per_column)))
                text(12, y += height, part, kind);
        };
        if (!style_.for_page)
        {
            paragraph(layout_.title, "head", 20, 97);
            paragraph(layout_.verdict, "verdict", 20, 79);
            for (auto const& detail : layout_.details)
                paragraph(detail, "faint", 17, 73);
            y += 12;
        }
        int most = y;
        for (std::size_t side = 0; side != 2; ++side)
        {
            auto const& end = layout_.ends[side];
            int const x = at_.narrow ? (side == 0 ? 8 : at_.width - 8) : side == 0 ? at_.left : at_.right;
            char const* const anchor = !at_.narrow ? "middle" : side == 0 ? "start" : "end";
            int below = y;
            for (auto const& part : wrapped(end.role + (end.traced ? "" : " (not traced)"), 24))
                text(x, below += 17, part, "name", anchor);
            for (auto const& part : wrapped(end.address, at_.narrow ? 22 : 40))
                text(x, below += 16, part, "faint", anchor);
            most = std::max(most, below);
        }
        out_ += '\n';
        life_top_ = most + 8;
    }

    std::vector<std::string> lines_of(diagram_item const& item) const
    {
        if (item.kind == item_kind::note)
            return wrapped(item.text, static_cast<std::size_t>((at_.right - at_.left - 40) * 10 / 73));
        return wrapped(item.text, at_.side_columns(item.client));
    }

    /// Between the lifelines, an event of the end that sends stands above its arrow, and others below.
    bool is_above(diagram_item const& item) const noexcept { return at_.narrow && !item.returned; }

    /// What the items of a row need.
    struct row_need
    {
        int above = 0;
        std::array<int, 2> sides{};
        std::array<std::size_t, 2> widest{};
        bool wire = false;
    };

    std::vector<row_need> needs() const
    {
        std::vector<row_need> result(rows_.size());
        for (auto const& item : layout_.items)
        {
            auto& need = result[item.row];
            auto const lines = static_cast<int>(lines_of(item).size());
            if (item.kind != item_kind::event && item.kind != item_kind::state)
            {
                need.wire = result[item.last_row].wire = true;
                if (item.kind == item_kind::note)
                    need.sides = {lines, lines};
                continue;
            }
            if (item.kind == item_kind::event && is_above(item))
            {
                need.above += lines;
                continue;
            }
            std::size_t const side = item.client ? 0 : 1;
            need.sides[side] += item.kind == item_kind::event ? lines : 1;
            need.widest[side] =
                std::max(need.widest[side], lines > 1 ? at_.side_columns(item.client) : columns(item.text) + 2);
        }
        return result;
    }

    void measure()
    {
        auto const needed = needs();
        auto y = life_top_ + 6;
        for (std::size_t row = 0; row != rows_.size(); ++row)
        {
            auto const& [above, sides, widest, wire] = needed[row];
            auto& place = rows_[row];
            place.shared = at_.narrow && widest[0] + widest[1] > at_.side_columns(true);
            int const below = place.shared ? sides[0] + sides[1] : std::max(sides[0], sides[1]);
            place.top = y + static_cast<int>(layout_.rows[row].space * 18);
            place.arrow = place.top + above * line_height + (wire ? 22 : at_.narrow ? 0 : 16);
            place.side = {place.arrow, place.arrow};
            if (at_.narrow)
                place.side = {place.arrow + (wire ? 17 : 15), place.arrow + (wire ? 17 : 15)};
            else
                place.side = {place.arrow + 4, place.arrow + 4};
            y = at_.narrow ? place.arrow + below * line_height + (wire ? 8 : 4)
                           : place.arrow + std::max(below - 1, 0) * line_height + 10;
        }
        bottom_ = y + 10;
    }

    void background()
    {
        for (auto const& way : layout_.stretches)
        {
            auto const top = rows_[way.first_row].arrow;
            auto const height = rows_[way.last_row].arrow - top;
            out_ += "<rect class=\"band\" x=\"" + std::to_string(at_.left) + "\" y=\"" + std::to_string(top) +
                    "\" width=\"" + std::to_string(at_.right - at_.left) + "\" height=\"" + std::to_string(height) +
                    "\"/>";
            if (!at_.narrow && rows_[std::min(way.first_row + 1, way.last_row)].top > top + 12)
                text((at_.left + at_.right) / 2, top + 15,
                    way.to_client ? "\u2039 only to the client" : "only to the server \u203A", "faint", "middle");
        }
        for (bool const client : {true, false})
        {
            auto const x = client ? at_.left : at_.right;
            int const fin = fin_line(client);
            line("life", x, life_top_, x, fin);
            line("life done", x, fin, x, bottom_);
        }
        for (std::size_t row = 0; row != rows_.size() && !at_.narrow; ++row)
            if (layout_.rows[row].timed)
                text(8, rows_[row].arrow + 4, clock_text(layout_.rows[row].time), "faint");
        out_ += '\n';
    }

    int fin_line(bool client) const
    {
        for (auto const& item : layout_.items)
            if (item.kind == item_kind::segment && item.client == client &&
                (item.failed || item.text.find("FIN") != item.text.npos))
                return rows_[item.row].arrow;
        return bottom_;
    }

    void draw(diagram_item const& item, std::size_t index)
    {
        static constexpr std::array<char const*, 6> kinds{"event", "segment", "state", "fold", "pause", "note"};
        out_ += std::string("<g class=\"item ") + kinds[static_cast<std::size_t>(item.kind)] +
                (item.observed ? "" : " inferred") +
                (item.failed || item.lost ? " bad"
                    : item.bare           ? " bare"
                                          : "") +
                (item.client ? " client" : " server") + "\"";
        std::string facts;
        for (auto const& [name, value] : item.facts)
            facts += (facts.empty() ? "" : "&#10;") + xml(name) + ": " + xml(value);
        if (style_.for_page)
            out_ += " role=\"img\" tabindex=\"-1\" data-i=\"" + std::to_string(index) + "\" data-facts=\"" + facts +
                    "\" aria-label=\"" + xml(item.text) + "\">";
        else
            out_ += "><title>" + facts + "</title>";
        switch (item.kind)
        {
        case item_kind::event:
            draw_event(item);
            break;
        case item_kind::segment:
            draw_segment(item);
            break;
        case item_kind::state:
            draw_state(item);
            break;
        case item_kind::fold:
            draw_fold(item);
            break;
        case item_kind::pause:
            draw_pause(item);
            break;
        case item_kind::note:
            draw_note(item);
            break;
        }
        out_ += "</g>\n";
    }

    int side_x(bool client) const noexcept
    {
        if (at_.narrow)
            return client ? at_.left + 12 : at_.right - 12;
        return client ? at_.left - 12 : at_.right + 12;
    }

    /// Text on the left ends at its lifeline, or begins there if it stands between the lifelines.
    char const* anchor(bool client) const noexcept { return client != at_.narrow ? "end" : "start"; }

    int& next_line(diagram_item const& item)
    {
        auto& row = rows_[item.row];
        return row.side[row.shared || item.client ? 0 : 1];
    }

    void draw_event(diagram_item const& item)
    {
        auto above = rows_[item.row].top + line_height - 3;
        auto& y = is_above(item) ? above : next_line(item);
        for (auto const& part : lines_of(item))
        {
            auto const width = static_cast<int>(columns(part)) * 73 / 10;
            auto const x = side_x(item.client);
            bool const leftwards = std::string_view(anchor(item.client)) == "end";
            hit((leftwards ? x - width : x) - 3, y - 13, width + 6, line_height - 2);
            text(x, y, part, "", anchor(item.client));
            y += line_height;
        }
    }

    void draw_state(diagram_item const& item)
    {
        auto& y = next_line(item);
        auto const width = static_cast<int>(columns(item.text)) * 67 / 10 + 12;
        auto const x = side_x(item.client);
        bool const leftwards = std::string_view(anchor(item.client)) == "end";
        auto const begin = leftwards ? x - width : x;
        out_ += "<rect class=\"chip\" rx=\"7\" x=\"" + std::to_string(begin) + "\" y=\"" + std::to_string(y - 13) +
                "\" width=\"" + std::to_string(width) + "\" height=\"17\"/>";
        text(begin + 6, y - 1, item.text);
        y += line_height;
    }

    void draw_segment(diagram_item const& item)
    {
        double const x1 = item.client ? at_.left + 2 : at_.right - 2;
        double const whole = item.client ? at_.right - 2 : at_.left + 2;
        double const share = item.lost ? 0.66 : item.unknown ? 0.9 : 1.0;
        double const x2 = x1 + (whole - x1) * share;
        double const y1 = rows_[item.row].arrow;
        double const y2 = y1 + (rows_[item.last_row].arrow - y1) * share;
        bool const slanted = item.row != item.last_row;
        auto const left = static_cast<int>(std::min(x1, x2));
        hit(left, static_cast<int>(y1) - 16, static_cast<int>(std::abs(x2 - x1)), static_cast<int>(y2 - y1) + 22);
        line("arrow", x1, y1, x2, y2);
        if (item.lost)
            out_ += "<path class=\"arrow\" style=\"stroke-dasharray:none\" d=\"M" + number(x2 - 6) + " " +
                    number(y2 - 6) + "l12 12m0 -12l-12 12\"/>";
        else
        {
            auto const length = std::hypot(x2 - x1, y2 - y1);
            auto const dx = (x2 - x1) / length;
            auto const dy = (y2 - y1) / length;
            out_ += "<path class=\"tip\" d=\"M" + number(x2) + " " + number(y2) + "L" + number(x2 - 11 * dx + 5 * dy) +
                    " " + number(y2 - 11 * dy - 5 * dx) + "L" + number(x2 - 11 * dx - 5 * dy) + " " +
                    number(y2 - 11 * dy + 5 * dx) + "z\"/>";
        }
        auto const words = item.text + (item.lost ? ", lost" : item.unknown ? ", arrived?" : "");
        auto const half = static_cast<double>(columns(words)) * 7.3 / 2;
        bool const longer = item.lost && 2 * half + 24 > std::abs(x2 - x1);
        auto const middle_of_words = static_cast<int>((x1 + (longer ? whole : x2)) / 2);
        if (!slanted)
            return text(middle_of_words, static_cast<int>(y1) - (longer ? 10 : 5), words, "", "middle");
        // Near the end that sends, where nothing crosses it yet.
        auto const reach = 10 + half;
        auto const middle = item.client ? x1 + reach : x1 - reach;
        auto const lowest = y1 + (y2 - y1) * std::max(0.0, reach - half) / std::abs(x2 - x1);
        text(static_cast<int>(middle), static_cast<int>(lowest) - 6, words, "", "middle");
    }

    void draw_fold(diagram_item const& item)
    {
        auto const y = rows_[item.row].arrow;
        auto const words = "\u2026 " + item.text + " \u2026";
        auto const width = static_cast<int>(columns(words)) * 73 / 10 + 20;
        auto const middle = (at_.left + at_.right) / 2;
        out_ += "<rect class=\"paper\" rx=\"9\" x=\"" + std::to_string(middle - width / 2) + "\" y=\"" +
                std::to_string(y - 13) + "\" width=\"" + std::to_string(width) + "\" height=\"22\"/>";
        text(middle, y + 2, words, "", "middle");
    }

    void draw_note(diagram_item const& item)
    {
        auto const lines = lines_of(item);
        auto y = rows_[item.row].arrow;
        out_ += "<rect rx=\"4\" x=\"" + std::to_string(at_.left + 12) + "\" y=\"" + std::to_string(y - 16) +
                "\" width=\"" + std::to_string(at_.right - at_.left - 24) + "\" height=\"" +
                std::to_string(static_cast<int>(lines.size()) * line_height + 6) + "\"/>";
        for (auto const& part : lines)
        {
            text((at_.left + at_.right) / 2, y, part, "", "middle");
            y += line_height;
        }
    }

    void draw_pause(diagram_item const& item)
    {
        auto const y = rows_[item.row].arrow;
        for (auto const x : {at_.left, at_.right})
        {
            out_ += "<rect class=\"paper\" x=\"" + std::to_string(x - 4) + "\" y=\"" + std::to_string(y - 17) +
                    "\" width=\"8\" height=\"22\"/>";
            for (int const step : {-12, -6, 0})
                out_ += "<circle class=\"dot\" r=\"1.6\" cx=\"" + std::to_string(x) + "\" cy=\"" +
                        std::to_string(y + step) + "\"/>";
        }
        text((at_.left + at_.right) / 2, y - 2, item.text, "faint", "middle");
    }

    diagram_layout const& layout_;
    svg_style style_;
    svg_geometry at_;
    std::vector<svg_row> rows_;
    int life_top_ = 0;
    int bottom_ = 0;
};

DUET_DECL std::string draw_svg(diagram_layout const& layout, svg_style style)
{
    return svg_picture(layout, style).draw();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
