// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_LAY_OUT_IPP
#define DUET_DETAIL_TRACE_LAY_OUT_IPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <unordered_set>
#include <utility>
#include <vector>

#include <duet/detail/trace/diagram_entries.hpp>
#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/lay_out.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Gives the entries rows, from top to bottom.
class row_maker
{
public:
    row_maker(diagram_layout& layout, trace_log const& log, trace_session const& one, diagram_options const& options,
        std::vector<trace_segment> const& segments, std::vector<tcp_state_change> const& states)
        : layout_(layout), segments_(segments), states_(states),
          entries_(entries_of(log, one, segments_, states_, options)), arrows_(segments_.size(), none)
    {
        for (auto const& entry : entries_)
            if (entry.kind == what::arrival)
                slanted_.insert(entry.segment);
    }

    void place()
    {
        if (!entries_.empty())
            last_time_ = entries_.front().time;
        for (auto const& entry : entries_)
            place(entry);
        straighten();
        one_ways();
        // Of a row: what was called, what went over the wire, what was learned, and the states after that.
        auto const place_of = [](diagram_item const& item)
        {
            int const order = item.kind == item_kind::state   ? 3
                              : item.kind != item_kind::event ? 1
                              : item.returned                 ? 2
                                                              : 0;
            return std::pair(item.row, order);
        };
        std::stable_sort(layout_.items.begin(), layout_.items.end(),
            [&](auto const& a, auto const& b) { return place_of(a) < place_of(b); });
        spaces();
    }

private:
    using what = diagram_entry::what;
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    /// What a row has: places that are taken.
    struct row_use
    {
        std::array<bool, 2> side{};
        bool wire = false;
        std::uint64_t number = 0;  // of the event that began it
        std::size_t head = none;   // the segment whose arrow ends there
    };

    void place(diagram_entry const& entry)
    {
        switch (entry.kind)
        {
        case what::event:
            return put(entry.item, event_row(entry));
        case what::segment:
            return place_segment(entry);
        case what::arrival:
            return place_arrival(entry);
        case what::state:
            return place_state(entry);
        case what::fold:
            uses_[new_row(entry.time)].wire = true;
            layout_.rows.back().timed = true;
            last_time_ = entry.end;
            return put(entry.item, uses_.size() - 1);
        case what::note:
        {
            auto const row = new_row(entry.time);
            uses_[row] = {{true, true}, true, 0, none};
            return put(entry.item, row);
        }
        }
    }

    /// After a long silence, a row of its own says how long.
    std::size_t new_row(std::chrono::nanoseconds time)
    {
        auto const silence = time - last_time_;
        if (!uses_.empty() && silence >= std::chrono::milliseconds(100))
        {
            push_row(last_time_);
            layout_.rows.back().timed = false;
            uses_.back() = {{true, true}, true, 0, none};
            diagram_item item;
            item.kind = item_kind::pause;
            item.text = duration_text(silence);
            item.facts = {{"nothing for", item.text}};
            put(std::move(item), uses_.size() - 1);
        }
        last_time_ = std::max(last_time_, time);
        push_row(time);
        return uses_.size() - 1;
    }

    void push_row(std::chrono::nanoseconds time)
    {
        uses_.emplace_back();
        layout_.rows.push_back({time, true, 0.0});
    }

    void put(diagram_item item, std::size_t row)
    {
        item.row = row;
        item.last_row = std::max(item.last_row, row);
        if (item.kind == item_kind::event)
            uses_[row].side[item.client ? 0 : 1] = true;
        layout_.items.push_back(std::move(item));
    }

    /// Beside the head of the arrow that it tells of, if that is near; else a row of its own.
    std::size_t event_row(diagram_entry const& entry)
    {
        auto const side = entry.item.client ? std::size_t(0) : std::size_t(1);
        for (auto row = uses_.size(); row-- != 0 && uses_.size() - row <= 3 && !uses_[row].side[side];)
        {
            if (!entry.item.returned || uses_[row].head == none)
                continue;
            auto const& segment = segments_[uses_[row].head];
            if (segment.from_client != entry.item.client && segment.told == entry.number &&
                entry.time - segment.received.value_or(entry.time) <= nearness())
                return row;
        }
        auto const row = new_row(entry.time);
        uses_[row].number = entry.number;
        return row;
    }

    std::chrono::nanoseconds nearness() const
    {
        auto const whole = entries_.back().time - entries_.front().time;
        return std::max<std::chrono::nanoseconds>(std::chrono::milliseconds(1), whole / 50);
    }

    void place_segment(diagram_entry const& entry)
    {
        auto const& segment = segments_[entry.segment];
        auto row = uses_.empty() ? none : uses_.size() - 1;
        bool const beside_cause = row != none && !uses_[row].wire && segment.cause != 0 &&
                                  uses_[row].number == segment.cause && !uses_[row].side[segment.from_client ? 1 : 0];
        if (!beside_cause)
            row = new_row(entry.time);
        uses_[row].wire = true;
        arrows_[entry.segment] = layout_.items.size();
        put(entry.item, row);
        place_states(entry.segment, segment.from_client, row);
        if (slanted_.count(entry.segment) != 0)
            return;
        uses_[row].head = entry.segment;
        place_states(entry.segment, !segment.from_client, row);
    }

    void place_arrival(diagram_entry const& entry)
    {
        auto const row = new_row(entry.time);
        layout_.items[arrows_[entry.segment]].last_row = row;
        uses_[row].head = entry.segment;
        place_states(entry.segment, !entry.item.client, row);
    }

    /// The states that an end enters because of a segment.
    void place_states(std::size_t segment, bool client, std::size_t row)
    {
        for (auto const& state : states_)
            if (state.segment == segment + 1 && state.client == client)
                put(state_item(state), row);
    }

    void place_state(diagram_entry const& entry)
    {
        auto row = uses_.empty() ? new_row(entry.time) : uses_.size() - 1;
        bool const first = layout_.rows.size() == 1;
        if (first)
            layout_.rows.front().timed = false;
        else if (layout_.rows.back().time + std::chrono::milliseconds(1) < entry.time)
            row = new_row(entry.time);
        put(entry.item, row);
    }

    /// An arrow that would be drawn over many rows is drawn in one.
    void straighten()
    {
        for (auto& item : layout_.items)
            if (item.kind == item_kind::segment && item.last_row > item.row + 6)
                item.last_row = item.row;
    }

    void one_ways()
    {
        for (bool const from_client : {true, false})
        {
            auto const fin = find_fin(from_client);
            if (fin == nullptr)
                continue;
            one_way stretch;
            stretch.to_client = from_client;
            stretch.first_row = fin->last_row;
            stretch.last_row = uses_.size() - 1;
            for (std::size_t index = 0; index != segments_.size(); ++index)
            {
                if (arrows_[index] == none)
                    continue;
                auto const& item = layout_.items[arrows_[index]];
                bool const ends = contains(segments_[index].flags, tcp_flags::rst) ||
                                  (item.client != from_client && contains(segments_[index].flags, tcp_flags::fin));
                if (ends)
                    stretch.last_row = std::min(stretch.last_row, item.row);
            }
            if (stretch.first_row < stretch.last_row)
                layout_.stretches.push_back(stretch);
        }
    }

    diagram_item const* find_fin(bool from_client) const
    {
        for (std::size_t index = 0; index != segments_.size(); ++index)
            if (segments_[index].from_client == from_client && has_arrived_with_fin(segments_[index]) &&
                arrows_[index] != none)
                return &layout_.items[arrows_[index]];
        return nullptr;
    }

    static bool has_arrived_with_fin(trace_segment const& segment) noexcept
    {
        return contains(segment.flags, tcp_flags::fin) && !segment.lost;
    }

    /// Time to scale, with the square root so that short times can be seen beside long ones.
    void spaces()
    {
        std::chrono::nanoseconds longest{};
        auto const since = [&](std::size_t row) { return layout_.rows[row].time - layout_.rows[row - 1].time; };
        auto const counts = [&](std::size_t row) { return since(row) < std::chrono::milliseconds(100); };
        for (std::size_t row = 1; row < layout_.rows.size(); ++row)
            if (counts(row))
                longest = std::max(longest, since(row));
        for (std::size_t row = 1; row < layout_.rows.size(); ++row)
        {
            if (counts(row) && longest.count() > 0 && since(row).count() > 0)
                layout_.rows[row].space =
                    std::sqrt(static_cast<double>(since(row).count()) / static_cast<double>(longest.count()));
            if (layout_.rows[row].time == layout_.rows[row - 1].time && layout_.rows[row - 1].timed)
                layout_.rows[row].timed = false;
        }
    }

    diagram_layout& layout_;
    std::vector<trace_segment> const& segments_;
    std::vector<tcp_state_change> const& states_;
    std::vector<diagram_entry> entries_;
    std::vector<std::size_t> arrows_;          // the index of each segment's item, or none
    std::unordered_set<std::size_t> slanted_;  // segments that arrive in a row of their own
    std::vector<row_use> uses_;
    std::chrono::nanoseconds last_time_{};
};

inline void fill_table(diagram_layout& layout, trace_log const& log, traced_ends const& ends)
{
    numbered_events const events(log);
    for (auto const& event : log.events)
    {
        bool const client = ends.client != nullptr && event.session == ends.client->number;
        bool const server = ends.server != nullptr && event.session == ends.server->number;
        if (!client && !server && (event.session != 0 || event.kind != trace_kind::note))
            continue;
        // Number and time have columns of their own.
        std::string facts(to_string(event.kind));
        for (auto const& [name, value] : event.segment ? segment_facts(*event.segment, events) : event_facts(event))
            if (name != "event" && name != "time")
                facts.append("; ").append(name).append(": ").append(value);
        layout.table.push_back({std::to_string(event.number), clock_text(event.time),
            client   ? "client"
            : server ? "server"
                     : "",
            facts});
    }
}

DUET_DECL void lay_out_rows(diagram_layout& layout, trace_log const& log, trace_session const& one,
    diagram_options const& options, std::vector<trace_segment> const& segments,
    std::vector<tcp_state_change> const& states)
{
    row_maker(layout, log, one, options, segments, states).place();
}

DUET_DECL diagram_layout lay_out(trace_log const& log, trace_session const& one, diagram_options const& options)
{
    diagram_layout layout;
    traced_ends const ends(log, one);
    auto const name = [](trace_session const* end, std::string const& address, char const* role)
    {
        diagram_end result;
        result.role = role;
        if (end != nullptr && !end->name.empty())
            result.role += " " + printable(end->name);
        result.address = printable(address);
        result.traced = end != nullptr;
        return result;
    };
    layout.ends = {name(ends.client, one.client ? one.local : one.remote, "client"),
        name(ends.server, one.client ? one.remote : one.local, "server")};
    layout.title = printable(options.title);
    if (layout.title.empty())
        layout.title = (layout.ends[0].address.empty() ? "client" : layout.ends[0].address) + " to " +
                       (layout.ends[1].address.empty() ? "server" : layout.ends[1].address);
    layout.details = post_mortems(log, one);
    auto const segments = segments_of(log, one);
    layout.verdict = verdict_of(log, one, segments);
    lay_out_rows(layout, log, one, options, segments, tcp_states_of(log, one, segments));
    fill_table(layout, log, ends);
    return layout;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
