// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_BACKOFF_HPP
#define DUET_BACKOFF_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

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
    explicit backoff(backoff_options const& options = {}, std::uint64_t seed = std::random_device{}())
        // The seed type of the generator has at least 32 bits, and more on some systems: use 32 everywhere.
        : options_{options}, random_(seed & 0xffffffffU), current_{options.initial}
    {
    }

    /// The next delay.
    std::chrono::steady_clock::duration next() noexcept
    {
        using duration = std::chrono::steady_clock::duration;
        auto const whole = static_cast<double>(current_.count());
        double const drawn = std::uniform_real_distribution<double>{0.0, options_.jitter}(random_);
        // Multiply as floating point and then limit it, so that it cannot overflow.
        double const grown = std::min(whole * options_.multiplier, static_cast<double>(options_.maximum.count()));
        current_ = duration{static_cast<duration::rep>(grown)};
        return duration{static_cast<duration::rep>(whole * (1.0 - drawn))};
    }

    /// Start again from `initial`. Call it after a success.
    void reset() noexcept { current_ = options_.initial; }

private:
    backoff_options options_;
    std::minstd_rand random_;
    std::chrono::steady_clock::duration current_;
};

}  // namespace v0
}  // namespace duet

#endif
