// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_BOTH_CLOCKS_HPP
#define DUET_DETAIL_TIME_BOTH_CLOCKS_HPP

#include <chrono>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What two clocks are at the same instant.
template <class Steady = std::chrono::steady_clock, class Wall = std::chrono::system_clock>
struct both_clocks
{
    typename Steady::time_point steady{};
    typename Wall::time_point wall{};

    /// A thread may lose its processor between two readings, for milliseconds on a busy machine. With clocks that far
    /// apart, a captured segment would stand before the call that has sent it. So the time of day is read between two
    /// readings of the steady clock, and of several attempts the one counts that took least.
    static both_clocks now() noexcept
    {
        both_clocks result;
        auto shortest = Steady::duration::max();
        for (int attempt = 0; attempt != attempts && shortest > close_enough; ++attempt)
        {
            auto const before = Steady::now();
            auto const wall = Wall::now();
            auto const took = Steady::now() - before;
            if (took >= shortest)
                continue;
            shortest = took;
            result = {before + took / 2, wall};
        }
        return result;
    }

    static constexpr int attempts = 5;
    static constexpr std::chrono::nanoseconds close_enough{500};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
