// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE values.close_report
#include <duet/close_report.hpp>

#include <boost/test/unit_test.hpp>

#include <type_traits>

static_assert(std::is_trivially_destructible_v<duet::close_report>);

BOOST_AUTO_TEST_CASE(it_begins_with_nothing_told)
{
    duet::close_report const report;
    BOOST_TEST((report.reason == duet::close_reason::none));
    BOOST_TEST(!report.error);
    BOOST_TEST(!report.clean());
    BOOST_TEST((report.receive == duet::receive_state::open));
    BOOST_TEST((report.send == duet::send_state::open));
    BOOST_TEST(report.bytes_received + report.bytes_sent + report.bytes_discarded + report.bytes_unacknowledged == 0U);
}

BOOST_AUTO_TEST_CASE(clean_is_clean_or_discarded_input_and_nothing_else)
{
    using duet::close_reason;
    for (auto const reason : {close_reason::none, close_reason::clean, close_reason::discarded_input,
             close_reason::peer_reset, close_reason::dead_peer, close_reason::timed_out, close_reason::discard_limit,
             close_reason::aborted, close_reason::dropped, close_reason::failed})
    {
        duet::close_report report;
        report.reason = reason;
        bool const expected = reason == close_reason::clean || reason == close_reason::discarded_input;
        BOOST_TEST_INFO(duet::to_string(reason));
        BOOST_TEST(report.clean() == expected);
    }
}
