// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_ORDER_IPP
#define DUET_DETAIL_TRACE_CONVERSATION_ORDER_IPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>

#include <duet/detail/trace/conversation_order.hpp>
#include <duet/detail/trace/segment_steps.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class part_order
{
public:
    part_order(std::vector<conversation_part>& parts, std::vector<trace_segment> const& segments)
        : parts_(parts), segments_(segments), after_(parts.size()), waits_(parts.size(), 0)
    {
    }

    std::vector<std::size_t> find()
    {
        programs();
        directions();
        own_times();
        return sorted();
    }

private:
    using what = conversation_part::what;
    using time = std::chrono::nanoseconds;
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    void edge(std::size_t before, std::size_t after)
    {
        if (before == none || before == after)
            return;
        after_[before].push_back(after);
        ++waits_[after];
    }

    bool is_program(std::size_t place) const noexcept
    {
        return parts_[place].kind == what::call || parts_[place].kind == what::failure;
    }

    /// When the program acted: a failure is what it learned.
    std::uint64_t number_of(conversation_part const& part) const noexcept
    {
        if (part.kind == what::failure)
            return part.told.front()->number;
        return part.call != nullptr ? part.call->number : 0;
    }

    /// What a program does comes after what it did and learned before.
    void programs()
    {
        for (bool const client : {true, false})
        {
            std::vector<std::tuple<std::uint64_t, bool, std::size_t>> steps;  // number, acts, part
            for (std::size_t place = 0; place != parts_.size(); ++place)
            {
                auto const& part = parts_[place];
                if (is_program(place) && part.client == client)
                    steps.emplace_back(number_of(part), true, place);
                for (auto const* event : part.told)
                    if (learns(*event, client, part))
                        steps.emplace_back(event->number, false, place);
            }
            std::sort(steps.begin(), steps.end());
            std::vector<std::size_t> known;
            std::size_t last = none;
            for (auto const& [number, acts, place] : steps)
            {
                if (!acts)
                {
                    known.push_back(place);
                    continue;
                }
                edge(last, place);
                for (auto const each : known)
                    edge(each, place);
                known.clear();
                last = place;
            }
        }
    }

    /// An end learns from the segments that came to it.
    bool learns(trace_event const& event, bool client, conversation_part const& part) const noexcept
    {
        auto const told = [&](std::size_t index)
        { return segments_[index].told == event.number && segments_[index].from_client != client; };
        return std::any_of(part.segments.begin(), part.segments.end(), told) ||
               (part.acknowledged && told(*part.acknowledged));
    }

    /// Segments of one direction keep their order; what TCP, or a program that is not traced, sends comes after what it
    /// acknowledges, and after the handshake.
    void directions()
    {
        std::vector<std::size_t> part_of(segments_.size(), none);
        for (std::size_t place = 0; place != parts_.size(); ++place)
            for (auto const index : parts_[place].segments)
                part_of[index] = place;
        std::array<std::size_t, 2> last{none, none};
        std::vector<bool> seen(parts_.size(), false);
        std::array<std::vector<std::size_t>, 2> sent;  // what takes sequence numbers
        for (std::size_t index = 0; index != segments_.size(); ++index)
        {
            auto const& segment = segments_[index];
            auto const place = part_of[index];
            if (place == none)
                continue;
            auto const& part = parts_[place];
            auto const side = segment.from_client ? std::size_t(0) : std::size_t(1);
            if (!seen[place])
            {
                seen[place] = true;
                edge(last[side], place);
                edge(part_of.front(), place);
                if (!is_program(place))
                    edge(acknowledged(sent[1 - side], segment, part_of), place);
            }
            if (part.kind != what::both && part.client == segment.from_client)
                last[side] = place;
            if (length_of(segment) != 0)
                sent[side].push_back(index);
        }
        for (std::size_t place = 0; place != parts_.size(); ++place)
            if (!seen[place] && !segments_.empty())
                edge(part_of.front(), place);
        fins(part_of);
    }

    /// The part that has the latest segment which `segment` acknowledges.
    std::size_t acknowledged(std::vector<std::size_t> const& sent, trace_segment const& segment,
        std::vector<std::size_t> const& part_of) const noexcept
    {
        for (auto at = sent.rbegin(); contains(segment.flags, tcp_flags::ack) && at != sent.rend(); ++at)
        {
            auto const& before = segments_[*at];
            if (static_cast<std::int32_t>(segment.acknowledgement - before.sequence - length_of(before)) >= 0)
                return part_of[*at];
        }
        return none;
    }

    /// What acknowledges two FINs that cross comes after both.
    void fins(std::vector<std::size_t> const& part_of)
    {
        for (std::size_t place = 0; place != parts_.size(); ++place)
            for (std::size_t index = 0; parts_[place].kind == what::both && index != segments_.size(); ++index)
                if (contains(segments_[index].flags, tcp_flags::fin))
                    edge(part_of[index], place);
    }

    time time_of(std::size_t place) const noexcept
    {
        auto const& part = parts_[place];
        if (!part.segments.empty())
        {
            auto const& segment = segments_[part.segments.front()];
            return segment.sent ? *segment.sent : segment.received.value_or(time());
        }
        return part.kind == what::failure ? part.told.front()->time : part.call != nullptr ? part.call->time : time();
    }

    bool repeats(std::size_t place) const noexcept
    {
        auto const& first = parts_[place].segments;
        return !first.empty() && segments_[first.front()].label == segment_label::retransmission;
    }

    /// What TCP does on its own is between what the programs did before and after it.
    void own_times()
    {
        std::vector<std::pair<time, std::size_t>> all;
        for (std::size_t place = 0; place != parts_.size(); ++place)
            all.emplace_back(time_of(place), place);
        std::sort(all.begin(), all.end());
        std::array<std::size_t, 2> acted{none, none};
        std::array<std::size_t, 2> own{none, none};
        std::array<bool, 2> told{};
        for (auto const& [when, place] : all)
        {
            auto const side = parts_[place].client ? std::size_t(0) : std::size_t(1);
            if (parts_[place].kind == what::tcp)
            {
                edge(acted[0], place);
                edge(acted[1], place);
                edge(own[side], place);
                // Which of two that repeat is earlier is a matter of milliseconds.
                if (!repeats(place) || own[1 - side] == none || !repeats(own[1 - side]))
                    edge(own[1 - side], place);
                own[side] = place;
                told = {};
            }
            else if (parts_[place].kind != what::both)
            {
                if (!std::exchange(told[side], true))
                {
                    edge(own[0], place);
                    edge(own[1], place);
                }
                acted[side] = place;
            }
        }
    }

    std::vector<std::size_t> sorted()
    {
        using turn = std::pair<bool, std::size_t>;  // the client first, then as they came
        auto const turn_of = [&](std::size_t place) { return turn(!parts_[place].client, place); };
        std::set<turn> ready;
        std::set<turn> waiting;
        for (std::size_t place = 0; place != parts_.size(); ++place)
            (waits_[place] == 0 ? ready : waiting).insert(turn_of(place));
        std::vector<std::size_t> result;
        while (!ready.empty() || !waiting.empty())
        {
            // A trace that contradicts itself has a circle.
            auto& from = ready.empty() ? waiting : ready;
            auto const place = from.begin()->second;
            from.erase(from.begin());
            result.push_back(place);
            for (auto const next : after_[place])
                if (--waits_[next] == 0 && waiting.erase(turn_of(next)) != 0)
                    ready.insert(turn_of(next));
        }
        return result;
    }

    std::vector<conversation_part>& parts_;
    std::vector<trace_segment> const& segments_;
    std::vector<std::vector<std::size_t>> after_;
    std::vector<std::size_t> waits_;  // how many parts have to come before each
};

DUET_DECL std::vector<conversation_part> in_order(
    std::vector<conversation_part> parts, std::vector<trace_segment> const& segments)
{
    std::vector<conversation_part> result;
    for (auto const place : part_order(parts, segments).find())
        result.push_back(std::move(parts[place]));
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
