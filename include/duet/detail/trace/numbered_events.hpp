// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_NUMBERED_EVENTS_HPP
#define DUET_DETAIL_TRACE_NUMBERED_EVENTS_HPP

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Finds the events of a trace by their numbers. The trace has to outlive it.
class numbered_events
{
public:
    explicit numbered_events(trace_log const& log) : events_{log.events}
    {
        // Usually the number is the place, unless this is a part of a trace.
        std::size_t placed = 0;
        while (placed < events_.size() && events_[placed].number == placed + 1)
            ++placed;
        if (placed < events_.size())
            for (auto const& event : events_)
                by_number_.emplace(event.number, &event);
    }

    /// Null if there is none; none has number 0.
    trace_event const* find(std::uint64_t number) const
    {
        if (number == 0)
            return nullptr;
        if (by_number_.empty())
            return number <= events_.size() ? &events_[number - 1] : nullptr;
        auto const found = by_number_.find(number);
        return found != by_number_.end() ? found->second : nullptr;
    }

private:
    std::vector<trace_event> const& events_;
    std::unordered_map<std::uint64_t, trace_event const*> by_number_;  // empty if the numbers are the places
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
