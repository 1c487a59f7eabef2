// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a trace records of sessions in memory: every call and its result, what passes the socket, every change of state,
// and the end; what it bounds, and what it counts.

#define BOOST_TEST_MODULE trace.recording
#include <duet/trace.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::trace_event;
using duet::trace_kind;
using duet::trace_log;

namespace {

/// "call read_some 65536", "result read_some 5", "transfer receive 5", "state ended open", "end".
std::string line_of(trace_event const& event)
{
    std::string result{to_string(event.kind)};
    if (!event.name.empty())
        result += ' ' + event.name;
    if (event.bytes > 0)
        result += ' ' + std::to_string(event.bytes);
    if (event.kind == trace_kind::state)
        result.append(" ").append(to_string(event.receive)).append(" ").append(to_string(event.send));
    if (event.kind == trace_kind::result && event.error)
        result += " ! " + event.error.text;
    return result;
}

std::vector<std::string> lines_of(trace_log const& log)
{
    std::vector<std::string> result;
    for (auto const& event : log.events)
        result.push_back(line_of(event));
    return result;
}

void check_lines(trace_log const& log, std::vector<std::string> const& expected)
{
    auto const found = lines_of(log);
    std::string all;
    for (auto const& line : found)
        all += line + '\n';
    BOOST_TEST_INFO(all);
    BOOST_TEST(found == expected, boost::test_tools::per_element());
}

/// A question and its answer, and a clean end.
asio::awaitable<void> converse(memory_talk& talk, memory_session& s)
{
    auto const executor = co_await asio::this_coro::executor;
    talk.peer.send_all("ask");
    auto const heard = co_await read(s);
    BOOST_TEST(heard == "ask");
    co_await write(s, "reply");
    talk.peer.shutdown_write();
    co_await read(s);
    started<received> peer{executor, talk.peer.receive_all()};
    co_await close(s);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_conversation_is_told_in_its_order)
{
    duet::trace trace{{.program = "the test"}};
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s, "conversation");
            co_await converse(talk, s);
        });
    auto const log = trace.log();
    check_lines(log, {"begin attach", "call read_some 65536", "transfer receive 3", "result read_some 3",
                         "call write 5", "transfer send 5", "result write 5", "call read_some 65536",
                         "transfer peer_fin", "result read_some", "call close", "transfer fin", "state ended finished",
                         "transfer close", "state ended finished", "end", "result close"});
    BOOST_TEST(log.program == "the test");
    BOOST_TEST(log.lost == 0U);
    BOOST_TEST(trace.recorded() == log.events.size());
    BOOST_REQUIRE(log.sessions.size() == 1U);
    BOOST_TEST(log.sessions[0].name == "conversation");
    for (std::size_t i = 0; i < log.events.size(); ++i)
    {
        BOOST_TEST(log.events[i].number == i + 1);
        BOOST_TEST(log.events[i].session == 1U);
        BOOST_TEST((i == 0 || log.events[i].time >= log.events[i - 1].time));
    }
    BOOST_TEST(log.events[9].receive == duet::receive_state::ended);
    BOOST_TEST(log.events[3].call == 2U);  // the result of the read tells which call it answers
    BOOST_TEST(log.events.back().call == 11U);
    auto const& end = log.events[15];
    BOOST_TEST(end.reason == duet::close_reason::clean);
    BOOST_TEST(end.text == "clean, by the peer, between messages, direction receive; received 3, sent 5 bytes");
}

// What a call, its transfer and its result tell at once is kept as one record, unless the kernel is asked at each: that
// makes no difference to what is told, and what is bounded is the number of events.
BOOST_AUTO_TEST_CASE(what_is_kept_together_is_told_as_single_events)
{
    std::vector<std::string> all;
    for (std::uint32_t const queries : {1000U, 0U})
        for (std::size_t most = 17; most > 0; --most)
        {
            duet::trace trace{{.most_events = most, .kernel_queries = queries}};
            memory_talk talk;
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    trace.attach(s);
                    co_await converse(talk, s);
                });
            auto const log = trace.log();
            if (all.empty())
                all = lines_of(log);
            BOOST_REQUIRE(all.size() == 17U);
            check_lines(log, {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(most)});
            BOOST_TEST(trace.recorded() == most);
            BOOST_TEST(trace.lost() == all.size() - most);
            for (std::size_t i = 0; i < log.events.size(); ++i)
            {
                auto const& event = log.events[i];
                BOOST_TEST(event.number == i + 1);
                BOOST_TEST(event.bytes == (i == 1 || i == 7      ? 65536U
                                              : i == 2 || i == 3 ? 3U
                                              : i > 3 && i < 7   ? 5U
                                                                 : 0U));
                BOOST_TEST(event.call == (i == 3 ? 2U : i == 6 ? 5U : i == 9 ? 8U : i == 16 ? 11U : 0U));
            }
        }
}

BOOST_AUTO_TEST_CASE(a_trace_is_complete_whenever_the_program_looks)
{
    duet::trace trace{{.kernel_queries = 0}};
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, pattern(stalling_size))};
            co_await settle();
            auto lines = lines_of(trace.log());
            BOOST_REQUIRE(lines.size() == 3U);  // begin, the call, a part of it
            BOOST_TEST(lines[2].starts_with("transfer send "));
            started<std::size_t> queued{executor, write(s, "behind")};
            started<std::string> reading{executor, read(s)};
            co_await settle();
            lines = lines_of(trace.log());
            BOOST_REQUIRE(lines.size() == 5U);
            BOOST_TEST(lines[3] == "call write 6");
            BOOST_TEST(lines[4] == "call read_some 65536");
            s.abort();
            co_await error_of(writing.result());
            co_await error_of(queued.result());
            co_await error_of(reading.result());
        });
    auto const log = trace.log();
    auto const is_result = [](trace_event const& event) { return event.kind == trace_kind::result; };
    BOOST_TEST(std::count_if(log.events.begin(), log.events.end(), is_result) == 4);
}

BOOST_AUTO_TEST_CASE(an_error_is_told_as_the_program_is_told)
{
    duet::trace trace;
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            talk.peer.reset();
            co_await error_of(read(s));
            s.abort();
        });
    auto const log = trace.log();
    check_lines(
        log, {"begin attach", "call read_some 65536", "transfer receive", "result read_some ! Connection reset by peer",
                 "call abort", "result abort", "transfer reset", "state failed failed", "end"});
    BOOST_TEST(log.events[2].error.category == "system");
    BOOST_TEST(log.events[2].error.value == ECONNRESET);
    BOOST_TEST(log.events.back().reason == duet::close_reason::peer_reset);
}

// It reads more than once, and throws what the last read has met.
BOOST_AUTO_TEST_CASE(a_read_to_the_end_that_fails_has_its_error)
{
    duet::trace trace;
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            talk.peer.send_all("ask");
            co_await settle();
            talk.peer.reset();
            std::string input;
            auto const failing = [&]() -> asio::awaitable<void> { co_await s.read_all(input, 100); };
            co_await error_of(failing());
            s.abort();
        });
    auto const log = trace.log();
    auto const failed = std::find_if(log.events.begin(), log.events.end(),
        [](trace_event const& event) { return event.kind == trace_kind::result && event.error; });
    BOOST_REQUIRE((failed != log.events.end()));
    BOOST_TEST(failed->name == "read_all");
    BOOST_TEST(failed->error.value == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(a_session_that_ended_before_is_not_recorded)
{
    duet::trace trace;
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            s.abort();
            trace.attach(s);
            trace.attach(memory_session{});
            co_return;
        });
    BOOST_TEST(trace.log().sessions.empty());
    BOOST_TEST(trace.recorded() == 0U);
}

BOOST_AUTO_TEST_CASE(a_trace_may_be_destroyed_first)
{
    auto trace = std::make_unique<duet::trace>();
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace->attach(s);
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            trace.reset();
            talk.peer.send_all("after");
            auto const heard = co_await reading.result();
            BOOST_TEST(heard == "after");
            s.abort();
        });
}

BOOST_AUTO_TEST_CASE(a_second_trace_takes_over)
{
    duet::trace first;
    duet::trace second;
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            first.attach(s);
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            second.attach(s);
            talk.peer.send_all("after");
            co_await reading.result();
            s.abort();
        });
    // The result of a call belongs to the trace that has the call.
    check_lines(first.log(), {"begin attach", "call read_some 65536", "result read_some 5"});
    check_lines(second.log(), {"begin attach", "transfer receive 5", "call abort", "result abort", "transfer reset",
                                  "state failed failed", "end"});
}

BOOST_AUTO_TEST_CASE(a_trace_can_be_followed)
{
    std::vector<trace_event> followed;
    std::uint64_t told = 0;
    duet::trace* following = nullptr;
    duet::trace trace{{.on_event = [&]
                       {
                           ++told;
                           auto const more = following->log(followed.size());
                           BOOST_REQUIRE(more.events.size() == 1U);
                           BOOST_TEST(more.sessions.size() == 1U);
                           followed.push_back(more.events.front());
                       }}};
    following = &trace;
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            co_await converse(talk, s);
        });
    BOOST_TEST(told == trace.recorded());
    BOOST_TEST((followed == trace.log().events));
    BOOST_TEST(trace.log(told).events.empty());
    BOOST_TEST(trace.log(told + 1).events.empty());
}

// A record may stand for several events: what comes after one of them is told, and nothing before.
BOOST_AUTO_TEST_CASE(the_events_after_any_number_can_be_had)
{
    duet::trace trace{{.kernel_queries = 0}};
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            co_await converse(talk, s);
        });
    auto const all = trace.log().events;
    for (std::size_t after = 0; after <= all.size(); ++after)
        BOOST_TEST(
            (trace.log(after).events == std::vector<trace_event>(all.begin() + std::ptrdiff_t(after), all.end())));
}

BOOST_AUTO_TEST_CASE(nobody_is_told_of_what_is_not_kept)
{
    std::uint64_t told = 0;
    duet::trace trace{{.most_events = 4, .on_event = [&] { ++told; }}};
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            co_await converse(talk, s);
        });
    BOOST_TEST(told == 4U);
}

BOOST_AUTO_TEST_CASE(what_has_no_room_is_counted)
{
    duet::trace trace{{.most_events = 4}};
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            co_await converse(talk, s);
        });
    auto const log = trace.log();
    check_lines(log, {"begin attach", "call read_some 65536", "transfer receive 3", "result read_some 3"});
    BOOST_TEST(log.lost == 13U);
    BOOST_TEST(trace.lost() == 13U);
}

BOOST_AUTO_TEST_CASE(a_flight_recorder_tells_the_last_events_of_an_unclean_end)
{
    std::vector<trace_log> told;
    duet::trace trace{{.program = "the test", .last_events = 6, .on_unclean_end = [&](trace_log const& log) {
                           told.push_back(log);
                       }}};
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s, "one");
            talk.peer.send_all("ask");
            co_await read(s);
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            s.abort();
            co_await error_of(reading.result());
            co_await settle();
        });
    BOOST_REQUIRE(told.size() == 1U);
    // The result of the read that the abort has ended is among them.
    check_lines(told[0], {"call abort", "result abort", "transfer reset", "state failed failed", "end",
                             "result read_some ! aborted by its owner"});
    BOOST_TEST(told[0].lost == 5U);
    BOOST_TEST(told[0].program == "the test");
    BOOST_REQUIRE(told[0].sessions.size() == 1U);
    BOOST_TEST(told[0].sessions[0].name == "one");
    BOOST_TEST(told[0].events[4].text.starts_with("aborted, by the program"));
    BOOST_TEST(trace.log().sessions.empty());  // nothing is left of it
}

// A record of several events has room in the ring for more than are asked for, and may be cut.
BOOST_AUTO_TEST_CASE(a_flight_recorder_tells_as_many_events_as_it_is_asked_for)
{
    std::vector<std::string> all;
    for (std::size_t size = 20; size > 0; --size)
    {
        std::vector<trace_log> told;
        duet::trace trace{{.last_events = size,
            .on_unclean_end = [&](trace_log const& log) { told.push_back(log); },
            .kernel_queries = 0}};
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                trace.attach(s);
                for (int i = 0; i < 2; ++i)
                {
                    talk.peer.send_all("ask");
                    co_await read(s);
                    co_await write(s, "reply");
                }
                s.abort();
                co_await settle();
            });
        BOOST_REQUIRE(told.size() == 1U);
        if (all.empty())
            all = lines_of(told[0]);
        BOOST_REQUIRE(all.size() == 18U);
        auto const left = std::min(size, all.size());
        check_lines(told[0], {all.end() - static_cast<std::ptrdiff_t>(left), all.end()});
        BOOST_TEST(told[0].lost == all.size() - left);
        for (auto const& event : told[0].events)
            if (event.kind == trace_kind::result && event.name == "write")
                BOOST_TEST(event.call == event.number - 2);
        BOOST_TEST(told[0].events.back().number == all.size());
    }
}

BOOST_AUTO_TEST_CASE(a_flight_recorder_waits_for_the_results_that_the_end_completes)
{
    std::vector<trace_log> told;
    duet::trace trace{{.last_events = 2, .on_unclean_end = [&](trace_log const& log) { told.push_back(log); }}};
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, pattern(stalling_size))};
            co_await settle();
            co_await close(s);  // gives up, because nobody reads
            co_await error_of(writing.result());
            co_await settle();
        });
    BOOST_REQUIRE(told.size() == 1U);
    auto const lines = lines_of(told[0]);
    BOOST_TEST(std::count_if(lines.begin(), lines.end(), [](auto const& line) { return line.starts_with("result"); }) ==
               2);  // of the write and of the close
}

BOOST_AUTO_TEST_CASE(a_flight_recorder_tells_nothing_of_a_clean_end)
{
    int told = 0;
    duet::trace trace{{.last_events = 8, .on_unclean_end = [&](trace_log const&) { ++told; }}};
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            trace.attach(s);
            co_await converse(talk, s);
            co_await settle();
        });
    BOOST_TEST(told == 0);
    BOOST_TEST(trace.recorded() + trace.lost() == 16U);  // counted up to the end
    BOOST_TEST(trace.log().sessions.empty());
}

#if defined(__linux__)
BOOST_AUTO_TEST_CASE(what_a_file_does_not_take_is_counted)
{
    duet::trace trace{{.file = "/dev/full"}};
    trace.note("one");
    trace.note("two");
    BOOST_TEST(trace.recorded() == 0U);
    BOOST_TEST(trace.lost() == 2U);
}
#endif

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_made_is_an_error)
{
    BOOST_CHECK_EXCEPTION(duet::trace{{.file = "/nowhere/trace.jsonl"}}, boost::system::system_error,
        [](boost::system::system_error const& error) { return error.code().value() == ENOENT; });
}

BOOST_AUTO_TEST_CASE(the_program_has_something_to_say)
{
    duet::trace trace;
    trace.note("the second try");
    auto const log = trace.log();
    BOOST_REQUIRE(log.events.size() == 1U);
    BOOST_TEST((log.events[0].kind == trace_kind::note));
    BOOST_TEST(log.events[0].text == "the second try");
    BOOST_TEST(log.events[0].session == 0U);
}
