// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BACKOFF_HPP
#define DUET_BACKOFF_HPP

#include <chrono>
#include <cstdint>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {

/// The delays between attempts: they begin with `initial`, are multiplied by `multiplier` each time, and do not exceed
/// `maximum`.
struct backoff_options
{
    std::chrono::steady_clock::duration initial = std::chrono::milliseconds{100};
    std::chrono::steady_clock::duration maximum = std::chrono::seconds{30};
    double multiplier = 2.0;

    /// The random part of each delay: 0 means none; with 1 a delay is between zero and its full length. It keeps
    /// clients that lost the same server from reconnecting at the same time.
    double jitter = 0.5;
};

/// An exponential, capped, jittered series of delays. It has no clock and no timer and only computes.
///
/// Distinct objects: safe. Shared objects: unsafe.
class backoff
{
public:
    /// Seeds the jitter from the system, so that two objects draw different delays.
    DUET_DECL explicit backoff(backoff_options const& options = {});

    /// Objects with the same options and seed draw the same delays.
    backoff(backoff_options const& options, std::uint64_t seed) noexcept
        : options_{options}, random_{static_cast<std::uint32_t>(seed)}, current_{options.initial}
    {
    }

    /// The next delay.
    DUET_DECL std::chrono::steady_clock::duration next() noexcept;

    /// Start again from `initial`. Call it after a success.
    void reset() noexcept { current_ = options_.initial; }

private:
    backoff_options options_;
    std::uint32_t random_;  // the generator's state
    std::chrono::steady_clock::duration current_;
};

}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/time/backoff.ipp>
#endif

#endif
