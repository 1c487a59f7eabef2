// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BACKOFF_HPP
#define DUET_BACKOFF_HPP

#include <chrono>
#include <cstdint>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace v0 {

/// How long to wait between attempts: from `initial`, times `multiplier`, up to `maximum`.
struct backoff_options
{
    std::chrono::steady_clock::duration initial = std::chrono::milliseconds{100};
    std::chrono::steady_clock::duration maximum = std::chrono::seconds{30};
    double multiplier = 2.0;

    /// The part of each delay that is drawn at random: 0 is none, 1 draws from nothing to the whole delay. A herd of
    /// clients that lost the same server must not come back in step.
    double jitter = 0.5;
};

/// An exponential, capped, jittered series of delays. No clock and no timer: it only counts.
///
/// Distinct objects: safe. Shared objects: unsafe.
class backoff
{
public:
    /// Delays that differ from every other object's.
    DUET_DECL explicit backoff(backoff_options const& options = {});

    /// The same seed makes the same delays.
    backoff(backoff_options const& options, std::uint64_t seed) noexcept
        : options_{options}, random_{static_cast<std::uint32_t>(seed)}, current_{options.initial}
    {
    }

    /// The next delay.
    DUET_DECL std::chrono::steady_clock::duration next() noexcept;

    /// Begin again from `initial`: call it after a success.
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
