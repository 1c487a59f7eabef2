// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_LABELS_IPP
#define DUET_DETAIL_TRACE_SEGMENT_LABELS_IPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <duet/detail/trace/segment_labels.hpp>
#include <duet/detail/trace/segment_steps.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class segment_labels
{
public:
    explicit segment_labels(std::vector<trace_segment>& segments) : segments_(segments) {}

    void find()
    {
        for (std::size_t index = 0; index != segments_.size(); ++index)
            take(index);
        for (auto const& each : directions_)
        {
            for (auto const index : each.unacknowledged)
                if (segments_[index].label == segment_label::retransmission)
                    lose(index);
            if (each.probe && each.asked_in_vain)
                lose(*each.probe);
        }
    }

private:
    /// What one end has sent so far.
    struct direction
    {
        std::optional<std::uint32_t> next{};  // the sequence number after the highest
        std::optional<std::uint32_t> acknowledged{};
        std::optional<std::uint32_t> window{};
        std::vector<std::size_t> unacknowledged{};
        std::vector<std::pair<std::uint32_t, std::uint32_t>> gaps{};  // numbers that it has left out
        std::vector<std::size_t> passed{};   // not acknowledged by what the other end has sent since
        std::optional<std::size_t> reset{};  // its RST, which nothing has contradicted
        std::optional<std::size_t> probe{};  // which nothing has answered yet
        bool asked_in_vain = false;          // a probe before that one was lost
    };

    static std::int32_t distance(std::uint32_t from, std::uint32_t to) noexcept
    {
        return static_cast<std::int32_t>(to - from);
    }

    static std::uint32_t end_of(trace_segment const& segment) noexcept { return segment.sequence + length_of(segment); }

    void take(std::size_t index)
    {
        auto& segment = segments_[index];
        auto& mine = directions_[segment.from_client ? 0 : 1];
        auto& theirs = directions_[segment.from_client ? 1 : 0];
        bool const begins = segment.flags == tcp_flags::syn;
        if (contains(segment.flags, tcp_flags::rst))
        {
            for (auto const earlier : mine.passed)
                lose(earlier);
            mine.passed.clear();
            mine.reset = index;
            theirs.unacknowledged.clear();
            theirs.probe.reset();
            return;
        }
        if (begins && mine.next && *mine.next != end_of(segment))
            directions_ = {};
        segment.label = label_of(segment, mine, theirs);
        if (is_probe(segment.label))
            ask(index, mine);
        else if (length_of(segment) != 0)
            send(index, mine);
        acknowledge(segment, mine, theirs);
    }

    segment_label label_of(trace_segment const& segment, direction const& mine, direction const& theirs) const
    {
        if (!mine.next)
            return segment_label::none;
        auto const before = distance(segment.sequence, *mine.next);
        bool const plain = !contains(segment.flags, tcp_flags::syn) && !contains(segment.flags, tcp_flags::fin);
        bool const closed = theirs.window && *theirs.window == 0;
        if (plain && segment.bytes <= 1 && before == 1 && mine.unacknowledged.empty())
            return closed ? segment_label::zero_window_probe : segment_label::keep_alive_probe;
        if (plain && segment.bytes == 1 && before == 0 && closed)
            return segment_label::zero_window_probe;
        if (length_of(segment) != 0 && distance(end_of(segment), *mine.next) >= 0)
            return fills_gap(segment, mine) ? segment_label::out_of_order : segment_label::retransmission;
        bool const opens = mine.window && *mine.window == 0 && segment.window && *segment.window != 0;
        if (is_bare(segment) && theirs.probe && opens && mine.acknowledged == segment.acknowledgement)
            return segment_label::window_update;
        if (is_bare(segment) && theirs.probe)
            return segments_[*theirs.probe].label == segment_label::zero_window_probe
                       ? segment_label::zero_window_answer
                       : segment_label::keep_alive_answer;
        if (plain && segment.window && *segment.window == 0)
            return segment_label::zero_window;
        if (!is_bare(segment) || mine.acknowledged != segment.acknowledgement)
            return segment_label::none;
        return segment.window && mine.window && *segment.window != *mine.window
                   ? segment_label::window_update
                   : segment_label::duplicate_acknowledgement;
    }

    static bool is_within(trace_segment const& segment, std::pair<std::uint32_t, std::uint32_t> const& gap) noexcept
    {
        return distance(gap.first, segment.sequence) >= 0 && distance(end_of(segment), gap.second) >= 0;
    }

    static bool fills_gap(trace_segment const& segment, direction const& mine) noexcept
    {
        return std::any_of(
            mine.gaps.begin(), mine.gaps.end(), [&](auto const& gap) { return is_within(segment, gap); });
    }

    static void fill_gap(trace_segment const& segment, direction& mine)
    {
        auto const gap = std::find_if(
            mine.gaps.begin(), mine.gaps.end(), [&](auto const& each) { return is_within(segment, each); });
        auto const rest = std::pair(end_of(segment), gap->second);
        gap->second = segment.sequence;
        mine.gaps.push_back(rest);
        std::erase_if(mine.gaps, [](auto const& each) { return each.first == each.second; });
    }

    void ask(std::size_t index, direction& mine)
    {
        if (mine.probe)
            lose(*mine.probe);
        mine.asked_in_vain = mine.probe.has_value();
        mine.probe = index;
    }

    void send(std::size_t index, direction& mine)
    {
        auto const& segment = segments_[index];
        if (segment.label == segment_label::retransmission)
            std::erase_if(mine.unacknowledged,
                [&](std::size_t earlier)
                {
                    bool const again = distance(segments_[earlier].sequence, end_of(segment)) > 0 &&
                                       distance(segment.sequence, end_of(segments_[earlier])) > 0;
                    if (again)
                        lose(earlier);
                    return again;
                });
        if (segment.label == segment_label::out_of_order)
            fill_gap(segment, mine);
        mine.unacknowledged.push_back(index);
        if (mine.next && distance(*mine.next, segment.sequence) > 0)
            mine.gaps.emplace_back(*mine.next, segment.sequence);
        if (!mine.next || distance(*mine.next, end_of(segment)) > 0)
            mine.next = end_of(segment);
    }

    void acknowledge(trace_segment const& segment, direction& mine, direction& theirs)
    {
        if (segment.window)
            mine.window = segment.window;
        if (!contains(segment.flags, tcp_flags::ack))
            return;
        if (!mine.next)
            mine.next = end_of(segment);
        mine.acknowledged = segment.acknowledgement;
        theirs.probe.reset();
        std::erase_if(theirs.unacknowledged,
            [&](std::size_t earlier) { return covers(segment.acknowledgement, segments_[earlier]); });
        theirs.passed = theirs.unacknowledged;
        // Who goes on has not taken the RST: its number was not the expected one.
        if (auto const reset = std::exchange(theirs.reset, std::nullopt))
            segments_[*reset].received.reset();
        std::erase_if(theirs.gaps, [&](auto const& gap) { return distance(gap.second, segment.acknowledgement) >= 0; });
    }

    void lose(std::size_t index)
    {
        segments_[index].lost = true;
        segments_[index].received.reset();
    }

    std::vector<trace_segment>& segments_;
    std::array<direction, 2> directions_{};
};

DUET_DECL void label_segments(std::vector<trace_segment>& segments)
{
    segment_labels(segments).find();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
