// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_COARSE_CLOCK_HPP
#define DUET_DETAIL_TIME_COARSE_CLOCK_HPP

#include <chrono>

#if defined(__linux__)
#include <time.h>
#endif

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The time of std::chrono::steady_clock at the last timer tick. Reading the precise clock twice per message costs
/// about 2 % of a small echo; reading this one costs next to nothing. It is used for what happens with each message. If
/// a tick comes late (a virtual machine may lose its processor for a while; 120 ms were measured), a deadline counted
/// from that tick is early by the same amount.
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

    /// `from` plus `timeout` plus one tick: `from` may be up to one tick old, and the deadline must not be early. A
    /// timeout of 0 means no deadline, and so does one beyond the clock's range.
    static time_point after(time_point from, duration timeout) noexcept
    {
        if (timeout <= duration::zero() || timeout >= time_point::max() - from - tick())
            return time_point::max();
        return from + timeout + tick();
    }

    static constexpr duration tick() noexcept
    {
#if defined(__linux__)
        return std::chrono::milliseconds{10};  // one tick at CONFIG_HZ=100, the lowest value
#else
        return duration::zero();
#endif
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
