// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_MERMAID_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_MERMAID_IPP

#include <array>
#include <string_view>
#include <utility>

#include <duet/detail/trace/diagram_mermaid.hpp>
#include <duet/detail/trace/printable.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Mermaid's entities stand for what ends a statement, begins a comment or is markup.
inline std::string mermaid_text(std::string_view text)
{
    std::string result;
    for (char const each : printable(text))
        if (std::string_view("#;:<>&\"%{}").find(each) != std::string_view::npos)
            result += "#" + std::to_string(static_cast<int>(each)) + ";";
        else
            result += each;
    return result;
}

class mermaid_picture
{
public:
    explicit mermaid_picture(diagram_layout const& layout) : layout_(layout) {}

    std::string draw()
    {
        out_ = "sequenceDiagram\n";
        put("accTitle: " + mermaid_text(layout_.title));
        for (std::size_t side = 0; side != 2; ++side)
        {
            auto const& end = layout_.ends[side];
            put(std::string("participant ") + names[side] + " as " + mermaid_text(end.role) +
                (end.address.empty() ? "" : "<br/>" + mermaid_text(end.address)) +
                (end.traced ? "" : "<br/>(not traced)"));
        }
        // Mermaid would cut off a title that is wider than the picture.
        put("Note over C,S: " + mermaid_text(layout_.title) +
            (layout_.verdict.empty() ? "" : "<br/>" + mermaid_text(layout_.verdict)));
        std::size_t item = 0;
        for (std::size_t row = 0; row != layout_.rows.size(); ++row)
        {
            one_way(row, false);
            for (; item != layout_.items.size() && layout_.items[item].row == row; ++item)
                draw(layout_.items[item]);
            flush();
            one_way(row, true);
        }
        if (open_)
            put("end");
        legend();
        return std::move(out_);
    }

private:
    static constexpr std::array<char const*, 2> names{"C", "S"};

    void put(std::string const& line) { out_ += "    " + line + "\n"; }

    void draw(diagram_item const& item)
    {
        switch (item.kind)
        {
        case item_kind::event:
        case item_kind::state:
        {
            auto& note = notes_[item.client ? 0 : 1];
            note += note.empty() ? "" : "<br/>";
            if (item.kind == item_kind::event)
                note += mermaid_text(item.text);
            else
                note += (item.observed ? "[" : "(") + item.text + (item.observed ? "]" : ")");
            return;
        }
        case item_kind::segment:
            flush();
            return draw_segment(item);
        case item_kind::fold:
        case item_kind::pause:
            flush();
            return put("Note over C,S: … " + mermaid_text(item.text) + " …");
        case item_kind::note:
            flush();
            return put("Note over C,S: " + mermaid_text(item.text));
        }
    }

    void draw_segment(diagram_item const& item)
    {
        std::string arrow = item.observed ? "-" : "--";
        arrow += item.lost ? "x" : item.unknown ? ")" : ">>";
        auto const from = item.client ? 0U : 1U;
        put(names[from] + arrow + names[1 - from] + ": " + mermaid_text(item.text) +
            (item.lost                      ? " (lost)"
                : item.unknown              ? " (arrived?)"
                : item.last_row != item.row ? " (crosses another)"
                                            : ""));
    }

    /// What was noted of a row so far, each side in one note.
    void flush()
    {
        for (std::size_t side = 0; side != 2; ++side)
            if (!notes_[side].empty())
                put(std::string("Note ") + (side == 0 ? "left of C: " : "right of S: ") +
                    std::exchange(notes_[side], std::string()));
    }

    /// A stretch begins after its first row and ends before its last.
    void one_way(std::size_t row, bool after)
    {
        for (auto const& way : layout_.stretches)
            if (after && !open_ && way.first_row == row)
            {
                open_ = true;
                put("rect rgba(88, 140, 220, 0.14)");
                put(std::string("Note over C,S: half-closed, only ") +
                    (way.to_client ? "server to client" : "client to server"));
            }
            else if (!after && open_ && way.last_row == row)
            {
                open_ = false;
                put("end");
            }
    }

    void legend()
    {
        bool const observed = layout_.any(item_kind::segment, &diagram_item::observed);
        bool const inferred = layout_.any(item_kind::segment, &diagram_item::observed, false);
        if (observed && inferred)
            put("Note over C,S: solid is captured, dashed is inferred");
        else if (inferred)
            put("Note over C,S: dashed is inferred from calls and returns");
    }

    diagram_layout const& layout_;
    std::array<std::string, 2> notes_;
    bool open_ = false;
    std::string out_;
};

DUET_DECL std::string draw_mermaid(diagram_layout const& layout)
{
    return mermaid_picture(layout).draw();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
