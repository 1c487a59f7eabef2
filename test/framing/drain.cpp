// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Messages and time: what a drain ends, and the deadlines between messages and within one.

#define BOOST_TEST_MODULE framing.drain
#include <duet/framing.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using duet::close_reason;
using duet::errc;
using message = std::optional<std::string_view>;

namespace {

duet::length_prefix const two{.bytes = 2};

using stream = duet::frame_stream<duet::length_prefix>;

/// Answers each message with itself, and counts them.
asio::awaitable<int> echo(stream& messages)
{
    int count = 0;
    for (;;)
    {
        auto const one = co_await messages.next();
        if (!one)
            break;
        messages.put(*one);
        ++count;
    }
    co_return count;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_drain_ends_the_wait_between_messages)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            stream messages{s, two, 100};
            started<int> echoing{executor, echo(messages)};
            talk.peer.send_all("\0\3one"s);
            co_await settle();
            BOOST_TEST(!echoing.done());
            auto const begin = talk.now();
            s.request_finish();
            auto const count = co_await echoing.result();
            BOOST_TEST(count == 1);
            BOOST_TEST((talk.now() - begin == 0s));
            BOOST_TEST(s.close_reason() == close_reason::none);
        });
}

// No answer tells that the message is over: where it ends is known all the same.
BOOST_AUTO_TEST_CASE(a_drain_ends_the_wait_behind_a_message_without_an_answer)
{
    memory_talk talk;
    talk.peer.send_all("\0\3one"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, two, 100};
            co_await messages.next();
            started<message> waiting{executor, awaited<message>(messages.next())};
            co_await settle();
            s.request_finish();
            auto const end = co_await waiting.result();
            BOOST_TEST(!end.has_value());
        });
}

BOOST_AUTO_TEST_CASE(a_drain_waits_for_a_message_that_has_begun)
{
    // In the buffer behind another one, or alone.
    for (bool const behind : {false, true})
    {
        memory_talk talk;
        talk.peer.send_all(behind ? "\0\3one\0\5fi"s : "\0\5fi"s);
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                stream messages{s, two, 100};
                started<int> echoing{executor, echo(messages)};
                co_await settle();
                s.request_finish();
                co_await talk.pause(1min);
                BOOST_TEST(!echoing.done());
                talk.peer.send_all("rst"s);
                auto const count = co_await echoing.result();
                BOOST_TEST(count == (behind ? 2 : 1));
            });
        auto const all = talk.peer.recv_available();
        BOOST_TEST(all == (behind ? "\0\3one\0\5first"s : "\0\5first"s));
    }
}

BOOST_AUTO_TEST_CASE(what_has_arrived_is_given_after_a_drain_began_but_not_all_that_may_come)
{
    memory_talk talk;
    talk.peer.send_all("\0\3one\0\3two\0\5thr"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            stream messages{s, two, 100};
            co_await messages.next();
            s.request_finish();
            auto const second = co_await messages.next();
            BOOST_TEST(second.value() == "two");
            talk.peer.send_all("ee"s);  // it had begun
            auto const third = co_await messages.next();
            BOOST_TEST(third.value() == "three");
            talk.peer.send_all("\0\3and\0\2so"s);
            auto const end = co_await messages.next();
            BOOST_TEST(!end.has_value());
        });
}

// A call that ends early has not used up the one read that a message may take that had begun before the drain.
BOOST_AUTO_TEST_CASE(a_message_that_had_begun_at_a_drain_outlives_a_call_that_ends_early)
{
    memory_talk talk;
    talk.peer.send_all("\0\5fi"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            stream messages{s, two, 100};
            co_await expect_error(awaited<message>(messages.next().within(1s)), errc::call_timed_out);
            s.request_finish();
            co_await expect_error(awaited<message>(messages.next().within(1s)), errc::call_timed_out);
            talk.peer.send_all("rst\0\4more"s);
            auto const first = co_await messages.next();
            BOOST_TEST(first.value() == "first");
            auto const behind = co_await messages.next();
            BOOST_TEST(behind.value() == "more");
            talk.peer.send_all("\0\4even"s);
            auto const end = co_await messages.next();
            BOOST_TEST(!end.has_value());
        });
}

BOOST_AUTO_TEST_CASE(a_client_that_is_silent_between_messages_is_told_so_and_loses_nothing)
{
    memory_talk talk;
    talk.peer.send_all("\0\3one"s);
    talk.play(with({.next_message = 1min, .message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, two, 100};
            co_await messages.next();
            auto const begin = talk.now();
            auto const end = co_await outcome_of(awaited<message>(messages.next()));
            BOOST_TEST((talk.now() - begin == 1min + tick));
            BOOST_TEST(end.code == errc::next_message_timed_out);
            talk.peer.send_all("\0\3two"s);
            auto const more = co_await messages.next();
            BOOST_TEST(more.value() == "two");
        });
}

BOOST_AUTO_TEST_CASE(a_client_that_drips_is_cut_in_the_middle_of_its_message)
{
    // Its first bytes came alone, or behind another message.
    for (bool const behind : {false, true})
    {
        memory_talk talk;
        talk.play(with({.next_message = 1min, .message = 10s}),
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                duet::frame_reader messages{s, two, 1000};
                talk.peer.send_all(behind ? "\0\1x\0\x64"s : "\0\x64"s);
                if (behind)
                    co_await messages.next();
                auto const begin = talk.now();
                started<message> waiting{executor, awaited<message>(messages.next())};
                for (int second = 0; second < 10; ++second)
                {
                    co_await settle();
                    BOOST_TEST(!waiting.done());
                    talk.peer.send_all("y");
                    co_await talk.pause(1s);
                }
                auto const end = co_await outcome_of(waiting.result());
                BOOST_TEST((talk.now() - begin == 10s + tick));
                BOOST_TEST(end.code == errc::message_timed_out);
            });
        BOOST_TEST(talk.peer.recv_all().error == ECONNRESET);
    }
}

// A call that ends early does not make the message younger.
BOOST_AUTO_TEST_CASE(the_time_of_a_message_goes_on_from_call_to_call)
{
    memory_talk talk;
    talk.peer.send_all("\0\3o"s);
    talk.play(with({.message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, two, 100};
            auto const begin = talk.now();
            co_await expect_error(awaited<message>(messages.next().within(6s)), errc::call_timed_out);
            co_await expect_error(awaited<message>(messages.next().within(6s)), errc::message_timed_out);
            BOOST_TEST((talk.now() - begin == 10s + tick));
        });
}

BOOST_AUTO_TEST_CASE(messages_one_after_the_other_have_each_the_whole_time)
{
    memory_talk talk;
    talk.play(with({.next_message = 1min, .message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, two, 100};
            for (int count = 0; count < 5; ++count)
            {
                started<message> waiting{executor, awaited<message>(messages.next())};
                co_await talk.pause(50s);
                talk.peer.send_all("\0\2"s);
                co_await talk.pause(4s);
                talk.peer.send_all("x");
                co_await talk.pause(4s);
                talk.peer.send_all("y");
                auto const one = co_await waiting.result();
                BOOST_TEST(one.value() == "xy");
            }
        });
}

BOOST_AUTO_TEST_CASE(the_first_message_is_met_by_a_whole_one_only)
{
    for (bool const whole : {false, true})
    {
        memory_talk talk;
        talk.peer.send_all(whole ? "\0\3one"s : "\0\3on"s);
        talk.play(with({.first_message = 10s}),
            [&](memory_session& s) -> asio::awaitable<void>
            {
                duet::frame_reader messages{s, two, 100};
                if (whole)
                    co_await messages.next();
                auto const end = co_await outcome_of(awaited<message>(messages.next().within(20s)));
                BOOST_TEST(end.code == (whole ? errc::call_timed_out : errc::first_message_timed_out));
            });
    }
}
