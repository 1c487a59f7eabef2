// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_ENTRIES_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_ENTRIES_IPP

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <duet/detail/trace/diagram_entries.hpp>
#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/detail/trace/trace_facts.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL diagram_item state_item(tcp_state_change const& state)
{
    diagram_item item;
    item.kind = item_kind::state;
    item.client = state.client;
    item.text = state_name(state.state);
    item.observed = state.evidence == evidence::observed;
    item.facts = {{"TCP state", item.text}, {"of", state.client ? "client" : "server"},
        {"since", clock_text(state.time)},
        {"known", item.observed ? "observed: the kernel said so in #" + std::to_string(state.event)
                                : "inferred from the segments"}};
    return item;
}

class entry_maker
{
public:
    entry_maker(trace_log const& log, trace_session const& one, std::vector<trace_segment> const& segments,
        std::vector<tcp_state_change> const& states, diagram_options const& options)
        : log_(log), events_(log), ends_(log, one), segments_(segments), states_(states), options_(options)
    {
    }

    std::vector<diagram_entry> make()
    {
        for (auto const& segment : segments_)
        {
            causes_.insert(segment.cause);
            auto& fin = told_.try_emplace(segment.told, false).first->second;
            fin = fin || contains(segment.flags, tcp_flags::fin);
        }
        for (auto const& state : states_)
            changing_.insert(state.segment);
        add_events();
        add_notes();
        add_states();
        add_segments();
        std::stable_sort(entries_.begin(), entries_.end(),
            [](auto const& a, auto const& b) { return std::tie(a.time, a.rank) < std::tie(b.time, b.rank); });
        fold();
        return std::move(entries_);
    }

private:
    using what = diagram_entry::what;
    static constexpr std::size_t near = 16;  // segments further apart have nothing to do with each other

    trace_session const* end_of(trace_event const& event) const noexcept
    {
        for (auto const* end : {ends_.client, ends_.server})
            if (end != nullptr && event.session == end->number)
                return end;
        // A connector's call is none of the session that comes of it.
        return event.session == 0 && event.kind == trace_kind::call && causes_.count(event.number) != 0 ? ends_.client
                                                                                                        : nullptr;
    }

    bool is_told(std::uint64_t number) const { return told_.count(number) != 0; }

    bool tells_fin(std::uint64_t number) const
    {
        auto const found = told_.find(number);
        return found != told_.end() && found->second;
    }

    bool is_shown(trace_event const& event) const
    {
        switch (event.kind)
        {
        case trace_kind::call:
        case trace_kind::result:
        case trace_kind::lost:
        case trace_kind::note:
            return true;
        case trace_kind::begin:
        case trace_kind::transfer:
            // Where a call stands for it, the call is shown.
            return is_told(event.number) || causes_.count(event.number) != 0;
        case trace_kind::end:
            return is_told(event.number);
        case trace_kind::state:
        case trace_kind::segment:
            break;
        }
        return false;
    }

    /// A result joins its call if nothing has happened between them, and only one of them goes with a segment.
    void add_events()
    {
        std::array<std::size_t, 2> last_call{};  // 1 + the place in entries_, at each end
        for (auto const& event : log_.events)
        {
            auto const* const end = end_of(event);
            if (end == nullptr || !is_shown(event))
                continue;
            auto& mine = last_call[end->client ? 0 : 1];
            auto const place = std::exchange(mine, 0);
            if (event.kind == trace_kind::result && place != 0 && entries_[place - 1].number == event.call)
            {
                auto& call = entries_[place - 1];
                bool const caused = causes_.count(call.number) != 0;
                bool const adjacent =
                    place == entries_.size() && event.time - call.time < std::chrono::milliseconds(100);
                if (caused ? !is_told(event.number) && !event.error : adjacent)
                {
                    join(call, event);
                    continue;
                }
            }
            add_event(event, end->client);
            if (event.kind == trace_kind::call)
                mine = entries_.size();
        }
    }

    /// Those of the program as a whole, from the first event of the connection to its last.
    void add_notes()
    {
        auto const mine = [&](trace_event const& event) { return event.session != 0 && end_of(event) != nullptr; };
        auto const first = std::find_if(log_.events.begin(), log_.events.end(), mine);
        auto const last = std::find_if(log_.events.rbegin(), log_.events.rend(), mine).base();
        for (auto event = first; first != log_.events.end() && event != last; ++event)
        {
            if (event->session != 0 || event->kind != trace_kind::note)
                continue;
            diagram_entry entry;
            entry.kind = what::note;
            entry.time = event->time;
            entry.rank = event->number * 4 + 1;
            entry.item.kind = item_kind::note;
            entry.item.text = event_words(*event, false);
            entry.item.facts = event_facts(*event);
            entries_.push_back(std::move(entry));
        }
    }

    void add_event(trace_event const& event, bool client)
    {
        diagram_entry entry;
        entry.kind = what::event;
        entry.time = event.time;
        entry.rank = event.number * 4 + 1;
        entry.number = event.number;
        entry.item.client = client;
        entry.item.text = event_words(event, tells_fin(event.number));
        entry.item.failed = static_cast<bool>(event.error);
        entry.item.observed = event.evidence == evidence::observed;
        entry.item.returned = event.kind != trace_kind::call;
        entry.item.facts = event_facts(event);
        entry.carries_bytes = !event.error && !tells_fin(event.number) && (is_read(event.name) || is_write(event.name));
        entries_.push_back(std::move(entry));
    }

    void join(diagram_entry& call, trace_event const& result)
    {
        if (auto const* const event = events_.find(call.number))
            call.item.text = call_words(*event, result, tells_fin(result.number));
        auto facts = event_facts(result);
        if (is_told(result.number) || result.error)
        {
            call.time = result.time;
            call.rank = result.number * 4 + 1;
            call.number = result.number;
            call.item.returned = true;
        }
        call.item.failed = static_cast<bool>(result.error);
        call.carries_bytes = call.carries_bytes && !result.error && !tells_fin(result.number);
        call.item.facts.insert(call.item.facts.end(), facts.begin(), facts.end());
    }

    void add_segments()
    {
        auto const crossing = crossing_segments();
        std::uint64_t last_rank = 0;
        std::chrono::nanoseconds last_time{};
        for (std::size_t index = 0; index != segments_.size(); ++index)
        {
            auto const& segment = segments_[index];
            auto const time = segment.sent ? segment.sent : segment.received;
            bool const bare = is_bare(segment) && !is_probe(segment.label) && !is_answer(segment.label);
            if (!time || (bare && !options_.acknowledgements && changing_.count(index + 1) == 0 && segment.told == 0))
                continue;
            diagram_entry entry;
            entry.kind = what::segment;
            entry.time = *time;
            entry.rank = segment.cause != 0  ? segment.cause * 4 + 2
                         : segment.told != 0 ? segment.told * 4
                                             : rank_of_arrival(index, *time, !segment.from_client);
            if (last_time == *time)
                entry.rank = std::max(entry.rank, last_rank);
            last_time = *time;
            last_rank = entry.rank;
            entry.segment = index;
            entry.item.kind = item_kind::segment;
            entry.item.client = segment.from_client;
            entry.item.text = segment_words(segment);
            entry.item.observed = segment.evidence == evidence::observed;
            entry.item.failed = contains(segment.flags, tcp_flags::rst);
            entry.item.lost = segment.lost;
            entry.item.unknown = !segment.lost && !segment.received;
            entry.item.bare = bare;
            entry.item.bytes = segment.bytes;
            entry.item.facts = segment_facts(segment, events_);
            entry.carries_bytes = changing_.count(index + 1) == 0 && !segment.lost &&
                                  segment.label != segment_label::retransmission && (bare || segment.bytes != 0) &&
                                  !contains(segment.flags, tcp_flags::rst) && crossing.count(index) == 0 &&
                                  !(bare && segment.told != 0);
            entries_.push_back(entry);
            if (crossing.count(index) == 0)
                continue;
            entry.kind = what::arrival;
            entry.time = *segment.received;
            entry.rank =
                segment.told != 0 ? segment.told * 4 : rank_of_arrival(index, *segment.received, segment.from_client);
            entry.item = {};
            entry.item.client = segment.from_client;
            entry.carries_bytes = false;
            entries_.push_back(std::move(entry));
        }
    }

    /// That of the latest before `index` that came from that end at that time: what answers or follows it comes after
    /// it.
    std::uint64_t rank_of_arrival(std::size_t index, std::chrono::nanoseconds time, bool from_client) const
    {
        std::uint64_t rank = 0;
        for (auto at = index; at-- != 0 && index - at < near;)
            if (segments_[at].from_client == from_client && segments_[at].received == time)
                rank = std::max(rank, segments_[at].told * 4);
        return rank;
    }

    /// Those that were under way when one came from the other end.
    std::unordered_set<std::size_t> crossing_segments() const
    {
        std::unordered_set<std::size_t> result;
        auto const travels = [](trace_segment const& segment)
        {
            return segment.sent && segment.received && *segment.sent < *segment.received && !segment.lost &&
                   !contains(segment.flags, tcp_flags::syn) && segment.flags != tcp_flags::ack;
        };
        for (std::size_t first = 0; first != segments_.size(); ++first)
            for (auto second = first + 1; second < std::min(first + near, segments_.size()); ++second)
            {
                auto const& a = segments_[first];
                auto const& b = segments_[second];
                if (travels(a) && travels(b) && a.from_client != b.from_client && *a.sent < *b.received &&
                    *b.sent < *a.received)
                    result.insert({first, second});
                // What comes after such a one does not overtake it.
                if (result.count(first) != 0 && a.from_client == b.from_client && b.sent && b.received &&
                    *b.sent < *b.received && *b.sent < *a.received)
                    result.insert(second);
            }
        return result;
    }

    void add_states()
    {
        for (auto const& state : states_)
        {
            if (state.segment != 0 || state.state == tcp_state::unknown)
                continue;
            diagram_entry entry;
            entry.kind = what::state;
            entry.time = state.time;
            entry.rank = state.event != 0 ? state.event * 4 + 2 : 0;  // those of the beginning precede all segments
            entry.number = state.event;
            entry.item = state_item(state);
            entries_.push_back(std::move(entry));
        }
    }

    void fold()
    {
        if (options_.fold_after == 0)
            return;
        std::vector<diagram_entry> kept;
        for (std::size_t first = 0; first < entries_.size();)
        {
            auto last = first;
            while (last < entries_.size() && entries_[last].carries_bytes)
                ++last;
            auto const length = last - first;
            if (length > std::max<std::size_t>(options_.fold_after, 11))
                fold_run(kept, first, last);
            else
                std::move(entries_.begin() + static_cast<std::ptrdiff_t>(first),
                    entries_.begin() + static_cast<std::ptrdiff_t>(std::max(last, first + 1)),
                    std::back_inserter(kept));
            first = std::max(last, first + 1);
        }
        entries_ = std::move(kept);
    }

    void fold_run(std::vector<diagram_entry>& kept, std::size_t first, std::size_t last)
    {
        auto begin = std::min(first + 6, last);
        while (begin < last && begin < first + 12 && !begins_exchange(begin))
            ++begin;
        auto end = last - 4;
        while (end > begin && end + 10 > last && !begins_exchange(end))
            --end;
        auto const at = [&](std::size_t index) { return entries_.begin() + static_cast<std::ptrdiff_t>(index); };
        std::move(at(first), at(begin), std::back_inserter(kept));
        if (begin < end)
            kept.push_back(folded(begin, end));
        std::move(at(end), at(last), std::back_inserter(kept));
    }

    /// A good place to cut: the call before a segment, or a segment that has none.
    bool begins_exchange(std::size_t index) const
    {
        auto const& entry = entries_[index];
        return (entry.kind == what::event && !entry.item.returned) ||
               (entry.kind == what::segment && !entry.item.bare && segments_[entry.segment].cause == 0);
    }

    diagram_entry folded(std::size_t first, std::size_t last) const
    {
        std::size_t segments = 0;
        std::array<std::uint64_t, 2> bytes{};
        for (auto index = first; index != last; ++index)
        {
            auto const& item = entries_[index].item;
            segments += item.kind == item_kind::segment;
            bytes[item.client ? 0 : 1] += item.bytes;
        }
        diagram_entry entry;
        entry.kind = what::fold;
        entry.time = entries_[first].time;
        entry.end = entries_[last - 1].time;
        entry.item.kind = item_kind::fold;
        entry.item.text = std::to_string(segments) + " segments, " + bytes_text(bytes[0] + bytes[1]) + ", " +
                          duration_text(entry.end - entry.time);
        entry.item.client = bytes[0] >= bytes[1];
        entry.item.facts = {{"folded", std::to_string(last - first) + " segments, calls and returns"},
            {"client to server", bytes_text(bytes[0])}, {"server to client", bytes_text(bytes[1])},
            {"from", clock_text(entry.time)}, {"to", clock_text(entry.end)}};
        return entry;
    }

    trace_log const& log_;
    numbered_events events_;
    traced_ends ends_;
    std::vector<trace_segment> const& segments_;
    std::vector<tcp_state_change> const& states_;
    diagram_options const& options_;
    std::vector<diagram_entry> entries_;
    std::unordered_set<std::uint64_t> causes_;      // the events that caused a segment
    std::unordered_map<std::uint64_t, bool> told_;  // those that told of one: whether it had FIN
    std::unordered_set<std::size_t> changing_;      // 1 + the indices of segments that changed a state
};

DUET_DECL std::vector<diagram_entry> entries_of(trace_log const& log, trace_session const& one,
    std::vector<trace_segment> const& segments, std::vector<tcp_state_change> const& states,
    diagram_options const& options)
{
    return entry_maker(log, one, segments, states, options).make();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
