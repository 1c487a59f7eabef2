// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// How messages go out: one call of the system for many, each whole, and none lost.

#define BOOST_TEST_MODULE framing.writing
#include <duet/framing.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/test/unit_test.hpp>

#include "framing/call_counter.hpp"
#include "session/memory_fixture.hpp"

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using namespace std::string_literals;
using duet::close_reason;
using duet::errc;

namespace {

duet::length_prefix const two{.bytes = 2};
duet::length_prefix const four;

using message = std::optional<std::string_view>;
using stream = duet::frame_stream<duet::length_prefix>;

/// Answers with what it was sent, until the end.
asio::awaitable<void> echo(stream& messages)
{
    for (;;)
    {
        auto const one = co_await messages.next();
        if (!one)
            break;
        messages.put(*one);
    }
}

std::string framed(std::string_view body)
{
    return std::string{std::string_view{four.head(body)}} + std::string{body};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_message_with_what_is_around_it_is_one_call)
{
    for (std::size_t const size : {0U, 5U, 4096U, 4097U, 30'000U})
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                call_counter const calls{s};
                duet::frame_stream messages{s, four, 100};
                auto const body = pattern(size);
                co_await messages.write(body);
                BOOST_TEST(calls.writes() == 1);
                BOOST_TEST(talk.peer.recv_available() == framed(body));
                duet::frame_stream lines{s, duet::delimiter{"\r\n\r\n"}, 100};
                co_await lines.write(asio::buffer(body));
                BOOST_TEST(calls.writes() == 2);
                BOOST_TEST(talk.peer.recv_available() == body + "\r\n\r\n");
            });
    }
}

BOOST_AUTO_TEST_CASE(answers_to_requests_that_came_together_go_out_together)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            call_counter const calls{s};
            duet::frame_stream messages{s, two, 100};
            started<void> echoing{executor, echo(messages)};
            auto const many = "\0\3one\0\3two\0\5three"s;
            talk.peer.send_all(many + "\0\4ha"s);
            co_await settle();
            BOOST_TEST(calls.writes() == 1);
            BOOST_TEST(talk.peer.recv_available() == many);
            talk.peer.send_all("lf\0\1x"s);
            co_await settle();
            BOOST_TEST(calls.writes() == 2);
            BOOST_TEST(talk.peer.recv_available() == "\0\4half\0\1x"s);
            talk.peer.shutdown_write();
            co_await echoing.result();
        });
}

// The answer to the first request may not wait for the second one's: it has none.
BOOST_AUTO_TEST_CASE(what_was_put_goes_out_before_the_next_read_waits)
{
    memory_talk talk;
    talk.peer.send_all("\0\1a\0\1b"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_stream messages{s, two, 100};
            co_await messages.next();
            messages.put("to a");
            co_await messages.next();
            BOOST_TEST(talk.peer.recv_available() == "");
            auto const more = [&]() -> asio::awaitable<void> { co_await messages.next(); };
            started<void> waiting{executor, more()};
            co_await settle();
            BOOST_TEST(talk.peer.recv_available() == "\0\4to a"s);
            talk.peer.shutdown_write();
            co_await waiting.result();
        });
}

BOOST_AUTO_TEST_CASE(what_was_put_goes_out_with_the_next_write_a_flush_or_the_end)
{
    for (int kind = 0; kind < 3; ++kind)
    {
        memory_talk talk;
        talk.peer.send_all("\0\1a\0\1b"s);
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                call_counter const calls{s};
                {
                    duet::frame_stream messages{s, two, 100};
                    co_await messages.next();
                    messages.put("put");
                    BOOST_TEST(calls.writes() == 0);
                    if (kind == 0)
                        co_await messages.write("write");
                    if (kind == 1)
                        co_await messages.flush();
                    BOOST_TEST(calls.writes() == (kind < 2 ? 1 : 0));
                }
                BOOST_TEST(calls.writes() == 1);
                BOOST_TEST(talk.peer.recv_available() == (kind == 0 ? "\0\3put\0\5write"s : "\0\3put"s));
            });
    }
}

// A handler that returns at once loses nothing, even if the peer takes its time: close() waits for what was put.
BOOST_AUTO_TEST_CASE(what_was_put_outlives_the_stream_in_the_sessions_queue)
{
    memory_talk talk{small_capacity};
    talk.peer.send_all("\0\1a\0\1b"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const filler = pattern(small_capacity);
            co_await write(s, filler);
            {
                duet::frame_stream messages{s, two, 100};
                co_await messages.next();
                messages.put("last words");
            }
            BOOST_TEST(s.bytes_queued() == 12U);
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            auto const got = co_await talk.peer.receive_all_and_close();
            BOOST_TEST((got.data == filler + "\0\12last words"s));
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::clean);
        });
}

BOOST_AUTO_TEST_CASE(a_write_outlives_the_stream_with_all_that_stands_around_its_message)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const body = pattern(3 * small_capacity);
            auto messages = std::make_unique<duet::frame_stream<duet::delimiter>>(s, duet::delimiter{"\r\n.\r\n"}, 100);
            started<void> writing{executor, awaited<void>(messages->write(body))};
            co_await settle();
            BOOST_TEST(!writing.done());
            messages.reset();
            auto const got = co_await talk.peer.receive_exactly(body.size() + 5);
            BOOST_TEST((got == body + "\r\n.\r\n"));
            co_await writing.result();
        });
}

// A next() that waits reads nothing by itself: the answer of somebody else goes out at once.
BOOST_AUTO_TEST_CASE(what_is_put_while_a_next_waits_goes_out_at_once)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            stream messages{s, two, 100};
            started<message> waiting{executor, awaited<message>(messages.next())};
            co_await settle();
            messages.put("news");
            BOOST_TEST(talk.peer.recv_available() == "\0\4news"s);
            talk.peer.shutdown_write();
            co_await waiting.result();
        });
}

// A wait for the peer to take the answers is a part of next(): its time counts, and it can be cancelled. Neither cuts
// them.
BOOST_AUTO_TEST_CASE(a_next_that_is_held_back_can_be_cancelled_and_limited)
{
    for (bool const late : {false, true})
    {
        memory_talk talk{small_capacity};
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                stream messages{s, two, 100};
                auto const filler = pattern(small_capacity);
                co_await write(s, filler);
                messages.put("answer");
                talk.peer.send_all("\0\1x"s);
                auto const begin = talk.now();
                started<message> waiting{executor, awaited<message>(messages.next().within(5s))};
                co_await settle();
                BOOST_TEST(!waiting.done());
                if (!late)
                    waiting.cancel();
                auto const end = co_await outcome_of(waiting.result());
                BOOST_TEST((talk.now() - begin == (late ? 5s + tick : 0s)));
                BOOST_TEST(end.code == (late ? duet::error_code{errc::call_timed_out}
                                             : duet::error_code{asio::error::operation_aborted}));
                started<message> again{executor, awaited<message>(messages.next())};
                co_await settle();
                BOOST_TEST(!again.done());
                auto const got = co_await talk.peer.receive_exactly(small_capacity + 8);
                BOOST_TEST((got == filler + "\0\6answer"s));
                auto const one = co_await again.result();
                BOOST_TEST(one.value() == "x");
            });
    }
}

// Who writes much and reads meanwhile must not wait for a peer that waits for it to read.
BOOST_AUTO_TEST_CASE(other_writes_do_not_hold_back_next)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            stream messages{s, two, 100};
            auto const body = pattern(3 * small_capacity);
            started<void> writing{executor, awaited<void>(messages.write(body))};
            co_await settle();
            talk.peer.send_all("\0\1x"s);
            auto const one = co_await messages.next();
            BOOST_TEST(one.value() == "x");
            BOOST_TEST(!writing.done());
            co_await talk.peer.receive_exactly(3 * small_capacity + 2);
            co_await writing.result();
        });
}

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_read_holds_back_who_answers)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_stream messages{s, two, 4000};
            started<void> echoing{executor, echo(messages)};
            std::string all;
            for (int i = 0; i < 300; ++i)
                all += "\0\144"s + pattern(100, static_cast<std::size_t>(i));
            started<std::size_t> sending{executor, talk.peer.send(all)};
            co_await settle();
            BOOST_TEST(!sending.done());
            BOOST_TEST(s.bytes_queued() < 70'000U);
            auto const got = co_await talk.peer.receive_exactly(all.size());
            BOOST_TEST((got == all));
            co_await sending.result();
            talk.peer.shutdown_write();
            co_await echoing.result();
        });
}

// Many small requests are in the buffer already: their large answers gather no further all the same.
BOOST_AUTO_TEST_CASE(requests_that_have_arrived_are_held_back_like_those_to_come)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_stream messages{s, two, 4000};
            auto const answer = pattern(1000);
            int answered = 0;
            auto const serve = [&]() -> asio::awaitable<void>
            {
                for (; answered < 300; ++answered)
                {
                    co_await messages.next();
                    messages.put(answer);
                }
                co_await messages.flush();
            };
            for (int i = 0; i < 300; ++i)
                talk.peer.send_all("\0\1x"s);
            started<void> serving{executor, serve()};
            co_await settle();
            BOOST_TEST(answered < 100);
            BOOST_TEST(s.bytes_queued() < 70'000U);
            co_await talk.peer.receive_exactly(300 * (2 + answer.size()));
            co_await serving.result();
        });
}

BOOST_AUTO_TEST_CASE(writes_that_overlap_are_sent_whole_and_in_order)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_stream messages{s, four, 100};
            std::deque<std::string> bodies;
            std::deque<started<void>> writes;
            std::string expected;
            for (std::size_t const size : {5U, 20'000U, 0U, 4096U, 9000U, 1U})
            {
                bodies.push_back(pattern(size, size));
                expected += framed(bodies.back());
                auto const& body = bodies.back();
                if (size % 2 == 0)
                    writes.emplace_back(executor, awaited<void>(messages.write(body)));
                else
                    messages.put(body);
                co_await settle();
            }
            started<void> flushing{executor, awaited<void>(messages.flush())};
            co_await settle();
            BOOST_TEST(!writes.back().done());
            BOOST_TEST(!flushing.done());
            auto const got = co_await talk.peer.receive_exactly(expected.size());
            BOOST_TEST((got == expected));
            for (auto& each : writes)
                co_await each.result();
            co_await flushing.result();
        });
}

BOOST_AUTO_TEST_CASE(what_no_frame_can_carry_is_refused_and_nothing_is_sent)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::length_prefix const one{.bytes = 1};
            duet::frame_stream messages{s, one, 100};
            std::string const large(256, 'x');
            BOOST_CHECK_EXCEPTION(static_cast<void>(messages.write(large)), duet::session_error,
                [](auto const& error) { return error.code() == asio::error::invalid_argument; });
            duet::frame_stream lines{s, duet::lines{}, 100};
            BOOST_CHECK_THROW(lines.put("two\nlines"), duet::session_error);
            co_await lines.write("one");
            BOOST_TEST(talk.peer.recv_available() == "one\n");
        });
}

BOOST_AUTO_TEST_CASE(a_write_that_cannot_be_says_so)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_stream messages{s, two, 100};
            co_await s.shutdown_send();
            auto const end = co_await outcome_of(awaited<void>(messages.write("late")));
            BOOST_TEST(end.code == errc::send_finished);
            BOOST_TEST(end.operation == "write");
            messages.put("late");
            co_await expect_error(awaited<message>(messages.next()), errc::send_finished);
            memory_session none;
            duet::frame_stream nothing{none, two, 100};
            BOOST_CHECK_EXCEPTION(
                nothing.put("x"), duet::session_error, [](auto const& error) { return error.code() == errc::closed; });
        });
}

// Who has put a message has gone on: if it is lost, the peer must not take the end for a clean one.
BOOST_AUTO_TEST_CASE(a_cut_that_loses_what_was_put_poisons)
{
    memory_talk talk{small_capacity};
    talk.peer.send_all("\0\1a\0\1b"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const filler = pattern(small_capacity);
            co_await write(s, filler);
            {
                duet::frame_stream messages{s, two, 100};
                co_await messages.next();
                messages.put("lost");
            }
            s.cancel();
            co_await settle();
            co_await expect_error(write(s, "more"), errc::send_poisoned);
        });
}

BOOST_AUTO_TEST_CASE(a_full_queue_refuses_a_write_but_not_what_was_put)
{
    memory_talk talk{small_capacity};
    talk.peer.send_all("\0\1a\0\1b"s);
    duet::session_options options;
    options.queue_limit = 1000;
    talk.play(options,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_stream messages{s, two, 100};
            co_await messages.next();
            messages.put("put");
            started<std::size_t> filling{executor, write(s, pattern(small_capacity + 1000))};
            co_await settle();
            auto const large = pattern(1000);
            started<void> writing{executor, awaited<void>(messages.write(large))};  // takes what was put along
            co_await expect_error(awaited<void>(messages.write(large)), errc::queue_full);
            auto const got = co_await talk.peer.receive_exactly(small_capacity + 1000 + 5 + 1002);
            BOOST_TEST((got.substr(small_capacity + 1000) == "\0\3put\x03\xe8"s + large));
            co_await filling.result();
            co_await writing.result();
        });
}
