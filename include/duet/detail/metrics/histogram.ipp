// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_METRICS_HISTOGRAM_IPP
#define DUET_DETAIL_METRICS_HISTOGRAM_IPP

#include <boost/system/error_category.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include <duet/histogram.hpp>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL std::uint64_t histogram_counts::count() const noexcept
{
    return std::accumulate(values.begin(), values.end(), std::uint64_t{});
}

DUET_DECL histogram::histogram(std::vector<double> bounds)
    : bounds_{std::move(bounds)}, values_{std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)}
{
    // A NaN is neither less nor greater than anything.
    bool const ascend = std::adjacent_find(bounds_.begin(), bounds_.end(), std::not_fn(std::less<>{})) == bounds_.end();
    if (!ascend || !std::ranges::all_of(bounds_, [](double bound) { return std::isfinite(bound); }))
        throw boost::system::system_error{EINVAL, boost::system::system_category(), "bounds of a histogram"};
}

DUET_DECL std::vector<double> histogram::exponential(double first, double factor, std::size_t count)
{
    std::vector<double> result(count);
    for (double& bound : result)
        bound = std::exchange(first, first * factor);
    return result;
}

DUET_DECL void histogram::observe(double value) noexcept
{
    if (std::isnan(value))
        return;
    auto const bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
    values_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

DUET_DECL histogram_counts histogram::counts() const
{
    histogram_counts result{.bounds = bounds_, .values = std::vector<std::uint64_t>(bounds_.size() + 1)};
    for (std::size_t bucket = 0; bucket < result.values.size(); ++bucket)
        result.values[bucket] = values_[bucket].load(std::memory_order_relaxed);
    result.sum = sum_.load(std::memory_order_relaxed);
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
