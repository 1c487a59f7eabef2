// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_BACKOFF_IPP
#define DUET_DETAIL_TIME_BACKOFF_IPP

#include <boost/system/error_category.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <random>

#include <duet/backoff.hpp>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL backoff::backoff(backoff_options const& options) : backoff{options, std::random_device{}()} {}

DUET_DECL backoff::backoff(backoff_options const& options, std::uint64_t seed)
    : options_{options}, random_{static_cast<std::uint32_t>(seed)}, current_{}
{
    if (!options.valid())
        throw boost::system::system_error{EINVAL, boost::system::system_category(), "back-off"};
    reset();
}

DUET_DECL std::chrono::steady_clock::duration backoff::next() noexcept
{
    using duration = std::chrono::steady_clock::duration;
    auto const whole = current_;
    // As floating point it may be rounded up, even to 2^63, which no duration can hold: compare before converting back.
    auto const length = static_cast<double>(whole.count());
    auto const grown = length * options_.multiplier;
    current_ = grown < static_cast<double>(options_.maximum.count()) ? duration{static_cast<duration::rep>(grown)}
                                                                     : options_.maximum;
    std::minstd_rand random{random_};
    auto const cut = length * std::uniform_real_distribution<double>{0.0, options_.jitter}(random);
    random_ = static_cast<std::uint32_t>(random());  // the state of a linear generator is its last output
    return cut < length ? whole - duration{static_cast<duration::rep>(cut)} : duration{};
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
