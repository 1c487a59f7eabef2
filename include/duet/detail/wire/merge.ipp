// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_MERGE_IPP
#define DUET_DETAIL_WIRE_MERGE_IPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <duet/detail/wire/connection_map.hpp>
#include <duet/endpoint.hpp>
#include <duet/merge.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Time of a captured segment -> time of its event.
template <class TimeOf>
class trace_merger
{
public:
    trace_merger(trace_log const& log, tap_capture const& captured, TimeOf const& time_of)
        : captured_{captured}, time_of_{time_of}, old_{log.events}, places_(captured.segments.size())
    {
        connection_map connections{log};
        for (auto const at : order())
            add(captured_.segments[at], at, connections);
        take_old(std::chrono::nanoseconds::max());
        add_note();
        renumber();
    }

    std::vector<trace_event>& events() noexcept { return events_; }

    /// Of the captured segments, in their order.
    std::vector<std::uint64_t> const& numbers() const noexcept { return places_; }

private:
    std::vector<std::size_t> order() const
    {
        std::vector<std::size_t> result(captured_.segments.size());
        for (std::size_t at = 0; at < result.size(); ++at)
            result[at] = at;
        auto const time = [&](std::size_t at) { return time_of_(captured_.segments[at]); };
        std::stable_sort(result.begin(), result.end(), [&](std::size_t a, std::size_t b) { return time(a) < time(b); });
        return result;
    }

    /// The events up to a time, which come before what is captured at that time.
    void take_old(std::chrono::nanoseconds until)
    {
        for (; taken_ < old_.size() && old_[taken_].time <= until; ++taken_)
        {
            auto const& event = events_.emplace_back(old_[taken_]);
            new_numbers_[event.number] = events_.size();
            last_[event.session] = events_.size() - 1;
        }
    }

    void add(captured_segment const& from, std::size_t at, connection_map& connections)
    {
        auto const time = time_of_(from);
        take_old(time);
        auto& track = connections[{endpoint_on_the_wire(from.from), endpoint_on_the_wire(from.to)}];
        trace_event event;
        event.time = time;
        event.kind = trace_kind::segment;
        event.segment = track.take(from);
        event.segment->sent = event.segment->received = time;
        event.session = track.session();
        if (event.session == 0)
            event.text = to_string(from.from) + " > " + to_string(from.to);
        if (auto const before = last_.find(event.session); before != last_.end())
        {
            event.receive = events_[before->second].receive;
            event.send = events_[before->second].send;
            event.reason = events_[before->second].reason;
        }
        events_.push_back(std::move(event));
        places_[at] = events_.size();
    }

    void add_note()
    {
        if (captured_.lost == 0)
            return;
        trace_event note;
        note.time = events_.empty() ? std::chrono::nanoseconds{} : events_.back().time;
        note.text = "the tap lost " + std::to_string(captured_.lost) + " packets";
        events_.push_back(std::move(note));
    }

    void renumber()
    {
        auto const follow = [&](std::uint64_t& number)
        {
            auto const found = new_numbers_.find(number);
            number = found == new_numbers_.end() ? 0 : found->second;
        };
        for (std::size_t at = 0; at < events_.size(); ++at)
        {
            auto& event = events_[at];
            event.number = at + 1;
            follow(event.call);
            if (event.segment)
            {
                follow(event.segment->cause);
                follow(event.segment->told);
            }
        }
    }

    tap_capture const& captured_;
    TimeOf const& time_of_;
    std::vector<trace_event> const& old_;
    std::size_t taken_ = 0;
    std::vector<trace_event> events_;
    std::vector<std::uint64_t> places_;
    std::unordered_map<std::uint64_t, std::uint64_t> new_numbers_;
    std::unordered_map<std::uint32_t, std::size_t> last_;  // the last event of each session
};

template <class TimeOf>
void merge_by(trace_log& log, tap_capture& captured, TimeOf const& time_of)
{
    trace_merger merged{log, captured, time_of};
    log.events = std::move(merged.events());
    for (std::size_t at = 0; at < captured.segments.size(); ++at)
        captured.segments[at].event = merged.numbers()[at];
}

}  // namespace detail

DUET_DECL void merge(trace_log& log, tap_capture& captured, std::chrono::steady_clock::time_point began)
{
    detail::merge_by(log, captured,
        [&](captured_segment const& each)
        { return std::chrono::duration_cast<std::chrono::nanoseconds>(each.time - began); });
}

DUET_DECL void merge(trace_log& log, tap_capture& captured)
{
    detail::merge_by(log, captured,
        [&](captured_segment const& each)
        { return std::chrono::duration_cast<std::chrono::nanoseconds>(each.wall_time - log.began); });
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
