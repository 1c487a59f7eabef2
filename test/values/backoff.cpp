// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/backoff.hpp>

#define BOOST_TEST_MODULE values.backoff
#include <boost/test/unit_test.hpp>

#include <set>

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

BOOST_AUTO_TEST_CASE(jitter_only_shortens_and_stays_within_its_part)
{
    duet::backoff delays{{.initial = seconds{1}, .maximum = seconds{1}, .multiplier = 2, .jitter = 0.25}, 7};
    std::set<duration> seen;
    for (int i = 0; i < 1000; ++i)
    {
        auto const delay = delays.next();
        BOOST_TEST((delay <= seconds{1}));
        BOOST_TEST((delay >= milliseconds{750}));
        seen.insert(delay);
    }
    BOOST_TEST(seen.size() > 900u);
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
