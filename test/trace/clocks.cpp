// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A trace knows the time of day at which it began, also if its thread has lost the processor at that very moment.

#define BOOST_TEST_MODULE trace.clocks
#include <duet/trace.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>

#include <dlfcn.h>
#include <time.h>

using namespace std::chrono_literals;

namespace {

using of_the_day = std::chrono::system_clock;

constexpr std::chrono::nanoseconds lost_time = 50ms;
constexpr auto tolerance = 10ms;

thread_local int losses = 0;  // how many readings of the time of day lose that time first

int read_clock(::clockid_t which, ::timespec* to) noexcept
{
    static auto* const real = reinterpret_cast<int (*)(::clockid_t, ::timespec*)>(::dlsym(RTLD_NEXT, "clock_gettime"));
    return real(which, to);
}

std::chrono::nanoseconds monotonic() noexcept
{
    ::timespec time{};
    read_clock(CLOCK_MONOTONIC, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace

extern "C" int clock_gettime(::clockid_t which, ::timespec* to) noexcept
{
    if (which == CLOCK_REALTIME && losses > 0)
    {
        --losses;
        for (auto const end = monotonic() + lost_time; monotonic() < end;)
        {
        }
    }
    return read_clock(which, to);
}

BOOST_AUTO_TEST_CASE(a_trace_whose_thread_loses_the_processor_knows_when_it_began)
{
    losses = 1;
    duet::trace trace;
    BOOST_REQUIRE(losses == 0);
    auto const before = of_the_day::now();
    trace.note("now");
    auto const after = of_the_day::now();
    auto const log = trace.log();
    BOOST_REQUIRE(log.events.size() == 1U);
    auto const told = log.began + std::chrono::duration_cast<of_the_day::duration>(log.events.front().time);
    BOOST_TEST((told > before - tolerance));
    BOOST_TEST((told < after + tolerance));
}
