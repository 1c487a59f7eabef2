// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_PARTS_IPP
#define DUET_DETAIL_TRACE_CONVERSATION_PARTS_IPP

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <duet/detail/trace/conversation_order.hpp>
#include <duet/detail/trace/conversation_parts.hpp>
#include <duet/detail/trace/numbered_events.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Gives each segment and each return to a part.
class part_maker
{
public:
    part_maker(trace_log const& log, traced_ends const& ends, std::vector<trace_segment> const& segments)
        : log_(log), events_(log), ends_(ends), segments_(segments), taken_(segments.size(), false),
          part_of_(segments.size(), none)
    {
    }

    std::vector<conversation_part> make()
    {
        find_stalls();
        for (std::size_t index = 0; index != segments_.size(); ++index)
            take(index);
        acknowledge_crossing();
        tell();
        add_events();
        return std::move(parts_);
    }

private:
    using what = conversation_part::what;
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    void take(std::size_t index)
    {
        auto const& segment = segments_[index];
        if (taken_[index])
            return;
        auto const place = place_of(index);
        if (place == none)
            return;
        put(index, place);
        if (length_of(segment) != 0)
            last_[segment.from_client ? 0 : 1] = index;
        if (contains(segment.flags, tcp_flags::fin) && !segment.lost)
            take_fin(index, place);
        if (auto const held = held_.find(index); held != held_.end())
            acknowledge(held->second, place);
    }

    void put(std::size_t index, std::size_t place)
    {
        taken_[index] = true;
        part_of_[index] = place;
        parts_[place].segments.push_back(index);
    }

    std::size_t add(what kind, bool client, trace_event const* call = nullptr)
    {
        conversation_part part;
        part.kind = kind;
        part.client = client;
        part.call = call;
        parts_.push_back(std::move(part));
        return parts_.size() - 1;
    }

    /// The part that the segment belongs to, or none for an acknowledgement that says nothing else.
    std::size_t place_of(std::size_t index)
    {
        auto const& segment = segments_[index];
        auto const& heard = last_[segment.from_client ? 1 : 0];
        if (segment.label == segment_label::retransmission || is_probe(segment.label))
            return place_of_tcp(segment);
        if (is_answer(segment.label))
            return place_of_probe(!segment.from_client);
        if (stalls_.count(index) != 0)
            return segment.label == segment_label::window_update ? place_of_tcp(segment)
                   : heard                                       ? part_of_[*heard]
                                                                 : none;
        if (is_bare(segment))
            return completes_handshake(segment) ? part_of_[*heard] : none;
        if (segment.cause != 0)
            return place_of_cause(segment);
        if (contains(segment.flags, tcp_flags::rst))
            return place_of_reset(index);
        if (contains(segment.flags, tcp_flags::syn) && contains(segment.flags, tcp_flags::ack) && heard)
            return part_of_[*heard];
        return joins_last(segment) ? parts_.size() - 1 : add(what::program, segment.from_client);
    }

    /// A peer without room is told of if it lasts: until TCP asks for it.
    void find_stalls()
    {
        std::array<std::optional<std::size_t>, 2> full;  // the window that each end has closed
        std::array<bool, 2> asked{};
        for (std::size_t index = 0; index != segments_.size(); ++index)
        {
            auto const label = segments_[index].label;
            auto const side = segments_[index].from_client ? std::size_t(0) : std::size_t(1);
            if (label == segment_label::zero_window)
                full[side] = index;
            if (label == segment_label::zero_window_probe)
            {
                if (full[1 - side])
                    stalls_.insert(*std::exchange(full[1 - side], std::nullopt));
                asked[1 - side] = true;
            }
            if (label == segment_label::window_update && std::exchange(asked[side], false))
                stalls_.insert(index);
        }
    }

    bool completes_handshake(trace_segment const& segment)
    {
        auto const& heard = last_[1];
        if (complete_ || !segment.from_client || !heard || !contains(segments_[*heard].flags, tcp_flags::syn))
            return false;
        complete_ = true;
        return true;
    }

    /// RST without ACK answers what has acknowledged its number; so does one from an end that has said nothing.
    std::size_t place_of_reset(std::size_t index)
    {
        auto const& segment = segments_[index];
        auto const& heard = last_[segment.from_client ? 1 : 0];
        if (contains(segment.flags, tcp_flags::ack) && !last_[segment.from_client ? 0 : 1] && heard)
            return part_of_[*heard];
        for (auto at = index; !contains(segment.flags, tcp_flags::ack) && at-- != 0;)
        {
            auto const& before = segments_[at];
            if (before.from_client == segment.from_client || !contains(before.flags, tcp_flags::ack) ||
                before.acknowledgement != segment.sequence)
                continue;
            if (part_of_[at] == none)
                put(at, place_of_tcp(before));
            return part_of_[at];
        }
        bool const traced = (segment.from_client ? ends_.client : ends_.server) != nullptr;
        return traced ? place_of_tcp(segment) : add(what::program, segment.from_client);
    }

    /// What TCP does on its own between what the programs do is one part.
    std::size_t place_of_tcp(trace_segment const& segment)
    {
        auto const place = place_of_probe(segment.from_client);
        return place != none ? place : add(what::tcp, segment.from_client);
    }

    std::size_t place_of_probe(bool client) const noexcept
    {
        for (auto place = parts_.size(); place-- != 0 && parts_[place].kind == what::tcp;)
            if (parts_[place].client == client)
                return place;
        return none;
    }

    std::size_t place_of_cause(trace_segment const& segment)
    {
        auto const found = causes_.try_emplace(segment.cause, parts_.size());
        if (found.second)
            add(what::call, segment.from_client, events_.find(segment.cause));
        return found.first->second;
    }

    /// Where one call of such a program ends is not known.
    bool joins_last(trace_segment const& segment) const noexcept
    {
        if (parts_.empty() || segment.bytes == 0)
            return false;
        auto const& part = parts_.back();
        return part.kind == what::program && part.client == segment.from_client &&
               segments_[part.segments.back()].bytes != 0;
    }

    /// A FIN that waits for something: the FIN, and the segment that acknowledges it if it does nothing else.
    struct held_fin
    {
        std::size_t fin;
        std::size_t answer;
    };

    /// Whether a FIN is acknowledged alone or with bytes is a matter of milliseconds, so it is told with the FIN, or
    /// with what was lost before it.
    void take_fin(std::size_t fin, std::size_t place)
    {
        auto const& segment = segments_[fin];
        parts_[place].lands = crossing_fin(fin);
        std::optional<std::size_t> again;
        for (auto index = fin + 1; index != segments_.size(); ++index)
        {
            auto const& next = segments_[index];
            if (next.from_client == segment.from_client)
            {
                if (next.label == segment_label::retransmission && !next.lost)
                    again = index;
                continue;
            }
            if (contains(next.flags, tcp_flags::rst))
                continue;
            if (!covers(next.acknowledgement, segment))
            {
                if (contains(next.flags, tcp_flags::fin) && !next.lost)
                    parts_[place].lands = index;
                continue;
            }
            bool const alone = is_bare(next) && !taken_[index];
            taken_[index] = taken_[index] || alone;
            held_fin const held{fin, alone ? index : none};
            if (parts_[place].lands && alone)
                crossing_acknowledgements_.push_back(index);
            else if (again && !parts_[place].lands)
            {
                parts_[place].lands = again;
                held_.emplace(*again, held);
            }
            else if (!parts_[place].lands)
                acknowledge(held, place);
            return;
        }
    }

    void acknowledge(held_fin const& held, std::size_t place)
    {
        parts_[place].acknowledged = held.fin;
        if (held.answer != none)
            put(held.answer, place);
    }

    /// The other end's FIN if neither acknowledges the other.
    std::optional<std::size_t> crossing_fin(std::size_t fin) const
    {
        auto const& segment = segments_[fin];
        auto const& other = last_[segment.from_client ? 1 : 0];
        bool const crosses = other && contains(segments_[*other].flags, tcp_flags::fin) && !segments_[*other].lost &&
                             !covers(segment.acknowledgement, segments_[*other]);
        return crosses ? other : std::nullopt;
    }

    void acknowledge_crossing()
    {
        if (crossing_acknowledgements_.empty())
            return;
        auto const place = add(what::both, true);
        std::stable_partition(crossing_acknowledgements_.begin(), crossing_acknowledgements_.end(),
            [&](std::size_t index) { return segments_[index].from_client; });
        for (auto const index : crossing_acknowledgements_)
            put(index, place);
    }

    /// A return belongs to the last segment that it tells of, and stands in its place among those of others.
    void tell()
    {
        std::unordered_map<std::uint64_t, std::size_t> last;
        for (std::size_t index = 0; index != segments_.size(); ++index)
            if (segments_[index].told != 0 && part_of_[index] != none)
                last[segments_[index].told] = index;
        auto const told_here = [&](conversation_part& part, std::size_t index)
        {
            auto const* const event = events_.find(segments_[index].told);
            if (event == nullptr || last[event->number] != index)
                return;
            told_.insert(event->number);
            part.told.push_back(event);
        };
        std::unordered_set<std::size_t> waiting;
        for (auto const& [segment, held] : held_)
            waiting.insert(held.fin);
        for (auto& part : parts_)
            for (auto const index : part.segments)
            {
                if (waiting.count(index) == 0)
                    told_here(part, index);
                if (auto const held = held_.find(index); held != held_.end())
                    told_here(part, held->second.fin);
            }
    }

    /// What no segment tells of: failures, and calls that end a connection and sent nothing.
    void add_events()
    {
        for (auto const& event : log_.events)
        {
            bool const client = ends_.client != nullptr && event.session == ends_.client->number;
            bool const server = ends_.server != nullptr && event.session == ends_.server->number;
            if (!client && !server)
                continue;
            if (event.kind == trace_kind::result && event.error && told_.count(event.number) == 0)
            {
                auto const place = add(what::failure, client, events_.find(event.call));
                parts_[place].told.push_back(&event);
            }
            bool const ending = event.kind == trace_kind::call &&
                                (event.name == "close" || event.name == "abort" || event.name == "shutdown_send");
            if (ending && causes_.count(event.number) == 0)
                add(what::call, client, &event);
        }
    }

    trace_log const& log_;
    numbered_events events_;
    traced_ends ends_;
    std::vector<trace_segment> const& segments_;
    std::vector<conversation_part> parts_;
    std::vector<bool> taken_;                                // segments that have their part, or need none
    std::vector<std::size_t> part_of_;                       // of each segment
    std::array<std::optional<std::size_t>, 2> last_;         // of each end, what it sent last that takes numbers
    std::unordered_map<std::uint64_t, std::size_t> causes_;  // the part of each call that caused a segment
    std::unordered_set<std::uint64_t> told_;                 // the returns that told of one
    std::vector<std::size_t> crossing_acknowledgements_;
    std::unordered_map<std::size_t, held_fin> held_;  // by the repeated segment that they wait for
    std::unordered_set<std::size_t> stalls_;          // where a window closes, and opens
    bool complete_ = false;                           // the handshake is
};

/// A close has ended when both FINs have gone: it returns after the later one.
inline void settle_closes(
    std::vector<conversation_part>& parts, trace_log const& log, std::vector<trace_segment> const& segments)
{
    for (auto const& event : log.events)
    {
        if (event.kind != trace_kind::result || event.name != "close" || event.error)
            continue;
        auto const own = std::find_if(parts.begin(), parts.end(),
            [&](auto const& part) { return part.call != nullptr && part.call->number == event.call; });
        if (own == parts.end())
            continue;
        auto last = own;
        for (auto part = own; part != parts.end(); ++part)
            for (auto const index : part->segments)
                if (contains(segments[index].flags, tcp_flags::fin) && !segments[index].lost)
                    last = part;
        last->told.push_back(&event);
    }
}

DUET_DECL std::vector<conversation_part> parts_of(
    trace_log const& log, traced_ends const& ends, std::vector<trace_segment> const& segments)
{
    auto parts = in_order(part_maker(log, ends, segments).make(), segments);
    settle_closes(parts, log, segments);
    return parts;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
