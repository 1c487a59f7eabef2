// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BACKOFF_HPP
#define DUET_BACKOFF_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The delays between attempts: they begin with `initial`, are multiplied by `multiplier` each time, and never exceed
/// `maximum`, the first one included. No delay is negative, and none overflows, whatever the values are.
struct backoff_options
{
    /// 0 means no delay at all. Negative values are refused, here and in `maximum`.
    std::chrono::steady_clock::duration initial = std::chrono::milliseconds{100};
    std::chrono::steady_clock::duration maximum = std::chrono::seconds{30};

    /// At least 1, which repeats the same delay, and finite; other values are refused.
    double multiplier = 2.0;

    /// The random part of each delay: 0 means none; with 1 a delay is between zero and its full length. Values outside
    /// of 0 to 1 are refused. It keeps clients that lost the same server from reconnecting at the same time.
    double jitter = 0.5;

    /// False: a backoff refuses these options.
    constexpr bool valid() const noexcept
    {
        // A NaN compares false with everything.
        return initial >= initial.zero() && maximum >= maximum.zero() && multiplier >= 1 &&
               multiplier <= std::numeric_limits<double>::max() && jitter >= 0 && jitter <= 1;
    }
};

/// An exponential, capped, jittered series of delays. It has no clock and no timer and only computes.
///
/// Distinct objects: safe. Shared objects: unsafe.
class backoff
{
public:
    /// Seeds the jitter from the system, so that two objects draw different delays. Throws system_error
    /// (invalid_argument) for options that are not valid.
    DUET_DECL explicit backoff(backoff_options const& options = {});

    /// Objects with the same options and seed draw the same delays. Throws as above.
    DUET_DECL backoff(backoff_options const& options, std::uint64_t seed);

    /// The next delay.
    DUET_DECL std::chrono::steady_clock::duration next() noexcept;

    /// Start again from `initial`. Call it after a success.
    void reset() noexcept { current_ = std::min(options_.initial, options_.maximum); }

private:
    backoff_options options_;
    std::uint32_t random_;  // the generator's state
    std::chrono::steady_clock::duration current_;
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/time/backoff.ipp>
#endif

#endif
