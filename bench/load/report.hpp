// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_LOAD_REPORT_HPP
#define BENCH_LOAD_REPORT_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "options.hpp"
#include "system.hpp"

namespace load {

/// Times in nanoseconds, each counted in a bucket whose width is 1/64 of its value or less.
class histogram
{
public:
    void add(std::uint64_t value)
    {
        ++buckets_[index(value)];
        ++count_;
        if (value > max_)
            max_ = value;
    }

    std::uint64_t max() const { return max_; }
    std::uint64_t quantile(double share) const;

private:
    static constexpr unsigned fine = 6;

    static std::size_t index(std::uint64_t value)
    {
        auto const width = static_cast<unsigned>(std::bit_width(value));
        unsigned const shift = width > fine + 1 ? width - fine - 1 : 0;
        return (std::size_t{shift} << fine) + static_cast<std::size_t>(value >> shift);
    }

    std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(64 << fine);
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

/// What was measured between two moments.
struct report
{
    usage begin;
    usage end;
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;  ///< for up and down
    histogram latency;
    std::uint64_t clean_ends = 0;
    std::uint64_t reset_ends = 0;  ///< the server answered our FIN with a reset
    std::uint64_t faults = 0;      ///< connections that we reset on purpose

    void count_end(bool clean) { ++(clean ? clean_ends : reset_ends); }
    void print(options const& o) const;
};

}  // namespace load

#endif
