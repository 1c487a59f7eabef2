// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What two clocks are at the same instant, though the thread may lose its processor between two readings.

#define BOOST_TEST_MODULE time.both_clocks
#include <duet/detail/time/both_clocks.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

using std::chrono::nanoseconds;

namespace {

/// Time goes on with each reading of a clock: by 20 ns, and by what else is said for it.
struct time_that_passes
{
    static inline std::vector<nanoseconds> losses;
    static inline std::size_t readings = 0;
    static inline nanoseconds now{};

    static void begin(std::vector<nanoseconds> lost)
    {
        losses = std::move(lost);
        readings = 0;
        now = nanoseconds{1000};
    }

    static nanoseconds read()
    {
        now += nanoseconds{20};
        if (readings < losses.size())
            now += losses[readings];
        ++readings;
        return now;
    }
};

template <class Tag, long ahead>
struct passing_clock
{
    using duration = nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<passing_clock>;
    static constexpr bool is_steady = true;

    static time_point now() { return time_point{time_that_passes::read() + nanoseconds{ahead}}; }
};

constexpr long hour = 3'600'000'000'000;
using steady = passing_clock<struct steady_tag, 0>;
using wall = passing_clock<struct wall_tag, hour>;
using both = duet::detail::both_clocks<steady, wall>;

/// By how much the wall clock is taken to be more ahead than it is.
nanoseconds error_of(both const& read)
{
    return read.wall.time_since_epoch() - nanoseconds{hour} - read.steady.time_since_epoch();
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_attempt_is_enough_where_nothing_comes_between)
{
    time_that_passes::begin({});
    BOOST_TEST(error_of(both::now()).count() == 0);
    BOOST_TEST(time_that_passes::readings == 3U);
}

BOOST_AUTO_TEST_CASE(what_is_lost_between_two_readings_does_not_put_the_clocks_apart)
{
    for (std::size_t place = 1; place != 3; ++place)
    {
        BOOST_TEST_CONTEXT("the processor is lost before reading " << place)
        {
            std::vector<nanoseconds> lost(3);
            lost[place] = std::chrono::milliseconds{3};
            time_that_passes::begin(lost);
            BOOST_TEST(error_of(both::now()).count() == 0);
            BOOST_TEST(time_that_passes::readings == 6U);
        }
    }
}

BOOST_AUTO_TEST_CASE(of_attempts_that_all_lose_some_time_the_shortest_counts)
{
    std::vector<nanoseconds> lost;
    for (long const each : {9000, 5000, 1000, 7000, 3000})
        lost.insert(lost.end(), {nanoseconds{}, nanoseconds{each}, nanoseconds{}});
    time_that_passes::begin(lost);
    BOOST_TEST(error_of(both::now()).count() == 500);
    BOOST_TEST(time_that_passes::readings == 15U);
}
