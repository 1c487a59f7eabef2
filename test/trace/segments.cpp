// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE trace_segments
#include <boost/test/unit_test.hpp>

#include <duet/trace_segments.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "trace/stories.hpp"

namespace {

using namespace duet_test::trace;
using duet::tcp_flags;

std::string event_text(duet::trace_log const& log, std::uint64_t number)
{
    if (number == 0)
        return "-";
    auto const& event = log.events.at(number - 1);
    return std::string(to_string(event.kind)) + " " + event.name;
}

/// A line for each segment: the direction, the flags, the bytes, what caused it and what told of it.
std::string segments_text(story const& it)
{
    std::ostringstream out;
    for (auto const& each : duet::segments_of(it.log, it.log.sessions.front()))
    {
        out << (each.from_client ? "> " : "< ") << to_string(each.flags);
        if (each.bytes != 0)
            out << " (" << each.bytes << ")";
        out << (each.lost ? " lost" : "") << ": " << event_text(it.log, each.cause) << " / "
            << event_text(it.log, each.told) << "\n";
    }
    return out.str();
}

/// The states of one end, one after the other; a star marks those that the kernel reported.
std::string states_text(story const& it, bool client)
{
    auto const& session = it.log.sessions.front();
    std::string result;
    for (auto const& each : duet::tcp_states_of(it.log, session, duet::segments_of(it.log, session)))
        if (each.client == client)
            result += (result.empty() ? "" : " ") + std::string(to_string(each.state)) +
                      (each.evidence == duet::evidence::observed ? "*" : "");
    return result;
}

}  // namespace

// The kernel was asked when it had closed, and the program had not learned of the RST yet.
BOOST_AUTO_TEST_CASE(closed_after_a_reset_is_not_closed_before_the_handshake)
{
    story it;
    it.connect();
    auto const read = it.call(story::client, "read_some", 4096);
    it.write(story::server, 5);
    it.call(story::server, "abort");
    it.transfer(story::server, "reset");
    it.end(story::server, duet::close_reason::aborted, "aborted");
    it.transfer(story::client, "receive", 5);
    it.result(story::client, "read_some", read, 5);
    it.kernel(duet::tcp_state::closed);
    auto const again = it.call(story::client, "read_some", 4096);
    it.result(story::client, "read_some", again, 0, boost::asio::error::connection_reset);
    it.kernel(duet::tcp_state::closed);
    BOOST_TEST(states_text(it, true) == "CLOSE SYN_SENT ESTABLISHED CLOSE*");
}

BOOST_AUTO_TEST_CASE(both_ends_tell_what_each_call_caused_and_what_each_return_told)
{
    BOOST_TEST(segments_text(whole_flow()) == "> SYN: call connect / -\n"
                                              "< SYN, ACK: - / result connect\n"
                                              "> ACK: - / begin accept\n"
                                              "> PSH, ACK (5): call write / result read_some\n"
                                              "< ACK: - / -\n"
                                              "> FIN, ACK: call shutdown_send / result read_some\n"
                                              "< ACK: - / -\n"
                                              "< PSH, ACK (12): call write / result read_some\n"
                                              "> ACK: - / -\n"
                                              "< FIN, ACK: call close / result read_some\n"
                                              "> ACK: - / -\n");
    BOOST_TEST(states_text(whole_flow(), true) == "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT");
    BOOST_TEST(states_text(whole_flow(), false) == "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE");
}

BOOST_AUTO_TEST_CASE(an_abort_after_the_peers_reset_sends_nothing)
{
    story it{false, true};
    it.at(100).add(story::server, duet::trace_kind::begin, "attach");
    auto const read = it.at(200).call(story::server, "read_some", 64);
    it.transfer(story::server, "receive", 0, boost::asio::error::connection_reset);
    it.result(story::server, "read_some", read, 0, boost::asio::error::connection_reset);
    auto const abort = it.call(story::server, "abort");
    it.result(story::server, "abort", abort);
    it.transfer(story::server, "reset");
    BOOST_TEST(segments_text(it) == "> RST, ACK: - / result read_some\n");
}

BOOST_AUTO_TEST_CASE(what_is_read_after_the_kernel_knew_of_the_fin_had_come_before_it)
{
    story it{false, true};
    it.at(100).add(story::server, duet::trace_kind::begin, "accept");
    it.last().kernel.emplace().state = duet::tcp_state::close_wait;
    auto const call = it.at(200).call(story::server, "read_some", 64);
    it.transfer(story::server, "receive", 6);
    it.result(story::server, "read_some", call, 6);
    it.transfer(story::server, "peer_fin");
    BOOST_TEST(segments_text(it) == "> SYN: - / -\n"
                                    "< SYN, ACK: - / -\n"
                                    "> ACK: - / begin accept\n"
                                    "> PSH, ACK (6): - / result read_some\n"
                                    "< ACK: - / -\n"
                                    "> FIN, ACK: - / transfer peer_fin\n"
                                    "< ACK: - / -\n");
}

BOOST_AUTO_TEST_CASE(one_end_is_enough_for_the_same_segments)
{
    auto const flags_of = [](story const& it)
    {
        std::string result;
        for (auto const& each : duet::segments_of(it.log, it.log.sessions.front()))
            result += (each.from_client ? ">" : "<") + to_string(each.flags) + " ";
        return result;
    };
    auto const both = flags_of(whole_flow());
    BOOST_TEST(flags_of(whole_flow(true, false)) == both);
    BOOST_TEST(flags_of(whole_flow(false, true)) == both);
    for (bool const client : {true, false})
    {
        BOOST_TEST(states_text(whole_flow(client, !client), true) == states_text(whole_flow(), true));
        BOOST_TEST(states_text(whole_flow(client, !client), false) == states_text(whole_flow(), false));
    }
}

BOOST_AUTO_TEST_CASE(sequence_numbers_count_syn_and_fin_and_every_byte)
{
    auto const it = whole_flow();
    auto const segments = duet::segments_of(it.log, it.log.sessions.front());
    std::uint32_t next[2] = {0, 0};
    for (auto const& each : segments)
    {
        auto& mine = next[each.from_client ? 0 : 1];
        auto const peers = next[each.from_client ? 1 : 0];
        BOOST_TEST(each.sequence == mine);
        BOOST_TEST(each.acknowledgement <= peers);
        mine += static_cast<std::uint32_t>(each.bytes) + contains(each.flags, tcp_flags::syn) +
                contains(each.flags, tcp_flags::fin);
        BOOST_TEST((each.evidence == duet::evidence::inferred));
        BOOST_TEST((each.sent && each.received && *each.sent <= *each.received));
    }
    BOOST_TEST(next[0] == 7);
    BOOST_TEST(next[1] == 14);
    BOOST_TEST(segments.back().acknowledgement == next[1]);
}

BOOST_AUTO_TEST_CASE(an_abort_is_one_rst)
{
    BOOST_TEST(segments_text(abort_by_client()) == "> SYN: call connect / -\n"
                                                   "< SYN, ACK: - / result connect\n"
                                                   "> ACK: - / begin accept\n"
                                                   "> RST, ACK: call abort / result read_some\n");
    BOOST_TEST(states_text(abort_by_client(), true) == "CLOSE SYN_SENT ESTABLISHED CLOSE");
    BOOST_TEST(states_text(abort_by_client(), false) == "LISTEN SYN_RECV ESTABLISHED CLOSE");
    BOOST_TEST(
        segments_text(abort_by_client(false, true)).find("> RST, ACK: - / result read_some\n") != std::string::npos);
    BOOST_TEST(segments_text(abort_by_client(true, false)).find("> RST, ACK: call abort / -\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_refused_connect_is_a_syn_and_an_rst)
{
    BOOST_TEST(segments_text(refused()) == "> SYN: call connect / -\n"
                                           "< RST, ACK: - / result connect\n");
    BOOST_TEST(states_text(refused(), true) == "CLOSE SYN_SENT CLOSE");
    BOOST_TEST(states_text(refused(), false) == "CLOSE");
}

BOOST_AUTO_TEST_CASE(an_unanswered_connect_repeats_a_syn_that_is_lost)
{
    BOOST_TEST(segments_text(unanswered()) == "> SYN lost: call connect / -\n"
                                              "> SYN lost: - / -\n"
                                              "> SYN lost: - / -\n");
    BOOST_TEST(states_text(unanswered(), true) == "CLOSE SYN_SENT CLOSE");
    BOOST_TEST(states_text(unanswered(), false) == "unknown");
}

BOOST_AUTO_TEST_CASE(a_close_with_unread_input_is_rst_instead_of_fin)
{
    BOOST_TEST(segments_text(unread_input()) == "> SYN: call connect / -\n"
                                                "< SYN, ACK: - / result connect\n"
                                                "> ACK: - / begin accept\n"
                                                "> PSH, ACK (3): call write / -\n"
                                                "< ACK: - / -\n"
                                                "< RST, ACK: call close / result read_some\n");
    BOOST_TEST(states_text(unread_input(), false) == "LISTEN SYN_RECV ESTABLISHED CLOSE");
}

BOOST_AUTO_TEST_CASE(fins_of_a_simultaneous_close_cross)
{
    auto const it = simultaneous_close();
    auto const segments = duet::segments_of(it.log, it.log.sessions.front());
    BOOST_TEST_REQUIRE(segments.size() == 7U);
    auto const& ours = segments[3];
    auto const& theirs = segments[4];
    BOOST_TEST(to_string(ours.flags) == "FIN, ACK");
    BOOST_TEST(to_string(theirs.flags) == "FIN, ACK");
    BOOST_TEST((ours.from_client && !theirs.from_client));
    BOOST_TEST((*theirs.sent < *ours.received && *ours.sent < *theirs.received));
    BOOST_TEST(theirs.acknowledgement == 1U);  // not the FIN that is under way
    BOOST_TEST(states_text(it, true) == "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT");
    BOOST_TEST(states_text(it, false) == "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT");
}

BOOST_AUTO_TEST_CASE(what_a_dead_peer_did_not_answer_is_lost)
{
    auto const it = peer_vanishes();
    auto const segments = duet::segments_of(it.log, it.log.sessions.front());
    auto const lost = std::count_if(segments.begin(), segments.end(), [](auto const& each) { return each.lost; });
    BOOST_TEST(lost == 1);
    BOOST_TEST(segments.back().lost);
    BOOST_TEST(segments.back().bytes == 7U);
    BOOST_TEST(!segments.back().received.has_value());
    BOOST_TEST(states_text(it, true) == "CLOSE SYN_SENT ESTABLISHED CLOSE");
    BOOST_TEST(states_text(it, false) == "LISTEN SYN_RECV ESTABLISHED");
}

BOOST_AUTO_TEST_CASE(bytes_to_a_closed_peer_are_answered_by_rst)
{
    BOOST_TEST(segments_text(write_to_closed_peer()) == "> SYN: call connect / -\n"
                                                        "< SYN, ACK: - / result connect\n"
                                                        "> ACK: - / begin accept\n"
                                                        "> FIN, ACK: call close / -\n"
                                                        "< ACK: - / -\n"
                                                        "< PSH, ACK (1): call write / -\n"
                                                        "> RST: - / result write\n");
    BOOST_TEST(states_text(write_to_closed_peer(), false) == "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE");
}

BOOST_AUTO_TEST_CASE(the_kernels_acknowledgement_bounds_the_arrival)
{
    story it;
    it.connect();
    it.at(1000).call(story::client, "write", 5);
    it.transfer(story::client, "send", 5);
    it.at(2000).add(story::client, duet::trace_kind::state, "");
    it.kernel(duet::tcp_state::established);
    it.at(9000).read(story::server, 5);
    auto const segments = duet::segments_of(it.log, it.log.sessions.front());
    BOOST_TEST((segments[3].received == std::chrono::microseconds(2000)));
    BOOST_TEST(event_text(it.log, segments[3].told) == "result read_some");
}

BOOST_AUTO_TEST_CASE(calls_and_results_are_enough)
{
    story it(true, false);
    it.connect();
    it.result(story::client, "write", it.call(story::client, "write", 5), 5);
    it.result(story::client, "read", it.call(story::client, "read", 9), 9);
    it.call(story::client, "shutdown_send");
    it.result(story::client, "read", it.call(story::client, "read", 9));
    it.last().receive = duet::receive_state::ended;
    BOOST_TEST(segments_text(it) == "> SYN: call connect / -\n"
                                    "< SYN, ACK: - / result connect\n"
                                    "> ACK: - / -\n"
                                    "> PSH, ACK (5): call write / -\n"
                                    "< ACK: - / -\n"
                                    "< PSH, ACK (9): - / result read\n"
                                    "> ACK: - / -\n"
                                    "> FIN, ACK: call shutdown_send / -\n"
                                    "< ACK: - / -\n"
                                    "< FIN, ACK: - / result read\n"
                                    "> ACK: - / -\n");
}

BOOST_AUTO_TEST_CASE(a_connectors_call_is_the_cause_if_it_is_the_only_one)
{
    for (int const calls : {1, 2})
    {
        story it(true, false);
        for (int each = 0; each != calls; ++each)
        {
            it.call(story::client, "connect");
            it.last().session = 0;
        }
        it.at(300).add(story::client, duet::trace_kind::begin, "connect");
        auto const segments = duet::segments_of(it.log, it.log.sessions.front());
        BOOST_TEST_REQUIRE(segments.size() == 3U);
        BOOST_TEST(segments[0].cause == (calls == 1 ? 1U : 3U));
        BOOST_TEST((segments[0].sent == std::chrono::microseconds(calls == 1 ? 0 : 300)));
        BOOST_TEST(segments[1].told == it.log.events.back().number);
    }
}

BOOST_AUTO_TEST_CASE(a_path_has_no_segments)
{
    auto it = whole_flow();
    for (auto& session : it.log.sessions)
        session.local = session.remote = "/run/echo";
    BOOST_TEST(segments_text(it).empty());
}

namespace {

/// The same conversation as captured, with sequence numbers of the wire that wrap around.
story captured_flow()
{
    auto it = whole_flow();
    for (auto segment : duet::segments_of(it.log, it.log.sessions.front()))
    {
        duet::trace_event event;
        event.number = it.log.events.size() + 1;
        event.time = *segment.sent;
        event.session = story::client;
        event.kind = duet::trace_kind::segment;
        segment.sequence += segment.from_client ? 0xFFFFFFFEU : 1000U;
        segment.acknowledgement += segment.from_client ? 1000U : 0xFFFFFFFEU;
        segment.received = segment.sent;
        segment.cause = segment.told = 0;
        segment.evidence = duet::evidence::observed;
        event.segment = segment;
        it.log.events.push_back(event);
    }
    return it;
}

}  // namespace

BOOST_AUTO_TEST_CASE(captured_segments_are_linked_with_calls_and_results)
{
    auto const it = captured_flow();
    BOOST_TEST(segments_text(it) == segments_text(whole_flow()));
    for (auto const& each : duet::segments_of(it.log, it.log.sessions.back()))
        BOOST_TEST((each.evidence == duet::evidence::observed));
    BOOST_TEST(states_text(it, true) == "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT");
}

BOOST_AUTO_TEST_CASE(a_write_is_the_cause_of_all_its_segments)
{
    story it;
    it.connect();
    it.write(story::client, 3000);
    it.read(story::server, 1000);
    it.read(story::server, 2000);
    for (std::uint32_t const offset : {0U, 1448U, 2896U})
    {
        it.add(story::server, duet::trace_kind::segment, "");
        duet::trace_segment segment;
        segment.flags = tcp_flags::ack;
        segment.sequence = 0xFFFFFC00U + offset;  // wraps around after 1024 bytes
        segment.bytes = std::min(1448U, 3000U - offset);
        segment.sent = segment.received = it.last().time;
        it.last().segment = segment;
    }
    BOOST_TEST(segments_text(it) == "> ACK (1448): call write / result read_some\n"
                                    "> ACK (1448): call write / result read_some\n"
                                    "> ACK (104): call write / result read_some\n");
    auto const segments = duet::segments_of(it.log, it.log.sessions.front());
    BOOST_TEST(segments[0].told == segments[2].told);
    BOOST_TEST(it.log.events.at(segments[0].told - 1).bytes == 2000U);
}

BOOST_AUTO_TEST_CASE(the_kernels_word_is_observed_and_says_when)
{
    auto it = whole_flow();
    for (auto& event : it.log.events)
        if (event.session == story::client && event.name == "fin")
        {
            event.kernel.emplace();
            event.kernel->state = duet::tcp_state::fin_wait_2;
        }
    BOOST_TEST(states_text(it, true) == "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2* TIME_WAIT");

    for (auto& event : it.log.events)
        if (event.kind == duet::trace_kind::end && event.session == story::client)
        {
            event.kernel.emplace();
            event.kernel->state = duet::tcp_state::closed;  // so Linux says of TIME_WAIT
        }
    BOOST_TEST(states_text(it, true) == "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2* TIME_WAIT");
}

BOOST_AUTO_TEST_CASE(what_nobody_read_has_not_overtaken_what_was_read_late)
{
    story it;
    it.connect();
    it.at(1000).write(story::client, 5);
    it.at(1200).write(story::client, 3);
    it.at(1400).read(story::server, 5);
    std::vector<std::chrono::nanoseconds> arrivals;
    for (auto const& segment : duet::segments_of(it.log, it.log.sessions.front()))
        if (segment.bytes != 0)
            arrivals.push_back(segment.received.value());
    BOOST_REQUIRE(arrivals.size() == 2U);
    BOOST_TEST((arrivals[0] > std::chrono::microseconds(1400)));
    BOOST_TEST((arrivals[1] == arrivals[0]));
}
