// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_LIVE_DIAGRAM_IPP
#define DUET_DETAIL_TRACE_LIVE_DIAGRAM_IPP

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <duet/detail/trace/diagram_text.hpp>
#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/lay_out.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/detail/trace/trace_facts.hpp>
#include <duet/live_diagram.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What only waits is not drawn before it has an end, and what waits for the end of the connection not at all.
inline bool is_worth_a_line(trace_event const& event) noexcept
{
    return !event.name.starts_with("wait") && !(event.kind == trace_kind::call && is_read(event.name));
}

/// In each row, the end that is not traced has its name.
inline void name_end(diagram_layout& layout, bool client)
{
    auto const& role = layout.ends[client ? 0 : 1].role;
    std::vector<bool> wanted(layout.rows.size());
    for (auto const& item : layout.items)
        if (item.kind != item_kind::pause)
            wanted[item.row] = true;
    for (auto& item : layout.items)
        if (item.kind == item_kind::state && item.client == client && wanted[item.row])
        {
            wanted[item.row] = false;
            item.kind = item_kind::event;
            item.text = role + (item.observed ? " [" + item.text + "]" : " (" + item.text + ")");
        }
    for (std::size_t row = 0; row != wanted.size(); ++row)
        if (wanted[row])
        {
            diagram_item item;
            item.client = client;
            item.row = item.last_row = row;
            item.text = role;
            layout.items.push_back(std::move(item));
        }
}

inline bool carries_bytes(trace_event const& event) noexcept
{
    return event.kind == trace_kind::transfer && event.bytes != 0 && !event.error;
}

}  // namespace detail

DUET_DECL std::string live_diagram::add(trace_log const& more)
{
    if (auto const* const one = more.find(number_))
        known_.sessions = {*one};
    for (auto const& event : more.events)
        if (event.session == number_ || (event.session == 0 && event.name == "connect"))
            known_.events.push_back(event);
    if (known_.sessions.empty() || old_ == known_.events.size())
        return "";
    auto lines = draw(known_.sessions.front());
    forget();
    return lines;
}

inline bool live_diagram::is_news(trace_segment const& segment)
{
    auto& from = of(segment.from_client);
    if (contains(segment.flags, tcp_flags::rst))
        return !std::exchange(from.reset, true);
    if (contains(segment.flags, tcp_flags::syn) && from.sequence)
        return false;  // after 2 GB its number looks new again
    auto const advance = [](std::optional<std::uint32_t>& last, std::uint32_t now)
    {
        bool const further = !last || static_cast<std::int32_t>(now - *last) > 0;
        if (further)
            last = now;
        return further;
    };
    auto const length = detail::length_of(segment);
    bool const acknowledges =
        contains(segment.flags, tcp_flags::ack) && advance(from.acknowledgement, segment.acknowledgement);
    return length != 0 ? advance(from.sequence, segment.sequence + length) : acknowledges;
}

inline std::string live_diagram::draw(trace_session const& one)
{
    auto const segments = segments_of(known_, one);
    std::vector<trace_segment> fresh;
    std::vector<std::size_t> place(segments.size() + 1);  // 1 + the index among the fresh ones; 0: it is none
    for (std::size_t index = 0; index != segments.size(); ++index)
    {
        if (!is_news(segments[index]))
            continue;
        fresh.push_back(segments[index]);
        place[index + 1] = fresh.size();
        auto& segment = fresh.back();
        if (!segment.received && !segment.lost)
            segment.received = segment.sent;
    }
    std::vector<tcp_state_change> states;
    std::array<bool, 2> begun{};
    for (auto state : tcp_states_of(known_, one, segments))
    {
        // Each is entered at most once; the first is how the end began.
        auto& drawn = of(state.client).states;
        auto const bit = 1U << static_cast<unsigned>(state.state);
        if (!std::exchange(begun[state.client ? 0 : 1], true) || (drawn & bit) != 0)
            continue;
        drawn |= bit;
        state.segment = place[state.segment];
        states.push_back(state);
    }

    trace_log log;
    log.sessions = known_.sessions;
    auto const news = known_.events.begin() + static_cast<std::ptrdiff_t>(old_);
    std::copy_if(news, known_.events.end(), std::back_inserter(log.events),
        [&](trace_event const& event)
        {
            // A write that was drawn with what it sent needs no second line.
            bool const second = event.kind == trace_kind::result && !event.error && detail::is_write(event.name) &&
                                event.call < news->number;
            return !second && detail::is_worth_a_line(event);
        });
    detail::diagram_layout layout;
    layout.ends[0] = {"client", "", one.client, of(true).finished};
    layout.ends[1] = {"server", "", !one.client, of(false).finished};
    diagram_options options;
    options.acknowledgements = false;
    detail::lay_out_rows(layout, log, one, options, fresh, states);
    detail::name_end(layout, !one.client);
    for (auto const& segment : fresh)
        if (contains(segment.flags, tcp_flags::fin) || contains(segment.flags, tcp_flags::rst))
            of(segment.from_client).finished = true;

    auto const before = detail::columns(options_.prefix);
    auto const rows = detail::draw_text_rows(
        layout, {options_.width - std::min(options_.width, before), options_.unicode, options_.colours, 10});
    std::string result;
    for (std::string_view rest = rows; !rest.empty();)
    {
        auto const line = rest.substr(0, rest.find('\n') + 1);
        result += options_.prefix;
        result += line;
        rest.remove_prefix(line.size());
    }
    return result;
}

/// What has been drawn is needed for the sequence numbers, the states, and who ended it: of bytes, only how many.
inline void live_diagram::forget()
{
    auto& events = known_.events;
    if (std::none_of(
            events.begin(), events.end(), [](auto const& event) { return event.kind == trace_kind::transfer; }))
    {
        old_ = events.size();
        return;
    }
    std::set<std::uint64_t> completed;
    for (auto const& event : events)
        if (event.kind == trace_kind::result)
            completed.insert(event.call);
    std::map<std::string, std::uint64_t> bytes;  // by the kind of transfer
    for (auto const& event : events)
        if (detail::carries_bytes(event))
            bytes[event.name] += event.bytes;
    std::set<std::pair<std::string, int>> errors;
    bool asked = false;
    std::vector<trace_event> kept;
    for (auto event = events.rbegin(); event != events.rend(); ++event)
    {
        bool const newest_of_kernel = event->kernel && !std::exchange(asked, true);
        bool needed = newest_of_kernel || event->kind == trace_kind::begin || event->kind == trace_kind::end ||
                      event->name == "connect" || event->name == "accept" ||
                      (event->kind == trace_kind::call && completed.count(event->number) == 0);
        if (detail::carries_bytes(*event))
        {
            event->bytes = std::exchange(bytes[event->name], 0);
            needed = event->bytes != 0;
        }
        else if (event->kind == trace_kind::transfer)
            needed = needed || !event->error || errors.emplace(event->error.category, event->error.value).second;
        if (needed)
            kept.push_back(std::move(*event));
    }
    std::reverse(kept.begin(), kept.end());
    events = std::move(kept);
    old_ = events.size();
}

DUET_DECL std::string live_diagram::verdict() const
{
    if (known_.sessions.empty())
        return "";
    auto const& one = known_.sessions.front();
    return detail::verdict_of(known_, one, segments_of(known_, one));
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
