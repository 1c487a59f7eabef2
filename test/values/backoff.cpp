// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/backoff.hpp>

#define BOOST_TEST_MODULE values.backoff
#include <boost/test/unit_test.hpp>

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <limits>
#include <set>
#include <vector>

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using duration = std::chrono::steady_clock::duration;

BOOST_TEST_DONT_PRINT_LOG_VALUE(duration)

BOOST_AUTO_TEST_CASE(it_doubles_up_to_the_maximum_and_begins_again)
{
    duet::backoff delays{{.initial = milliseconds{5}, .maximum = seconds{1}, .multiplier = 2, .jitter = 0}, 1};
    for (int round = 0; round < 2; ++round)
    {
        for (int expected : {5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000})
            BOOST_TEST((delays.next() == milliseconds{expected}));
        delays.reset();
    }
}

BOOST_AUTO_TEST_CASE(jitter_only_shortens_and_takes_its_whole_part)
{
    for (double const jitter : {0.25, 0.5, 1.0})
    {
        duet::backoff delays{{.initial = seconds{1}, .maximum = seconds{1}, .multiplier = 2, .jitter = jitter}, 7};
        std::set<duration> seen;
        for (int i = 0; i < 1000; ++i)
            seen.insert(delays.next());
        auto const part = [&](double portion)
        { return duration{static_cast<duration::rep>(1e9 * (1 - jitter * portion))}; };
        BOOST_TEST_CONTEXT("jitter " << jitter)
        {
            BOOST_TEST((*seen.begin() >= part(1)));
            BOOST_TEST((*seen.begin() <= part(0.99)));
            BOOST_TEST((*seen.rbegin() <= seconds{1}));
            BOOST_TEST((*seen.rbegin() >= part(0.01)));
            BOOST_TEST(seen.size() > 900u);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_first_delay_keeps_the_maximum_too)
{
    duet::backoff delays{{.initial = seconds{10}, .maximum = seconds{1}, .multiplier = 2, .jitter = 0}, 1};
    for (int round = 0; round < 2; ++round)
    {
        for (int i = 0; i < 3; ++i)
            BOOST_TEST((delays.next() == seconds{1}));
        delays.reset();
    }
}

BOOST_AUTO_TEST_CASE(no_delay_overflows_or_is_negative)
{
    for (auto const initial : {duration{0}, duration{1}, duration::max() / 2 + duration{1}, duration::max()})
        for (auto const maximum : {duration{0}, duration{1}, duration::max() - duration{1}, duration::max()})
            for (double const multiplier : {1.0, 2.0, std::numeric_limits<double>::max()})
                for (double const jitter : {0.0, 1e-18, 0.5, 1.0})
                {
                    duet::backoff delays{{initial, maximum, multiplier, jitter}, 3};
                    for (int i = 0; i < 70; ++i)
                    {
                        auto const delay = delays.next();
                        BOOST_TEST((delay >= duration::zero()));
                        BOOST_TEST((delay <= maximum));
                        if (jitter == 0 && i > 65 && initial > duration::zero() && multiplier > 1)
                            BOOST_TEST((delay == maximum));
                    }
                }
}

BOOST_AUTO_TEST_CASE(options_without_a_meaning_are_refused)
{
    double const nan = std::numeric_limits<double>::quiet_NaN();
    double const infinite = std::numeric_limits<double>::infinity();
    std::vector<duet::backoff_options> const refused{{.jitter = 1.001}, {.jitter = 10}, {.jitter = infinite},
        {.jitter = -0.001}, {.jitter = -infinite}, {.jitter = nan}, {.multiplier = 0.999}, {.multiplier = 0},
        {.multiplier = -2}, {.multiplier = nan}, {.multiplier = infinite}, {.initial = duration{-1}},
        {.initial = duration::min()}, {.maximum = duration{-1}}, {.maximum = duration::min()}};
    for (auto const& options : refused)
    {
        BOOST_TEST(!options.valid());
        auto const is_refusal = [](boost::system::system_error const& error) {
            return error.code() == boost::system::error_code{EINVAL, boost::system::system_category()};
        };
        BOOST_CHECK_EXCEPTION(duet::backoff{options}, boost::system::system_error, is_refusal);
        BOOST_CHECK_EXCEPTION((duet::backoff{options, 1}), boost::system::system_error, is_refusal);
    }
    BOOST_TEST(duet::backoff_options{}.valid());
}

BOOST_AUTO_TEST_CASE(two_clients_do_not_come_back_in_step)
{
    duet::backoff one{{}, 1};
    duet::backoff other{{}, 2};
    int same = 0;
    for (int i = 0; i < 20; ++i)
        same += one.next() == other.next() ? 1 : 0;
    BOOST_TEST(same < 3);
}

BOOST_AUTO_TEST_CASE(a_long_series_does_not_overflow)
{
    duet::backoff delays{{.initial = hours{1}, .maximum = hours{24}, .multiplier = 1e6, .jitter = 0}, 1};
    for (int i = 0; i < 1000; ++i)
    {
        auto const delay = delays.next();
        BOOST_TEST((delay >= hours{1}));
        BOOST_TEST((delay <= hours{24}));
    }
}
