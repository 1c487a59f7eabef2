// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_TEXT_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_TEXT_IPP

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <duet/detail/trace/diagram_text.hpp>
#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/text_glyphs.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class text_picture
{
public:
    text_picture(diagram_layout const& layout, text_style style)
        : layout_(layout), style_(style), glyphs_(style.unicode ? unicode_glyphs : ascii_glyphs)
    {
        auto const width = style_.width = std::max<std::size_t>(style_.width, 48);
        std::size_t longest = style_.time;
        for (auto const& row : layout_.rows)
            longest = std::max(longest, clock_text(row.time).size());
        time_ = width >= 60 ? longest + 1 : 0;
        wire_ = std::clamp<std::size_t>((width - time_) * 3 / 8, 16, 48);
        side_ = (width - time_ - wire_ - 4) / 2;
    }

    std::string draw()
    {
        head();
        rows();
        legend();
        return std::move(out_);
    }

    std::string draw_rows()
    {
        rows();
        return std::move(out_);
    }

private:
    void rows()
    {
        lines_of_rows();
        for (auto const& item : layout_.items)
            if (item.kind == item_kind::segment)
                draw_line(item);
        for (auto& line : lines_)
            cross_once(line);
        for (auto const& item : layout_.items)
            if (item.kind != item_kind::event && item.kind != item_kind::state)
                draw_labels(item);
        ways();
        for (auto const& line : lines_)
            put(line);
    }

    std::string shown(std::string_view text) const { return style_.unicode ? printable(text) : ascii(text); }

    void put_line(std::string_view text, ink colour)
    {
        for (auto const& part : wrapped(shown(text), style_.width))
        {
            put({part, colour});
            out_ += '\n';
        }
    }

    void put(inked const& part)
    {
        bool const coloured = style_.colours && part.colour != ink::plain && !part.text.empty();
        out_ += coloured ? ink_code(part.colour) : "";
        out_ += part.text;
        out_ += coloured ? "\033[0m" : "";
    }

    void head()
    {
        put_line(layout_.title, ink::strong);
        if (!layout_.verdict.empty())
            put_line(layout_.verdict, ink::strong);
        for (auto const& detail : layout_.details)
            put_line(detail, ink::plain);
        out_ += '\n';
        std::array<std::vector<std::string>, 2> names;
        for (std::size_t side = 0; side != 2; ++side)
        {
            auto const& end = layout_.ends[side];
            names[side] = wrapped(shown(end.role + (end.traced ? "" : " (not traced)")), side_);
            for (auto const& part : wrapped(shown(end.address), side_))
                names[side].push_back(part);
        }
        for (std::size_t at = 0; at != std::max(names[0].size(), names[1].size()); ++at)
        {
            wire_line line = empty_line();
            for (std::size_t side = 0; side != 2; ++side)
                if (at < names[side].size())
                    line.sides[side] = {{names[side][at], ink::strong}};
            put(line, false);
        }
    }

    wire_line empty_line() const { return {std::vector<inked>(wire_, inked{" "}), {}, {}, ""}; }

    /// Each row takes as many lines as its sides need.
    void lines_of_rows()
    {
        std::array<std::vector<std::vector<inked>>, 2> cells;
        for (auto& side : cells)
            side.resize(layout_.rows.size());
        for (auto const& item : layout_.items)
            if (item.kind == item_kind::event)
                for (auto& part : wrapped(shown(item.text), side_))
                    cells[item.client ? 0 : 1][item.row].push_back(
                        {std::move(part), item.failed ? ink::bad : ink::plain});
        for (auto const& item : layout_.items)
            if (item.kind == item_kind::state)
                cells[item.client ? 0 : 1][item.row].push_back(
                    {shown(item.observed ? "[" + item.text + "]" : "(" + item.text + ")"), ink::state});
        std::vector<std::size_t> labels(layout_.rows.size(), 1);
        for (auto const& item : layout_.items)
            if (item.kind == item_kind::fold || item.kind == item_kind::note)
                labels[item.row] = fold_lines(item).size();
        std::array<std::size_t, 2> finished{fin_row(true), fin_row(false)};
        for (std::size_t row = 0; row != layout_.rows.size(); ++row)
        {
            first_line_.push_back(lines_.size());
            auto const height = std::max({labels[row], cells[0][row].size(), cells[1][row].size()});
            for (std::size_t at = 0; at != height; ++at)
            {
                auto line = empty_line();
                for (std::size_t side = 0; side != 2; ++side)
                {
                    if (at < cells[side][row].size())
                        line.sides[side] = {cells[side][row][at]};
                    line.finished[side] = layout_.ends[side].finished || row > finished[side];
                }
                if (at == 0 && layout_.rows[row].timed)
                    line.time = clock_text(layout_.rows[row].time);
                lines_.push_back(std::move(line));
            }
        }
        first_line_.push_back(lines_.size());
    }

    /// The row in which an end has nothing more to send.
    std::size_t fin_row(bool client) const
    {
        for (auto const& item : layout_.items)
            if (item.kind == item_kind::segment && item.client == client &&
                (item.failed || item.text.find("FIN") != item.text.npos))
                return item.row;
        return layout_.rows.size();
    }

    static ink ink_of(diagram_item const& item)
    {
        if (item.failed || item.lost)
            return ink::bad;
        if (item.kind != item_kind::segment || item.bare)
            return ink::faint;
        return item.client ? ink::to_server : ink::to_client;
    }

    /// Columns count from the end that sends.
    inked& cell(diagram_item const& item, std::size_t line, std::size_t column)
    {
        return lines_[line].cells[item.client ? column : wire_ - 1 - column];
    }

    void draw_line(diagram_item const& item)
    {
        auto const first = first_line_[item.row];
        auto const last = first_line_[item.last_row];
        auto const parts = last - first + 1;
        auto const end = item.lost ? wire_ * 2 / 3 : wire_;
        std::string_view const body = item.observed ? glyphs_.observed : glyphs_.inferred;
        for (std::size_t column = 0; column != end; ++column)
        {
            auto const part = column * parts / end;
            bool const turns = part + 1 < parts && (column + 1) * parts / end != part;
            auto& here = cell(item, first + part, column);
            bool const taken = here.text != " ";
            here.text = taken ? glyphs_.crossing : turns ? (item.client ? glyphs_.down : glyphs_.up) : body;
            here.colour = ink_of(item);
        }
        auto& head = cell(item, last, end - 1);
        head.text = item.lost ? glyphs_.lost : item.unknown ? "?" : item.client ? glyphs_.to_server : glyphs_.to_client;
    }

    /// Arrows that share some columns of a line cross in the middle of them.
    void cross_once(wire_line& line) const
    {
        auto const is_crossing = [&](std::size_t at) { return at != wire_ && line.cells[at].text == glyphs_.crossing; };
        for (std::size_t first = 0; first != wire_; ++first)
        {
            auto last = first;
            while (is_crossing(last))
                ++last;
            for (auto at = first; at != last; ++at)
                if (at != first + (last - first) / 2)
                    line.cells[at].text = glyphs_.inferred;
            first = std::max(first, last == 0 ? last : last - 1);
        }
    }

    /// A fold or a note may need more than one line between the lifelines.
    std::vector<std::string> fold_lines(diagram_item const& item) const
    {
        if (item.kind == item_kind::note)
            return wrapped(shown(item.text), wire_ - 2);
        std::string const dots = glyphs_.ellipsis;
        auto const most = wire_ - 2 * columns(dots) - 2;
        // What stands between commas stays together.
        std::vector<std::string> parts{""};
        for (std::string rest = shown(item.text); !rest.empty();)
        {
            auto const part = rest.substr(0, std::min(rest.find(", "), rest.size() - 1) + 1);
            if (!parts.back().empty() && columns(parts.back()) + 1 + columns(part) > most)
                parts.emplace_back();
            parts.back() += (parts.back().empty() ? "" : " ") + part;
            rest.erase(0, part.size() + 1);
        }
        for (auto& part : parts)
            if (columns(part) <= most)
                part = dots + " " + part + " " + dots;
        return parts;
    }

    void draw_labels(diagram_item const& item)
    {
        if (item.kind != item_kind::segment)
        {
            auto line = first_line_[item.row];
            for (auto const& text : fold_lines(item))
                draw_label(item, line++, text);
            return;
        }
        auto text = " " + shown(item.text) + (item.lost ? " lost " : " ");
        if (columns(text) > wire_ - 4 && item.bytes != 0)
            text = " " + bytes_text(item.bytes) + (item.lost ? " lost " : " ");
        draw_label(item, first_line_[item.row], text);
    }

    void draw_label(diagram_item const& item, std::size_t line, std::string_view text)
    {
        auto const label = shortened(text, item.kind == item_kind::segment ? wire_ - 4 : wire_, glyphs_.ellipsis);
        auto const size = columns(label);
        bool const slanted = item.last_row != item.row;
        auto at = slanted && !item.client ? wire_ - 2 - size : slanted ? 2 : (wire_ - size) / 2;
        auto& cells = lines_[line].cells;
        for (std::string_view rest = label; !rest.empty();)
        {
            auto const next = first_character(rest).size;
            auto const wide = columns(rest.substr(0, next));
            if (wide == 0)
                cells[at == 0 ? 0 : at - 1].text += rest.substr(0, next);
            else
            {
                cells[at] = {std::string(rest.substr(0, next)), ink_of(item)};
                if (wide == 2)
                    cells[at + 1].text.clear();
                at += wide;
            }
            rest.remove_prefix(next);
        }
    }

    /// Where one end has finished, the way of the other's bytes.
    void ways()
    {
        for (auto const& way : layout_.stretches)
            for (auto line = first_line_[way.first_row] + 1; line < first_line_[way.last_row]; ++line)
            {
                auto& cells = lines_[line].cells;
                bool const empty =
                    std::all_of(cells.begin(), cells.end(), [](auto const& each) { return each.text == " "; });
                for (std::size_t column = 3; empty && column < wire_; column += 6)
                    cells[column] = {way.to_client ? glyphs_.way_to_client : glyphs_.way_to_server, ink::faint};
            }
    }

    void put(wire_line const& line, bool lifelines = true)
    {
        auto const before = out_.size();
        if (time_ != 0)
        {
            auto const time = shortened(line.time, time_ - 1, "");
            put({std::string(time_ - 1 - columns(time), ' ') + time + " ", ink::faint});
        }
        side(line.sides[0], true);
        put({lifelines ? std::string(" ") + (line.finished[0] ? glyphs_.finished : glyphs_.open) : "  ", ink::plain});
        for (std::size_t at = 0; at != line.cells.size();)
        {
            inked run{"", line.cells[at].colour};
            for (; at != line.cells.size() && line.cells[at].colour == run.colour; ++at)
                run.text += line.cells[at].text;
            put(run);
        }
        put({lifelines ? std::string(line.finished[1] ? glyphs_.finished : glyphs_.open) + " " : "  ", ink::plain});
        side(line.sides[1], false);
        while (out_.size() > before && out_.back() == ' ')
            out_.pop_back();
        out_ += '\n';
    }

    void side(std::vector<inked> const& parts, bool left)
    {
        std::size_t used = 0;
        for (auto const& part : parts)
            used += columns(part.text);
        std::string const space(side_ > used ? side_ - used : 0, ' ');
        out_ += left ? space : "";
        for (auto const& part : parts)
            put(part);
        out_ += left ? "" : space;
    }

    void legend()
    {
        auto const arrow = [&](char const* body) { return std::string(body) + body + glyphs_.to_server; };
        std::string text;
        auto const add = [&](std::string const& what) { text += (text.empty() ? "" : "   ") + what; };
        auto const kind = item_kind::segment;
        if (layout_.any(kind, &diagram_item::observed))
            add(arrow(glyphs_.observed) + " captured");
        if (layout_.any(kind, &diagram_item::observed, false))
            add(arrow(glyphs_.inferred) + " inferred");
        if (layout_.any(item_kind::state, &diagram_item::observed))
            add("[STATE] the kernel said so");
        if (layout_.any(item_kind::state, &diagram_item::observed, false))
            add("(STATE) inferred");
        if (layout_.any(kind, &diagram_item::lost))
            add(std::string(glyphs_.lost) + " lost");
        if (layout_.any(kind, &diagram_item::unknown))
            add("? not known to have arrived");
        if (!layout_.stretches.empty())
            add(std::string(glyphs_.finished) + " has sent its FIN");
        for (auto const& way : layout_.stretches)
            add(std::string(way.to_client ? glyphs_.way_to_client : glyphs_.way_to_server) + " half-closed: only " +
                (way.to_client ? "server to client" : "client to server"));
        if (text.empty())
            return;
        out_ += '\n';
        for (auto const& part : wrapped(text, style_.width))
        {
            put({part, ink::faint});
            out_ += '\n';
        }
    }

    diagram_layout const& layout_;
    text_style style_;
    text_glyphs const& glyphs_;
    std::size_t time_ = 0;
    std::size_t wire_ = 0;
    std::size_t side_ = 0;
    std::vector<wire_line> lines_;
    std::vector<std::size_t> first_line_;
    std::string out_;
};

DUET_DECL std::string draw_text(diagram_layout const& layout, text_style style)
{
    return text_picture(layout, style).draw();
}

DUET_DECL std::string draw_text_rows(diagram_layout const& layout, text_style style)
{
    return text_picture(layout, style).draw_rows();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
