// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_BACKOFF_IPP
#define DUET_DETAIL_TIME_BACKOFF_IPP

#include <algorithm>
#include <random>

#include <duet/backoff.hpp>

namespace duet {
inline namespace v0 {

DUET_DECL backoff::backoff(backoff_options const& options) : backoff{options, std::random_device{}()} {}

DUET_DECL std::chrono::steady_clock::duration backoff::next() noexcept
{
    using duration = std::chrono::steady_clock::duration;
    std::minstd_rand random{random_};
    auto const whole = static_cast<double>(current_.count());
    double const drawn = std::uniform_real_distribution<double>{0.0, options_.jitter}(random);
    random_ = static_cast<std::uint32_t>(random());  // the state of a linear generator is its last output
    // Multiply as floating point and then limit it, so that it cannot overflow.
    double const grown = std::min(whole * options_.multiplier, static_cast<double>(options_.maximum.count()));
    current_ = duration{static_cast<duration::rep>(grown)};
    return duration{static_cast<duration::rep>(whole * (1.0 - drawn))};
}

}  // namespace v0
}  // namespace duet

#endif
