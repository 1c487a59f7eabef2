// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <duet/lifecycle.hpp>

#define BOOST_TEST_MODULE values.lifecycle
#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdio>
#include <deque>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

using duet::close_reason;
using duet::lifecycle;
using duet::receive_state;
using duet::send_state;
using duet::session_state;
using action = duet::lifecycle_action;
using event = duet::lifecycle_event;

BOOST_TEST_DONT_PRINT_LOG_VALUE(receive_state)
BOOST_TEST_DONT_PRINT_LOG_VALUE(send_state)
BOOST_TEST_DONT_PRINT_LOG_VALUE(session_state)
BOOST_TEST_DONT_PRINT_LOG_VALUE(close_reason)
BOOST_TEST_DONT_PRINT_LOG_VALUE(action)

namespace {

constexpr char const* reviewed_table =
#include "values/lifecycle_table.inc"
    ;

constexpr std::array<std::pair<event, char const*>, 14> events{{
    {event::peer_finished, "peer_finished"},
    {event::finish_requested, "finish_requested"},
    {event::writes_flushed, "writes_flushed"},
    {event::write_cut, "write_cut"},
    {event::receive_failed, "receive_failed"},
    {event::send_failed, "send_failed"},
    {event::deadline_passed, "deadline_passed"},
    {event::abort_requested, "abort_requested"},
    {event::close_requested, "close_requested"},
    {event::all_acknowledged, "all_acknowledged"},
    {event::close_gave_up, "close_gave_up"},
    {event::dropped, "dropped"},
    {event::peer_vanished, "peer_vanished"},
    {event::close_left, "close_left"},
}};

constexpr std::array<std::pair<action, char const*>, 7> actions{{
    {action::send_fin, "fin"},
    {action::fail_reads, "fail_reads"},
    {action::fail_writes, "fail_writes"},
    {action::discard_input, "discard"},
    {action::await_delivery, "await"},
    {action::reset, "RESET"},
    {action::release, "RELEASE"},
}};

std::string describe(lifecycle const& life)
{
    std::string text{to_string(life.receive())};
    text += ' ';
    text += to_string(life.send());
    if (life.poisoned())
        text += " poisoned";
    if (life.closing())
        text += " closing";
    if (life.released())
        text += " released";
    if (life.reason() != close_reason::none)
        (text += ' ') += to_string(life.reason());
    return text;
}

std::string describe(action set)
{
    std::string text;
    for (auto const& [one, name] : actions)
        if (contains(set, one))
            (text += text.empty() ? "" : "+") += name;
    return text.empty() ? "-" : text;
}

/// The table, as the code has it: from the first state on, every state that comes up.
std::string table_of_the_code()
{
    std::string table{"\n"};
    std::set<std::string> seen{describe(lifecycle{})};
    for (std::deque<lifecycle> unexplored{lifecycle{}}; !unexplored.empty(); unexplored.pop_front())
    {
        auto const from = unexplored.front();
        if (from.released())
            continue;
        table += describe(from) + '\n';
        for (auto const& [happens, name] : events)
        {
            auto to = from;
            auto const done = describe(to.apply(happens, close_reason::peer_reset));
            auto const state = describe(to);
            std::array<char, 256> line;
            std::snprintf(line.data(), line.size(), "  %-17s %-34s %s\n", name, done.c_str(),
                state == describe(from) ? "=" : state.c_str());
            table += line.data();
            if (seen.insert(state).second)
                unexplored.push_back(to);
        }
    }
    return table;
}

lifecycle after(std::initializer_list<event> happened)
{
    lifecycle life;
    for (auto const each : happened)
        life.apply(each, close_reason::peer_reset);
    return life;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_state_and_event_is_as_reviewed)
{
    std::string_view expected{reviewed_table};
    std::string const table = table_of_the_code();
    std::string_view actual{table};
    while (!expected.empty() || !actual.empty())
    {
        auto const line = [](std::string_view& rest)
        {
            auto const result = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), result.size() + 1));
            return result;
        };
        auto const wanted = line(expected);
        auto const got = line(actual);
        BOOST_REQUIRE_EQUAL(got, wanted);
    }
}

BOOST_AUTO_TEST_CASE(it_is_usable_at_compile_time)
{
    constexpr auto state = []
    {
        lifecycle life;
        life.apply(event::peer_finished);
        return life.state();
    }();
    static_assert(state == session_state::half_closed_remote);
    BOOST_TEST(state == session_state::half_closed_remote);
}

BOOST_AUTO_TEST_CASE(the_pair_of_directions_in_a_word)
{
    BOOST_TEST(lifecycle{}.state() == session_state::open);
    BOOST_TEST(after({event::peer_finished}).state() == session_state::half_closed_remote);
    BOOST_TEST(after({event::finish_requested}).state() == session_state::half_closed_local);
    BOOST_TEST(after({event::finish_requested, event::writes_flushed}).state() == session_state::half_closed_local);
    // A FIN that waits behind writes is not yet said.
    BOOST_TEST(after({event::peer_finished, event::finish_requested}).state() == session_state::half_closed_remote);
    BOOST_TEST(
        after({event::peer_finished, event::finish_requested, event::writes_flushed}).state() == session_state::closed);
    BOOST_TEST(after({event::abort_requested}).state() == session_state::closed);
    BOOST_TEST(after({event::receive_failed}).state() == session_state::closed);
}

BOOST_AUTO_TEST_CASE(half_closed_is_one_direction_ended_in_good_order)
{
    BOOST_TEST(!lifecycle{}.half_closed());
    BOOST_TEST(after({event::peer_finished}).half_closed());
    BOOST_TEST(after({event::finish_requested, event::writes_flushed}).half_closed());
    BOOST_TEST(!after({event::finish_requested}).half_closed());
    BOOST_TEST(!after({event::peer_finished, event::finish_requested, event::writes_flushed}).half_closed());
    BOOST_TEST(!after({event::peer_finished, event::abort_requested}).half_closed());
}

// What holds whatever happens, in whatever order.
BOOST_AUTO_TEST_CASE(the_rules_hold_in_every_order_of_events)
{
    std::mt19937 random{20260101};
    std::array const causes{close_reason::peer_reset, close_reason::dead_peer, close_reason::failed,
        close_reason::timed_out, close_reason::discard_limit};
    for (int round = 0; round < 20000; ++round)
    {
        lifecycle life;
        int fins = 0;
        int ends = 0;
        for (int step = 0; step < 24; ++step)
        {
            auto const before = life;
            auto const happens = events[random() % events.size()].first;
            auto const done = life.apply(happens, causes[random() % causes.size()]);
            fins += contains(done, action::send_fin) ? 1 : 0;
            bool const resets = contains(done, action::reset);
            bool const releases = contains(done, action::release);
            ends += resets || releases ? 1 : 0;

            BOOST_REQUIRE(fins <= 1);              // one FIN
            BOOST_REQUIRE(ends <= 1);              // one end
            BOOST_REQUIRE(!(resets && releases));  // RST, or the plain close
            BOOST_REQUIRE(life.released() == (ends == 1));
            if (before.released())
                BOOST_REQUIRE(done == action::none);  // after the end nothing happens
            if (before.poisoned())
                BOOST_REQUIRE(!contains(done, action::send_fin));  // a stump never looks whole
            if (before.poisoned() && (resets || releases))
                BOOST_REQUIRE(resets);
            if (before.reason() != close_reason::none)
                BOOST_REQUIRE(life.reason() == before.reason());  // the first cause stays
            if (before.receive() != receive_state::open)
                BOOST_REQUIRE(life.receive() == before.receive());  // a direction ends once
            if (before.send() == send_state::finished || before.send() == send_state::failed)
                BOOST_REQUIRE(life.send() == before.send());
            if (life.reason() == close_reason::clean)
                BOOST_REQUIRE((life.receive() == receive_state::ended && life.send() == send_state::finished));
            if (life.released())
                BOOST_REQUIRE((life.receive() != receive_state::open && life.send() != send_state::open &&
                               life.send() != send_state::finishing && life.reason() != close_reason::none));
        }
    }
}

BOOST_AUTO_TEST_CASE(every_value_has_its_word)
{
    for (auto const value : {receive_state::open, receive_state::ended, receive_state::failed})
        BOOST_TEST(to_string(value) != "?");
    for (auto const value : {send_state::open, send_state::finishing, send_state::finished, send_state::failed})
        BOOST_TEST(to_string(value) != "?");
    for (auto const value : {session_state::open, session_state::half_closed_remote, session_state::half_closed_local,
             session_state::closed})
        BOOST_TEST(to_string(value) != "?");
    for (int value = 0; value <= static_cast<int>(close_reason::failed); ++value)
        BOOST_TEST(to_string(static_cast<close_reason>(value)) != "?");
}
