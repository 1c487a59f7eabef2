// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The table of a conversation: what each call sends, and what returns because of that, whenever it was.

#define BOOST_TEST_MODULE trace.conversation
#include <boost/test/unit_test.hpp>

#include <duet/diagram.hpp>
#include <duet/trace_segments.hpp>

#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "trace/markup.hpp"
#include "trace/stories.hpp"

namespace {

using namespace duet_test::trace;
using duet::tcp_flags;

std::string table_of(duet::trace_log const& log)
{
    return duet::diagram(log, log.sessions.front().number).markdown();
}

// Without its head.
std::string rows_of(story const& it)
{
    std::string const head = "| call | segments | states | what the program sees |\n|---|---|---|---|\n";
    auto const table = table_of(it.log);
    BOOST_TEST_REQUIRE(table.starts_with(head));
    return table.substr(head.size());
}

std::string const handshake = "| client: connect | → SYN<br>← SYN, ACK<br>→ ACK | ESTABLISHED / ESTABLISHED | "
                              "client: connect → done<br>server: accept → done |\n";

// The same trace with the segments that follow from it as if they had been captured.
duet::trace_log captured(story const& it)
{
    auto log = it.log;
    for (auto segment : duet::segments_of(it.log, it.log.sessions.front()))
    {
        duet::trace_event event;
        event.number = log.events.size() + 1;
        event.session = it.log.sessions.front().number;
        event.kind = duet::trace_kind::segment;
        event.time = *segment.sent;
        if (!segment.lost)
            segment.received = segment.sent;
        segment.evidence = duet::evidence::observed;
        event.segment = segment;
        log.events.push_back(event);
    }
    return log;
}

duet::trace_segment& segment_at(duet::trace_log& log, std::size_t index)
{
    for (auto& event : log.events)
        if (event.segment && index-- == 0)
            return *event.segment;
    throw std::out_of_range{"no such segment"};
}

// What happened in another order and at other times that lead to the same: each end keeps its own order, a segment
// comes after the call that causes it and before the return that tells of it.
duet::trace_log at_other_times(duet::trace_log const& log, unsigned seed)
{
    std::mt19937 random{seed};
    auto const count = log.events.size();
    std::vector<std::vector<std::size_t>> after(count);
    std::vector<std::size_t> waits(count, 0);
    auto const edge = [&](std::size_t before, std::size_t then)
    {
        after[before].push_back(then);
        ++waits[then];
    };
    for (std::size_t first = 0; first != count; ++first)
        for (std::size_t then = 0; then != count; ++then)
        {
            auto const& a = log.events[first];
            auto const& b = log.events[then];
            bool const same = a.segment.has_value() == b.segment.has_value() && (a.segment || a.session == b.session);
            if ((same && first < then) || (b.segment && b.segment->cause == a.number) ||
                (a.segment && a.segment->told == b.number))
                edge(first, then);
        }
    std::vector<std::size_t> ready;
    for (std::size_t index = 0; index != count; ++index)
        if (waits[index] == 0)
            ready.push_back(index);
    auto result = log;
    result.events.clear();
    std::vector<std::uint64_t> numbers(count + 1, 0);
    std::chrono::nanoseconds now{};
    while (!ready.empty())
    {
        auto const at = random() % ready.size();
        auto const index = ready[at];
        ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(at));
        now += std::chrono::microseconds(1 + random() % 90'000);
        auto event = log.events[index];
        event.time = now;
        if (event.segment && event.segment->sent)
            event.segment->sent = now;
        if (event.segment && event.segment->received)
            event.segment->received = now;
        numbers[event.number] = result.events.size() + 1;
        event.number = result.events.size() + 1;
        result.events.push_back(event);
        for (auto const next : after[index])
            if (--waits[next] == 0)
                ready.push_back(next);
    }
    BOOST_TEST_REQUIRE(result.events.size() == count);
    for (auto& event : result.events)
    {
        event.call = numbers[event.call];
        if (event.segment)
        {
            event.segment->cause = numbers[event.segment->cause];
            event.segment->told = numbers[event.segment->told];
        }
    }
    for (auto& each : result.sessions)
        for (auto* const address : {&each.local, &each.remote})
            address->replace(0, 9, "192.0.2.1");
    return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_call_its_segments_and_its_returns)
{
    BOOST_TEST(
        rows_of(whole_flow()) == handshake +
                                     R"(| client: write 5 bytes | → PSH, ACK 5 bytes | | server: read_some → 5 bytes |
| client: shutdown_send | → FIN, ACK<br>← ACK | FIN_WAIT2 / CLOSE_WAIT | server: read_some → 0 (the client's FIN) |
| server: write 12 bytes | ← PSH, ACK 12 bytes | | client: read_some → 12 bytes |
| server: close | ← FIN, ACK<br>→ ACK | TIME_WAIT / CLOSED | client: read_some → 0 (the server's FIN)<br>server: close → done |
| client: close | | | client: close → done |
)");
}

BOOST_AUTO_TEST_CASE(an_end_that_is_not_traced_has_no_calls)
{
    BOOST_TEST(rows_of(whole_flow(false, true)) ==
               R"(| client | → SYN<br>← SYN, ACK<br>→ ACK | ESTABLISHED / ESTABLISHED | server: accept → done |
| client | → PSH, ACK 5 bytes | | server: read_some → 5 bytes |
| client | → FIN, ACK<br>← ACK | FIN_WAIT2 / CLOSE_WAIT | server: read_some → 0 (the client's FIN) |
| server: write 12 bytes | ← PSH, ACK 12 bytes | | |
| server: close | ← FIN, ACK<br>→ ACK | TIME_WAIT / CLOSED | server: close → done |
)");
}

BOOST_AUTO_TEST_CASE(a_reset_and_what_it_tells)
{
    BOOST_TEST(rows_of(abort_by_client()) == handshake +
                                                 "| client: abort | → RST, ACK | CLOSED / CLOSED | "
                                                 "server: read_some → Connection reset by peer (the client's RST) |\n");
    BOOST_TEST(rows_of(refused()) == "| client: connect | → SYN<br>← RST, ACK | CLOSED / CLOSED | "
                                     "client: connect → Connection refused (the server's RST) |\n");
    BOOST_TEST(
        rows_of(write_to_closed_peer()) == handshake +
                                               R"(| client: close | → FIN, ACK<br>← ACK | FIN_WAIT2 / CLOSE_WAIT | |
| server: write 1 byte | ← PSH, ACK 1 byte<br>→ RST | CLOSED / CLOSED | server: write → Broken pipe (the client's RST) |
)");
}

BOOST_AUTO_TEST_CASE(what_tcp_does_on_its_own_and_a_failure_that_no_segment_tells_of)
{
    BOOST_TEST(rows_of(unanswered()) == R"(| client: connect | → SYN, lost | SYN_SENT / unknown | |
| client's TCP | → SYN, repeated | | |
| client: connect | | CLOSED / unknown | client: connect → connect deadline passed |
)");
    BOOST_TEST(rows_of(peer_vanishes())
                   .ends_with(
                       R"(| client: write 7 bytes | → PSH, ACK 7 bytes, lost | | |
| client: read_some | | CLOSED / ESTABLISHED | client: read_some → the peer no longer answers |
)"));
}

BOOST_AUTO_TEST_CASE(fins_that_cross_arrive_after_both_have_gone)
{
    BOOST_TEST(rows_of(simultaneous_close()) == handshake +
                                                    R"(| client: close | → FIN, ACK | FIN_WAIT1 / ESTABLISHED | |
| server: close | ← FIN, ACK | CLOSING / CLOSING | |
| client's TCP<br>server's TCP | → ACK<br>← ACK | TIME_WAIT / TIME_WAIT | |
)");
}

BOOST_AUTO_TEST_CASE(what_is_done_again_and_again_is_told_once)
{
    auto const table = rows_of(download(300, 1448));
    BOOST_TEST(table == rows_of(download(5, 1448)));
    BOOST_TEST(count_of(table, "\n") == 5U);
    BOOST_TEST(count_of(table, "| server: write 1448 bytes, repeated | ← PSH, ACK 1448 bytes | | "
                               "client: read_some → 1448 bytes |") == 1U);
    BOOST_TEST(count_of(rows_of(download(2, 1448)), "server: write 1448 bytes |") == 2U);
}

BOOST_AUTO_TEST_CASE(captured_or_inferred_the_same_segments_make_the_same_table)
{
    for (auto const& it : {whole_flow(), whole_flow(true, false), whole_flow(false, true), abort_by_client(), refused(),
             simultaneous_close(), write_to_closed_peer(), download(4, 1448)})
        BOOST_TEST(table_of(captured(it)) == table_of(it.log));
}

// Two programs run as they like: on one thread, or on two.
BOOST_AUTO_TEST_CASE(when_it_was_and_between_whom_changes_nothing)
{
    for (auto const& it :
        {whole_flow(), abort_by_client(), refused(), simultaneous_close(), write_to_closed_peer(), download(4, 1448)})
    {
        auto log = captured(it);
        auto const linked = duet::segments_of(log, log.sessions.front());
        for (std::size_t index = 0; index != linked.size(); ++index)
            segment_at(log, index) = linked[index];
        for (unsigned seed = 0; seed != 40; ++seed)
        {
            BOOST_TEST_INFO("seed " << seed);
            BOOST_TEST(table_of(at_other_times(log, seed)) == table_of(it.log));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_fin_is_acknowledged_alone_or_with_the_next_bytes)
{
    auto log = captured(whole_flow());
    for (std::size_t index = 0; index != log.events.size(); ++index)
    {
        auto const& segment = log.events[index].segment;
        if (segment && !segment->from_client && segment->flags == tcp_flags::ack && segment->sequence == 1)
        {
            log.events.erase(log.events.begin() + static_cast<std::ptrdiff_t>(index));
            --index;
        }
    }
    BOOST_TEST(duet::segments_of(log, log.sessions.front()).size() <
               duet::segments_of(whole_flow().log, log.sessions.front()).size());
    BOOST_TEST(table_of(log) == table_of(whole_flow().log));
}

BOOST_AUTO_TEST_CASE(what_tcp_repeats_is_none_of_the_call)
{
    auto const repeated = [](std::size_t times)
    {
        auto log = captured(whole_flow());
        for (std::size_t index = 0; index != log.events.size(); ++index)
            if (log.events[index].segment && log.events[index].segment->bytes == 5)
            {
                auto const event = log.events[index];
                log.events.insert(log.events.begin() + static_cast<std::ptrdiff_t>(index), times, event);
                break;
            }
        return table_of(log);
    };
    BOOST_TEST(count_of(repeated(1),
                   "| client: write 5 bytes | → PSH, ACK 5 bytes, lost | | |\n"
                   "| client's TCP | → PSH, ACK 5 bytes, repeated | | server: read_some → 5 bytes |\n") == 1U);
    BOOST_TEST(repeated(1) == repeated(3));
}

BOOST_AUTO_TEST_CASE(how_bytes_are_cut_is_not_told)
{
    auto const cut = [](std::vector<std::uint32_t> const& sizes)
    {
        auto log = captured(whole_flow());
        for (std::size_t index = 0; index != log.events.size(); ++index)
        {
            auto const event = log.events[index];
            if (!event.segment || event.segment->bytes != 12)
                continue;
            log.events.erase(log.events.begin() + static_cast<std::ptrdiff_t>(index));
            auto next = event;
            for (auto const size : sizes)
            {
                next.segment->bytes = size;
                log.events.insert(log.events.begin() + static_cast<std::ptrdiff_t>(index++), next);
                next.segment->sequence += size;
            }
            break;
        }
        return table_of(log);
    };
    BOOST_TEST(count_of(cut({7, 5}), "| server: write 12 bytes | ← PSH, ACK 12 bytes, in segments |") == 1U);
    BOOST_TEST(cut({7, 5}) == cut({1, 10, 1}));
}

BOOST_AUTO_TEST_CASE(text_of_a_peer_is_no_markup)
{
    auto it = refused();
    it.last().error.text = "a|b `c` <img src=x> &amp; *d* _e_ [f](http://g) www.h.i ~j~ #1 \\ k\n| l |\r\x1b[31m";
    auto const rows = rows_of(it);
    BOOST_TEST(count_of(rows, "\n") == 1U);
    std::size_t bars = 0;
    for (std::size_t at = 0; at != rows.size(); ++at)
    {
        if (rows[at] == '\\')
            ++at;
        else if (rows[at] == '|')
            ++bars;
    }
    BOOST_TEST(bars == 5U);
    BOOST_TEST(count_of(rows, "<") == count_of(rows, "<br>"));
    BOOST_TEST(
        count_of(rows, "a\\|b \\`c\\` &#60;img src=x&#62; &#38;amp; \\*d\\* \\_e\\_ \\[f\\](http&#58;//g) www&#46;h.i "
                       "\\~j\\~ \\#1 \\\\ k\\\\x0a\\| l \\|\\\\x0d\\\\x1b\\[31m") == 1U);
}

BOOST_AUTO_TEST_CASE(nothing_is_an_empty_table)
{
    BOOST_TEST(rows_of(story()) == "");
    BOOST_TEST(duet::diagram(whole_flow().log, 77).markdown() == table_of(story().log));
}
