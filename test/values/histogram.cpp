// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Which bucket a value belongs to, and which bounds are refused.

#define BOOST_TEST_MODULE values.histogram
#include <duet/histogram.hpp>

#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

BOOST_AUTO_TEST_CASE(a_bound_belongs_to_the_bucket_below_it)
{
    duet::histogram seen{{1, 10}};
    for (double const value : {0.5, 1.0, 1.5, 10.0, 10.5, -3.0})
        seen.observe(value);
    auto const counts = seen.counts();
    BOOST_TEST(counts.bounds == (std::vector<double>{1, 10}), boost::test_tools::per_element());
    BOOST_TEST(counts.values == (std::vector<std::uint64_t>{3, 2, 1}), boost::test_tools::per_element());
    BOOST_TEST(counts.count() == 6U);
    BOOST_TEST(counts.sum == 20.5);
}

BOOST_AUTO_TEST_CASE(infinity_is_above_all_bounds_and_a_nan_is_nowhere)
{
    duet::histogram seen{{1}};
    seen.observe(not_a_number);
    BOOST_TEST(seen.counts().count() == 0U);
    BOOST_TEST(seen.counts().sum == 0);
    seen.observe(infinite);
    BOOST_TEST(seen.counts().values == (std::vector<std::uint64_t>{0, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(without_bounds_there_is_one_bucket)
{
    duet::histogram seen{{}};
    seen.observe(7);
    BOOST_TEST(seen.counts().values == (std::vector<std::uint64_t>{1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(bounds_that_do_not_ascend_or_are_not_finite_are_refused)
{
    using bounds = std::vector<double>;
    for (auto const& wrong :
        {bounds{2, 1}, {1, 1}, {1, infinite}, {-infinite, 1}, {not_a_number}, {1, not_a_number, 2}})
        BOOST_CHECK_THROW((duet::histogram{wrong}), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE(exponential_bounds_grow_by_their_factor)
{
    BOOST_TEST(duet::histogram::exponential(64, 4, 3) == (std::vector<double>{64, 256, 1024}),
        boost::test_tools::per_element());
    BOOST_TEST(duet::histogram::exponential(1, 2, 0).empty());
}

BOOST_AUTO_TEST_CASE(several_threads_lose_no_value)
{
    duet::histogram seen{{10}};
    auto const many = [&seen]
    {
        for (int number = 0; number < 10000; ++number)
            seen.observe(number % 2 == 0 ? 1 : 11);
    };
    std::thread other{many};
    many();
    other.join();
    BOOST_TEST(seen.counts().values == (std::vector<std::uint64_t>{10000, 10000}), boost::test_tools::per_element());
    BOOST_TEST(seen.counts().sum == 120000);
}
