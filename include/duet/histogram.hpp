// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_HISTOGRAM_HPP
#define DUET_HISTOGRAM_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a histogram has counted at one moment.
struct histogram_counts
{
    std::vector<double> bounds{};  ///< the upper bounds of the buckets, ascending

    /// The number of values in each bucket: above the bound before, and up to its own. The last one, for which there is
    /// no bound, has the values above all bounds.
    std::vector<std::uint64_t> values{};

    double sum = 0;  ///< of all values

    /// The number of all values.
    DUET_DECL std::uint64_t count() const noexcept;
};

/// Counts values in buckets: durations, sizes. Its memory is constant.
///
/// Distinct objects: safe. Shared objects: safe; nobody waits for a lock. What counts() returns while other threads
/// observe may contain a value in a bucket that is not in the sum yet, or the other way round.
class histogram
{
public:
    /// `bounds` are the upper bounds of the buckets: finite and ascending. There is one more bucket for what is above
    /// all of them. Throws system_error (invalid_argument) for other bounds.
    DUET_DECL explicit histogram(std::vector<double> bounds);

    /// `count` bounds, of which each is `factor` times the one before: exponential(0.001, 10, 4) is 1 ms to 1 s, if the
    /// values are seconds.
    DUET_DECL static std::vector<double> exponential(double first, double factor, std::size_t count);

    /// Count a value. A NaN is not counted. Takes the time of a search in the bounds, and two atomic additions.
    DUET_DECL void observe(double value) noexcept;

    DUET_DECL histogram_counts counts() const;

    std::span<double const> bounds() const noexcept { return bounds_; }

private:
    std::vector<double> bounds_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> values_;
    std::atomic<double> sum_{};
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/metrics/histogram.ipp>
#endif

#endif
