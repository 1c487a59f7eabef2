// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "report.hpp"

#include <cstdio>

namespace load {

std::uint64_t histogram::quantile(double share) const
{
    auto left = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    for (std::size_t i = 0; i < buckets_.size(); ++i)
    {
        if (buckets_[i] > left)
        {
            std::size_t const shift = i < (2 << fine) ? 0 : (i >> fine) - 1;
            return (i - (shift << fine)) << shift;
        }
        left -= buckets_[i];
    }
    return max_;
}

void report::print(options const& o) const
{
    double const seconds = static_cast<double>(end.time - begin.time) / 1e9;
    auto const per_second = [&](std::uint64_t count) { return static_cast<double>(count) / seconds; };
    auto const microseconds = [](std::uint64_t time) { return static_cast<double>(time) / 1e3; };
    auto const count = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf(R"({"mode": "%s", "connections": %zu, "size": %zu, "depth": %zu, "seconds": %.6f, "requests": %llu, )"
                R"("requests_per_second": %.1f, "bytes_per_second": %.0f, )"
                R"("latency_us": {"p50": %.1f, "p90": %.1f, "p99": %.1f, "max": %.1f}, )"
                R"("own_cpu_share": %.3f, "server_cpu_share": %.3f, "server_cpu_ns": %llu, )"
                R"("ends": {"clean": %llu, "reset": %llu}, "faults": %llu})"
                "\n",
        o.mode.c_str(), o.connections, o.size, o.depth, seconds, count(requests), per_second(requests),
        per_second(bytes), microseconds(latency.quantile(0.5)), microseconds(latency.quantile(0.9)),
        microseconds(latency.quantile(0.99)), microseconds(latency.max()), per_second(end.own - begin.own) / 1e9,
        per_second(end.server - begin.server) / 1e9, count(end.server - begin.server), count(clean_ends),
        count(reset_ends), count(faults));
}

}  // namespace load
