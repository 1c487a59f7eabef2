// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// When a peer counts as vanished: what the system knows of it in, a verdict out.

#define BOOST_TEST_MODULE engine.peer_watch
#include <duet/detail/engine/peer_watch.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>

using namespace std::chrono_literals;
using duet::detail::peer_watch;
using time_point = peer_watch::time_point;

namespace {

constexpr time_point start{1000s};

duet::tcp_snapshot heard(std::chrono::milliseconds ago, std::uint32_t retransmits = 0, std::uint32_t probes = 0)
{
    duet::tcp_snapshot result;
    result.last_received = ago;
    result.retransmits_in_a_row = retransmits;
    result.probes_in_a_row = probes;
    return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_wanted_while_bytes_may_be_unacknowledged)
{
    peer_watch watch;
    BOOST_TEST(!watch.wanted(0));
    BOOST_TEST(watch.wanted(100));
    BOOST_TEST((watch.begin(120s, start) == start + 30s));
    BOOST_TEST(watch.under_way());
    BOOST_TEST(!watch.wanted(200));
    watch.all_acknowledged(200);
    BOOST_TEST(!watch.wanted(200));
    BOOST_TEST(watch.wanted(201));
    watch.begin(120s, start);
    watch.end();
    BOOST_TEST(watch.wanted(201));
}

BOOST_AUTO_TEST_CASE(a_fin_is_under_way_too)
{
    peer_watch watch;
    watch.all_acknowledged(0);
    watch.fin_sent();
    BOOST_TEST(watch.wanted(0));
}

BOOST_AUTO_TEST_CASE(silence_for_the_whole_time_and_two_questions_without_an_answer_are_death)
{
    peer_watch watch;
    watch.begin(120s, start);
    auto const early = watch.look(heard(119s, 9), 120s, start + 119s);
    BOOST_TEST(!early.dead);
    BOOST_TEST((early.look_again == start + 120s));
    BOOST_TEST(watch.look(heard(120s, 2), 120s, start + 120s).dead);
    BOOST_TEST(watch.look(heard(120s, 0, 2), 120s, start + 120s).dead);
    BOOST_TEST(watch.look(heard(120s, 1, 1), 120s, start + 120s).dead);
}

BOOST_AUTO_TEST_CASE(a_peer_that_answers_is_alive_however_long_its_window_is_closed)
{
    peer_watch watch;
    watch.begin(2s, start);
    for (int second = 2; second < 1000; ++second)
    {
        auto const seen = watch.look(heard(1900ms, 0, 2), 2s, start + second * 1s);
        BOOST_TEST(!seen.dead);
        BOOST_TEST((seen.look_again == start + second * 1s + 100ms));
    }
}

BOOST_AUTO_TEST_CASE(a_single_question_may_have_been_asked_just_now)
{
    peer_watch watch;
    watch.begin(120s, start);
    auto const seen = watch.look(heard(200s, 0, 1), 120s, start + 200s);
    BOOST_TEST(!seen.dead);
    BOOST_TEST((seen.look_again == start + 215s));
}

BOOST_AUTO_TEST_CASE(silence_before_the_watch_does_not_count)
{
    peer_watch watch;
    watch.begin(120s, start);
    BOOST_TEST(!watch.look(heard(3600s, 5), 120s, start + 119s).dead);
    BOOST_TEST(watch.look(heard(3600s, 5), 120s, start + 120s).dead);
}

BOOST_AUTO_TEST_CASE(a_limit_beyond_the_range_of_the_clock_is_never_due)
{
    peer_watch watch;
    auto const limit = peer_watch::duration::max();
    auto const first = watch.begin(limit, start);
    BOOST_TEST((first > start + 24h));
    BOOST_TEST((watch.look(heard(0ms), limit, start).look_again == time_point::max()));
}
