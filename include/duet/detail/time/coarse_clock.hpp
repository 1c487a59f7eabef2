// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_COARSE_CLOCK_HPP
#define DUET_DETAIL_TIME_COARSE_CLOCK_HPP

#include <chrono>

#if defined(__linux__)
#include <time.h>
#endif

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The time of std::chrono::steady_clock as the last timer tick saw it. Reading the precise clock twice for each
/// message costs about 2 % of a small echo; this one costs next to nothing. It is for what happens with each message:
/// a tick that comes late (on a virtual machine whose processor was taken away, by 120 ms as measured) makes a deadline
/// counted from it early by as much.
struct coarse_clock
{
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    static time_point now() noexcept
    {
#if defined(__linux__)
        ::timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
        return time_point{std::chrono::duration_cast<duration>(
            std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec})};
#else
        return std::chrono::steady_clock::now();
#endif
    }

    /// `from` plus `timeout` plus one tick, so that a deadline counted from a tick that had passed is never early.
    /// A timeout of 0 means none, and one beyond the clock's range too.
    static time_point after(time_point from, duration timeout) noexcept
    {
        if (timeout <= duration::zero() || timeout >= time_point::max() - from - tick())
            return time_point::max();
        return from + timeout + tick();
    }

    static constexpr duration tick() noexcept
    {
#if defined(__linux__)
        return std::chrono::milliseconds{10};  // at the lowest CONFIG_HZ of 100
#else
        return duration::zero();
#endif
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
