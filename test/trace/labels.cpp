// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a captured segment is beside its flags: labels, and what was lost.

#define BOOST_TEST_MODULE trace.labels
#include <boost/test/unit_test.hpp>

#include <duet/diagram.hpp>
#include <duet/pcapng.hpp>
#include <duet/trace_segments.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

using duet::tcp_flags;

constexpr auto ack = tcp_flags::ack;
constexpr auto syn = tcp_flags::syn;
constexpr auto fin = tcp_flags::fin;
constexpr auto push = tcp_flags::psh | ack;

// A capture of one connection, made by hand. Numbers are relative, to 1,000 of the client and 5,000 of the server.
struct capture
{
    explicit capture(std::uint32_t client_base = 1000, std::uint32_t server_base = 5000)
        : bases{client_base, server_base}
    {
        log.sessions = {{1, true, "127.0.0.1:40000", "127.0.0.1:7777", ""}};
    }

    capture& add(bool from_client, tcp_flags flags, std::uint32_t sequence, std::uint32_t acknowledgement,
        std::uint64_t bytes = 0, std::optional<std::uint32_t> window = 100)
    {
        duet::trace_event event;
        event.number = log.events.size() + 1;
        event.time = std::chrono::milliseconds{log.events.size()};
        event.session = 1;
        event.kind = duet::trace_kind::segment;
        auto& segment = event.segment.emplace();
        segment.from_client = from_client;
        segment.flags = flags;
        segment.sequence = bases[from_client ? 0 : 1] + sequence;
        segment.acknowledgement = contains(flags, ack) ? bases[from_client ? 1 : 0] + acknowledgement : 0;
        segment.bytes = bytes;
        segment.window = window;
        segment.sent = segment.received = event.time;
        segment.evidence = duet::evidence::observed;
        log.events.push_back(event);
        return *this;
    }

    capture& forth(tcp_flags flags, std::uint32_t sequence, std::uint32_t acknowledgement, std::uint64_t bytes = 0,
        std::optional<std::uint32_t> window = 100)
    {
        return add(true, flags, sequence, acknowledgement, bytes, window);
    }

    capture& back(tcp_flags flags, std::uint32_t sequence, std::uint32_t acknowledgement, std::uint64_t bytes = 0,
        std::optional<std::uint32_t> window = 100)
    {
        return add(false, flags, sequence, acknowledgement, bytes, window);
    }

    capture& handshake() { return forth(syn, 0, 0).back(syn | ack, 0, 1).forth(ack, 1, 1); }

    std::vector<duet::trace_segment> segments() const { return duet::segments_of(log, log.sessions.front()); }

    // Those after the first `skipped`, a line each; "x" is lost.
    std::string labels(std::size_t skipped = 0) const
    {
        std::string result;
        auto const all = segments();
        for (auto index = skipped; index < all.size(); ++index)
        {
            auto const label = to_string(all[index].label);
            result += std::string{all[index].from_client ? ">" : "<"} + (all[index].lost ? "x" : "") +
                      (label.empty() ? "" : " ") + std::string{label} + "\n";
        }
        return result;
    }

    std::uint32_t bases[2];
    duet::trace_log log{};
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_ordinary_conversation_has_no_labels)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).back(ack, 1, 6).back(push, 1, 6, 12).forth(fin | ack, 6, 13);
    it.back(fin | ack, 13, 7).forth(ack, 7, 14);
    BOOST_TEST(it.labels() == ">\n<\n>\n>\n<\n<\n>\n<\n>\n");
    for (auto const& each : it.segments())
        BOOST_TEST((each.received == each.sent));
}

BOOST_AUTO_TEST_CASE(what_is_sent_again_was_lost_unless_it_was_acknowledged)
{
    BOOST_TEST(
        capture{}.forth(syn, 0, 0).forth(syn, 0, 0).back(syn | ack, 0, 1).labels() == ">x\n> retransmission\n<\n");
    capture it;
    it.handshake().forth(push, 1, 1, 5).forth(push, 6, 1, 5).forth(push, 1, 1, 10).back(ack, 1, 11);
    it.forth(push, 6, 1, 5).back(ack, 1, 11);  // again, in spite of the acknowledgement
    BOOST_TEST(it.labels(3) == ">x\n>x\n> retransmission\n<\n> retransmission\n< duplicate acknowledgement\n");
    auto const all = it.segments();
    BOOST_TEST(!all[3].received.has_value());
    BOOST_TEST(all[5].received.has_value());
}

BOOST_AUTO_TEST_CASE(what_nothing_answers_was_lost_each_time)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).forth(push, 1, 1, 5).forth(push, 1, 1, 5);
    BOOST_TEST(it.labels(3) == ">x\n>x retransmission\n>x retransmission\n");
    it.back(tcp_flags::rst, 1, 0);
    BOOST_TEST(it.labels(5) == "> retransmission\n<\n");  // RST is an answer
}

BOOST_AUTO_TEST_CASE(a_fin_that_is_lost_changes_no_state)
{
    capture it;
    it.handshake().forth(fin | ack, 1, 1).forth(fin | ack, 1, 1).back(ack, 1, 2);
    BOOST_TEST(it.labels(3) == ">x\n> retransmission\n<\n");
    auto const all = it.segments();
    for (auto const& state : duet::tcp_states_of(it.log, it.log.sessions.front(), all))
        if (state.state == duet::tcp_state::close_wait)
            BOOST_TEST(state.segment == 5U);
    BOOST_TEST_INFO(duet::diagram(it.log, 1).markdown());
    BOOST_TEST(duet::diagram(it.log, 1).markdown().ends_with(
        "| client | → FIN, ACK, lost | FIN_WAIT1 / ESTABLISHED | |\n"
        "| client's TCP | → FIN, ACK, repeated<br>← ACK | FIN_WAIT2 / CLOSE_WAIT | |\n"));
}

// The FIN waits, in the peer's TCP, for what was lost before it.
BOOST_AUTO_TEST_CASE(a_fin_lands_with_what_is_repeated_before_it)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).forth(fin | ack, 6, 1).back(ack, 1, 1).forth(push, 1, 1, 5).back(ack, 1, 7);
    BOOST_TEST_INFO(duet::diagram(it.log, 1).markdown());
    BOOST_TEST(duet::diagram(it.log, 1).markdown().ends_with(
        "| client | → PSH, ACK 5 bytes, lost | | |\n"
        "| client | → FIN, ACK | FIN_WAIT1 / ESTABLISHED | |\n"
        "| client's TCP | → PSH, ACK 5 bytes, repeated<br>← ACK | FIN_WAIT2 / CLOSE_WAIT | |\n"));
}

BOOST_AUTO_TEST_CASE(what_tells_of_a_fin_that_waited_is_told_where_it_lands)
{
    capture it;
    it.handshake().back(push, 1, 1, 5).back(fin | ack, 6, 1).back(push, 1, 1, 5).forth(ack, 1, 7);
    for (auto const bytes : {5U, 0U})
    {
        duet::trace_event event;
        event.number = it.log.events.size() + 1;
        event.time = std::chrono::milliseconds{it.log.events.size()};
        event.session = 1;
        event.kind = duet::trace_kind::result;
        event.name = "read_some";
        event.bytes = bytes;
        it.log.events.push_back(event);
    }
    it.log.events[5].segment->told = it.log.events.size() - 1;
    it.log.events[4].segment->told = it.log.events.size();
    BOOST_TEST_INFO(duet::diagram(it.log, 1).markdown());
    BOOST_TEST(duet::diagram(it.log, 1).markdown().ends_with(
        "| server's TCP | ← PSH, ACK 5 bytes, repeated<br>→ ACK | CLOSE_WAIT / FIN_WAIT2 | "
        "client: read_some → 5 bytes<br>client: read_some → 0 (the server's FIN) |\n"));
}

BOOST_AUTO_TEST_CASE(a_window_opens_after_it_was_asked_for)
{
    capture it;
    it.handshake().back(push, 1, 1, 100).forth(ack, 1, 101, 0, 0).back(ack, 100, 1).forth(ack, 1, 101, 0, 0);
    it.back(ack, 100, 1).forth(ack, 1, 101, 0, 80);
    BOOST_TEST_INFO(duet::diagram(it.log, 1).markdown());
    BOOST_TEST(duet::diagram(it.log, 1).markdown().ends_with(
        "| server's TCP | ← ACK, zero-window probe<br>→ ACK, answers probe | | |\n"
        "| client's TCP | → ACK, window update | | |\n"));
}

// Its number is beyond what the peer expects, because bytes before it were lost: the peer answers, and that is
// answered.
BOOST_AUTO_TEST_CASE(a_reset_that_is_not_taken_is_asked_about)
{
    capture it;
    it.handshake().back(push, 1, 1, 5).back(tcp_flags::rst | ack, 6, 1).forth(ack, 1, 1).back(tcp_flags::rst, 1, 0);
    BOOST_TEST(it.labels(3) == "<x\n<\n> duplicate acknowledgement\n<\n");
    auto const all = it.segments();
    BOOST_TEST((!all[4].received && !all[4].lost));
    BOOST_TEST(all[6].received.has_value());
    BOOST_TEST_INFO(duet::diagram(it.log, 1).markdown());
    BOOST_TEST(duet::diagram(it.log, 1).markdown().ends_with(
        "| server | ← PSH, ACK 5 bytes, lost | | |\n"
        "| server | ← RST, ACK | ESTABLISHED / CLOSED | |\n"
        "| client's TCP | → ACK, duplicate<br>← RST | CLOSED / CLOSED | |\n"));
}

// Which of two that repeat at the same time is first is a matter of milliseconds.
BOOST_AUTO_TEST_CASE(both_repeat_their_fins)
{
    capture client_first;
    client_first.handshake().forth(fin | ack, 1, 1).back(fin | ack, 1, 1);
    auto server_first = client_first;
    client_first.forth(fin | ack, 1, 1).back(fin | ack, 1, 1).forth(ack, 2, 2).back(ack, 2, 2);
    server_first.back(fin | ack, 1, 1).forth(fin | ack, 1, 1).back(ack, 2, 2).forth(ack, 2, 2);
    auto const table = duet::diagram(client_first.log, 1).markdown();
    BOOST_TEST(table == duet::diagram(server_first.log, 1).markdown());
    BOOST_TEST_INFO(table);
    BOOST_TEST(table.ends_with("| client | → FIN, ACK, lost | FIN_WAIT1 / ESTABLISHED | |\n"
                               "| server | ← FIN, ACK, lost | FIN_WAIT1 / FIN_WAIT1 | |\n"
                               "| client's TCP | → FIN, ACK, repeated | | |\n"
                               "| server's TCP | ← FIN, ACK, repeated | CLOSING / CLOSING | |\n"
                               "| client's TCP<br>server's TCP | → ACK<br>← ACK | TIME_WAIT / TIME_WAIT | |\n"));
}

BOOST_AUTO_TEST_CASE(a_keep_alive_probe_asks_after_all_was_acknowledged)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).back(ack, 1, 6);
    it.forth(ack, 5, 1).back(ack, 1, 6).back(ack, 0, 6).forth(ack, 6, 1);
    BOOST_TEST(it.labels(5) == "> keep-alive probe\n< answer to a keep-alive probe\n"
                               "< keep-alive probe\n> answer to a keep-alive probe\n");
    capture unanswered;
    unanswered.handshake().forth(ack, 0, 1).forth(ack, 0, 1, 1);
    BOOST_TEST(unanswered.labels(3) == ">x keep-alive probe\n>x keep-alive probe\n");
    capture one_byte;  // sent again, not asked
    one_byte.handshake().forth(push, 1, 1, 1).forth(push, 1, 1, 1).back(ack, 1, 2);
    BOOST_TEST(one_byte.labels(3) == ">x\n> retransmission\n<\n");
}

BOOST_AUTO_TEST_CASE(a_window_closes_is_asked_for_and_opens)
{
    capture it;
    it.handshake().forth(push, 1, 1, 100).back(ack, 1, 101, 0, 0);
    it.forth(ack, 100, 1).back(ack, 1, 101, 0, 0).forth(push, 101, 1, 1).back(ack, 1, 101, 0, 0);
    it.forth(ack, 100, 1).back(ack, 1, 101, 0, 80).forth(push, 101, 1, 50).back(ack, 1, 151, 0, 30);
    BOOST_TEST(it.labels(4) == "< zero window\n> zero-window probe\n< answer to a zero-window probe\n"
                               "> zero-window probe\n< answer to a zero-window probe\n> zero-window probe\n"
                               "< window update\n>\n<\n");
    BOOST_TEST_INFO(duet::diagram(it.log, 1).markdown());
    BOOST_TEST(duet::diagram(it.log, 1).markdown().ends_with(
        "| client | → PSH, ACK 100 bytes<br>← ACK, zero window | | |\n"
        "| client's TCP | → ACK, zero-window probe<br>← ACK, answers probe<br>"
        "→ PSH, ACK 1 byte, zero-window probe | | |\n"
        "| server's TCP | ← ACK, window update | | |\n| client | → PSH, ACK 50 bytes | | |\n"));
}

BOOST_AUTO_TEST_CASE(an_acknowledgement_that_says_nothing_new)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).back(ack, 1, 6).back(ack, 1, 6).back(ack, 1, 6, 0, 90);
    it.back(ack, 1, 6, 0, std::nullopt);
    BOOST_TEST(it.labels(4) == "<\n< duplicate acknowledgement\n< window update\n< duplicate acknowledgement\n");
}

BOOST_AUTO_TEST_CASE(what_was_left_out_comes_out_of_order)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).forth(push, 11, 1, 5).forth(push, 6, 1, 5).forth(push, 6, 1, 5);
    BOOST_TEST(it.labels(3) == ">\n>\n>x out of order\n>x retransmission\n");
}

BOOST_AUTO_TEST_CASE(numbers_wrap_around)
{
    capture it{0xfffffffe, 0xfffffffc};
    it.handshake().forth(push, 1, 1, 5).forth(push, 1, 1, 5).back(ack, 1, 6).forth(ack, 5, 1).back(ack, 1, 6);
    BOOST_TEST(it.labels(3) == ">x\n> retransmission\n<\n> keep-alive probe\n< answer to a keep-alive probe\n");
}

BOOST_AUTO_TEST_CASE(a_capture_may_begin_anywhere)
{
    capture it;
    it.back(ack, 1, 50).forth(ack, 49, 1).back(ack, 1, 50).forth(push, 50, 1, 5).back(ack, 1, 55);
    BOOST_TEST(it.labels() == "<\n>\n< duplicate acknowledgement\n>\n<\n");
}

BOOST_AUTO_TEST_CASE(every_picture_and_packet_says_so)
{
    capture it;
    it.handshake().forth(push, 1, 1, 5).forth(push, 1, 1, 5).back(ack, 1, 6).forth(ack, 5, 1).back(ack, 1, 6);
    duet::diagram_options const options{.acknowledgements = false};
    duet::diagram const picture{it.log, 1, options};
    for (auto const& text :
        {picture.text(120), picture.terminal(120), picture.svg(), picture.mermaid(), picture.html()})
    {
        BOOST_TEST(text.find("PSH, ACK 5 bytes, repeated") != std::string::npos);
        BOOST_TEST(text.find("ACK, keep-alive probe") != std::string::npos);
        BOOST_TEST(text.find("ACK, answers probe") != std::string::npos);
    }
    BOOST_TEST(picture.html().find("retransmission") != std::string::npos);

    std::vector<duet::captured_segment> packets;
    for (auto const& event : it.log.events)
    {
        auto& packet = packets.emplace_back();
        packet.event = event.number;
        packet.packet.resize(40);
    }
    std::ostringstream out;
    duet::write_pcapng(out, it.log, packets);
    for (auto const* const comment : {"It was lost: it never arrived.", "Label: retransmission",
             "Label: keep-alive probe", "Label: answer to a keep-alive probe"})
        BOOST_TEST(out.str().find(comment) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_direction_whose_fin_was_sent_is_over_though_the_network_has_lost_it)
{
    capture one_way;
    one_way.handshake().forth(fin | ack, 1, 1).back(ack, 1, 2).back(push, 1, 2, 5).back(fin | ack, 6, 2);
    BOOST_TEST(duet::diagram(one_way.log, 1).text().find("half-closed") != std::string::npos);
    capture both;
    both.handshake().forth(fin | ack, 1, 1).back(fin | ack, 1, 1);
    both.forth(fin | ack, 1, 1).back(ack, 2, 2).back(fin | ack, 1, 2).forth(ack, 2, 2);
    BOOST_TEST(both.labels(3) == ">x\n<x\n> retransmission\n<\n< retransmission\n>\n");
    BOOST_TEST(duet::diagram(both.log, 1).text().find("half-closed") == std::string::npos);
}
