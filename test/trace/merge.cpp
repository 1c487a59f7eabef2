// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What was captured becomes part of a trace, where and to whom it belongs.

#define BOOST_TEST_MODULE trace.merge
#include <duet/merge.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using boost::asio::ip::make_address;
using boost::asio::ip::tcp;
using duet::evidence;
using duet::tcp_flags;
using duet::trace_event;
using duet::trace_kind;

namespace {

constexpr auto ack = tcp_flags::ack;
constexpr auto syn = tcp_flags::syn;

tcp::endpoint const client{make_address("127.0.0.1"), 40000};
tcp::endpoint const server{make_address("127.0.0.1"), 7777};
auto const began = std::chrono::steady_clock::time_point{1h};

// A trace, and what a tap has captured meanwhile.
struct merging
{
    merging() { log.sessions = {{1, true, "127.0.0.1:40000", "127.0.0.1:7777", ""}}; }

    trace_event& event(std::chrono::nanoseconds time, trace_kind kind, std::uint32_t session = 1)
    {
        trace_event one;
        one.number = log.events.size() + 1;
        one.time = time;
        one.kind = kind;
        one.session = session;
        log.events.push_back(one);
        return log.events.back();
    }

    duet::captured_segment& segment(std::chrono::nanoseconds time, tcp::endpoint const& from, tcp::endpoint const& to,
        tcp_flags flags, std::uint32_t sequence = 0, std::uint16_t window = 100)
    {
        duet::captured_segment one;
        one.time = began + std::chrono::duration_cast<std::chrono::steady_clock::duration>(time);
        one.wall_time = log.began + std::chrono::duration_cast<std::chrono::system_clock::duration>(time);
        one.from = from;
        one.to = to;
        one.flags = flags;
        one.sequence = sequence;
        one.window = window;
        captured.segments.push_back(one);
        return captured.segments.back();
    }

    duet::captured_segment& forth(std::chrono::nanoseconds time, tcp_flags flags, std::uint32_t sequence = 0)
    {
        return segment(time, client, server, flags, sequence);
    }

    duet::captured_segment& back(std::chrono::nanoseconds time, tcp_flags flags, std::uint32_t sequence = 0)
    {
        return segment(time, server, client, flags, sequence);
    }

    // The window of each segment, scaled.
    std::string windows()
    {
        duet::merge(log, captured, began);
        std::string text;
        for (auto const& each : log.events)
            text += each.segment->window ? std::to_string(*each.segment->window) + ' ' : "? ";
        return text;
    }

    // The session of each segment, and who sent it.
    std::string sessions()
    {
        duet::merge(log, captured, began);
        std::string text;
        for (auto const& each : log.events)
            text += std::to_string(each.session) + (each.segment->from_client ? "> " : "< ");
        return text;
    }

    duet::trace_log log;
    duet::tap_capture captured;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(segments_stand_between_the_call_and_its_return, merging)
{
    event(10ns, trace_kind::call).name = "connect";
    event(40ns, trace_kind::result).call = 1;
    back(30ns, syn | ack, 900).acknowledgement = 101;  // not in order, as of two processors
    forth(20ns, syn, 100);
    forth(40ns, ack, 101).bytes = 7;
    duet::merge(log, captured, began);

    BOOST_TEST_REQUIRE(log.events.size() == 5U);
    std::string text;
    for (auto const& each : log.events)
        text += std::to_string(each.number) + ' ' + std::string{to_string(each.kind)} + ' ' +
                std::to_string(each.time.count()) + '\n';
    BOOST_TEST(text == "1 call 10\n2 segment 20\n3 segment 30\n4 result 40\n5 segment 40\n");
    BOOST_TEST(log.events[3].call == 1U);

    auto const& one = log.events[2];
    BOOST_TEST((one.evidence == evidence::observed));
    BOOST_TEST(one.session == 1U);
    duet::trace_segment expected;
    expected.from_client = false;
    expected.flags = syn | ack;
    expected.sequence = 900;
    expected.acknowledgement = 101;
    expected.window = 100;
    expected.sent = expected.received = 30ns;
    expected.evidence = evidence::observed;
    BOOST_TEST((one.segment == expected));
    BOOST_TEST(log.events[4].segment->bytes == 7U);

    BOOST_TEST(captured.segments[0].event == 3U);
    BOOST_TEST(captured.segments[1].event == 2U);
    BOOST_TEST(captured.segments[2].event == 5U);
}

BOOST_FIXTURE_TEST_CASE(what_refers_to_an_event_follows_it, merging)
{
    event(10ns, trace_kind::note);
    event(20ns, trace_kind::call);
    event(30ns, trace_kind::result).call = 2;
    auto& inferred = event(40ns, trace_kind::segment).segment.emplace();
    inferred.cause = 2;
    inferred.told = 3;
    event(50ns, trace_kind::result).call = 77;  // is not in the trace
    log.events.erase(log.events.begin());       // nor is this
    forth(15ns, ack);
    forth(25ns, ack);
    duet::merge(log, captured, began);
    BOOST_TEST_REQUIRE(log.events.size() == 6U);
    BOOST_TEST(log.events[1].number == 2U);
    BOOST_TEST(log.events[3].call == 2U);
    BOOST_TEST(log.events[4].segment->cause == 2U);
    BOOST_TEST(log.events[4].segment->told == 4U);
    BOOST_TEST(log.events[5].call == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_segment_has_the_states_of_its_session_at_that_time, merging)
{
    log.sessions.push_back({2, true, "127.0.0.1:40001", "127.0.0.1:7777", ""});
    auto& ended = event(10ns, trace_kind::state);
    ended.send = duet::send_state::finished;
    ended.receive = duet::receive_state::ended;
    ended.reason = duet::close_reason::clean;
    event(12ns, trace_kind::state, 2).send = duet::send_state::failed;
    forth(5ns, ack);
    forth(15ns, ack);
    forth(16ns, ack);
    duet::merge(log, captured, began);
    BOOST_TEST((log.events[0].send == duet::send_state::open));
    for (auto const place : {3U, 4U})
    {
        BOOST_TEST((log.events[place].send == duet::send_state::finished));
        BOOST_TEST((log.events[place].receive == duet::receive_state::ended));
        BOOST_TEST((log.events[place].reason == duet::close_reason::clean));
    }
}

BOOST_FIXTURE_TEST_CASE(the_time_of_day_merges_a_trace_from_elsewhere, merging)
{
    log.began = std::chrono::system_clock::time_point{std::chrono::seconds{1764400000}};
    event(10us, trace_kind::call);
    event(30us, trace_kind::result);
    forth(20us, ack);
    captured.segments[0].time = {};
    duet::merge(log, captured);
    BOOST_TEST((log.events[1].kind == trace_kind::segment));
    BOOST_TEST((log.events[1].time == 20us));
    BOOST_TEST((log.events[1].segment->sent == 20us));
}

BOOST_FIXTURE_TEST_CASE(the_window_is_scaled_as_the_syns_say, merging)
{
    forth(1ns, syn, 1).window_scale = 7;
    forth(2ns, syn, 1).window_scale = 7;  // again
    back(3ns, syn | ack, 2).window_scale = 3;
    forth(4ns, ack);
    back(5ns, ack);
    segment(6ns, server, client, ack, 0, 0);
    forth(7ns, tcp_flags::rst | ack);
    // The same ends connect again, and one of them does not scale.
    forth(8ns, syn, 3).window_scale = 7;
    back(9ns, syn | ack, 4);
    forth(10ns, ack);
    back(11ns, ack);
    BOOST_TEST(windows() == "100 100 100 12800 800 0 ? 100 100 100 100 ");
}

BOOST_FIXTURE_TEST_CASE(a_scale_of_zero_is_one, merging)
{
    forth(1ns, syn, 1).window_scale = 0;
    back(2ns, syn | ack, 2).window_scale = 4;
    forth(3ns, ack);
    back(4ns, ack);
    BOOST_TEST(windows() == "100 100 100 1600 ");
}

BOOST_FIXTURE_TEST_CASE(the_window_is_not_known_without_both_syns, merging)
{
    forth(1ns, ack);
    segment(2ns, client, server, ack, 0, 0);
    back(3ns, syn | ack, 2).window_scale = 4;
    forth(4ns, ack);
    forth(5ns, syn, 9).window_scale = 4;
    forth(6ns, ack);
    BOOST_TEST(windows() == "? 0 100 ? 100 ? ");
}

BOOST_FIXTURE_TEST_CASE(sessions_with_the_same_ends_are_told_apart_by_their_syns, merging)
{
    log.sessions.push_back({2, true, "127.0.0.1:40000", "127.0.0.1:7777", ""});
    forth(1ns, syn, 1);
    forth(2ns, syn, 1);
    back(3ns, syn | ack, 2);
    forth(4ns, syn, 50);
    back(5ns, syn | ack, 60);
    forth(6ns, syn, 70);  // one more than there are sessions
    BOOST_TEST(sessions() == "1> 1> 1< 2> 2< 2> ");
}

BOOST_FIXTURE_TEST_CASE(the_session_of_a_client_comes_first, merging)
{
    log.sessions.insert(log.sessions.begin(), {0, false, "127.0.0.1:7777", "127.0.0.1:40000", ""});
    log.sessions[0].number = 5;
    forth(1ns, ack);
    back(2ns, ack);
    BOOST_TEST(sessions() == "1> 1< ");
}

BOOST_FIXTURE_TEST_CASE(a_server_alone_knows_its_clients, merging)
{
    log.sessions = {{1, false, "127.0.0.1:7777", "127.0.0.1:40000", ""}};
    back(1ns, ack);
    forth(2ns, ack);
    BOOST_TEST(sessions() == "1< 1> ");
}

BOOST_FIXTURE_TEST_CASE(both_may_open_at_the_same_time, merging)
{
    forth(1ns, syn, 1).window_scale = 1;
    back(2ns, syn, 2).window_scale = 2;
    forth(3ns, ack);
    back(4ns, ack);
    BOOST_TEST(sessions() == "1> 1< 1> 1< ");
    BOOST_TEST(log.events[2].segment->window.value() == 200U);
    BOOST_TEST(log.events[3].segment->window.value() == 400U);
}

BOOST_FIXTURE_TEST_CASE(a_segment_of_no_session_tells_its_ends, merging)
{
    log.sessions.clear();
    segment(1ns, client, server, syn, 1);
    segment(2ns, server, client, tcp_flags::rst | ack);
    tcp::endpoint const six{make_address("2001:db8::1"), 1};
    tcp::endpoint const other{make_address("2001:db8::2"), 2};
    segment(3ns, other, six, syn | ack, 2);  // its client is the one that it answers
    segment(4ns, six, other, ack);
    tcp::endpoint const third{make_address("127.0.0.1"), 3};
    segment(5ns, server, third, ack);  // nothing is known, until a SYN comes
    segment(6ns, third, server, syn, 8);
    BOOST_TEST(sessions() == "0> 0< 0< 0> 0> 0> ");
    BOOST_TEST(log.events[0].text == "127.0.0.1:40000 > 127.0.0.1:7777");
    BOOST_TEST(log.events[2].text == "[2001:db8::2]:2 > [2001:db8::1]:1");
}

BOOST_FIXTURE_TEST_CASE(ends_that_are_spelled_otherwise_are_the_same, merging)
{
    log.sessions = {{1, true, "[::ffff:127.0.0.1]:40000", "127.0.0.1:7777", ""},
        {2, true, "[fe80::1%1]:1", "[fe80::2%1]:2", ""}, {3, true, "/a/path", "", ""}};
    forth(1ns, ack);
    segment(2ns, {make_address("::ffff:127.0.0.1"), 7777}, client, ack);
    segment(3ns, {make_address("fe80::2"), 2}, {make_address("fe80::1"), 1}, ack);
    BOOST_TEST(sessions() == "1> 1< 2< ");
}

BOOST_FIXTURE_TEST_CASE(what_the_tap_has_lost_is_noted, merging)
{
    event(10ns, trace_kind::call);
    captured.lost = 3;
    duet::merge(log, captured, began);
    BOOST_TEST_REQUIRE(log.events.size() == 2U);
    BOOST_TEST((log.events[1].kind == trace_kind::note));
    BOOST_TEST((log.events[1].time == 10ns));
    BOOST_TEST(log.events[1].number == 2U);
    BOOST_TEST(log.events[1].text == "the tap lost 3 packets");
}
