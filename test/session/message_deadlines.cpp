// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Clients that are silent between messages, clients that stall in the middle of one, and the time of one call.

#define BOOST_TEST_MODULE session.message_deadlines
#include "session/memory_fixture.hpp"

#include "support/started.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::condition;
using duet::errc;

BOOST_AUTO_TEST_CASE(a_client_that_is_silent_between_messages_is_told_apart)
{
    memory_talk talk;
    talk.play(with({.next_message = 1min, .message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("question\n");
            std::string line;
            co_await s.read_until(line, "\n", 100);
            co_await talk.pause(10min);  // the program works
            co_await write(s, "answer");
            line.clear();
            auto const begin = talk.now();
            auto const end = co_await outcome_of(s.read_until(line, "\n", 100));
            BOOST_TEST((talk.now() - begin == 1min + tick));
            BOOST_TEST(end.code == errc::next_message_timed_out);
            BOOST_TEST(end.code == condition::timed_out);
            // Nothing is lost, and the session goes on.
            BOOST_TEST(s.close_reason() == close_reason::none);
            talk.peer.send_all("another\n");
            co_await s.read_until(line, "\n", 100);
            BOOST_TEST(line == "another\n");
        });
}

BOOST_AUTO_TEST_CASE(a_client_that_drips_is_cut_in_the_middle_of_its_message)
{
    for (bool const by_line : {true, false})
    {
        memory_talk talk;
        talk.play(with({.idle = 5s, .next_message = 1min, .message = 10s}),
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const reads = [&]() -> asio::awaitable<std::size_t>
                {
                    std::string line(100, '\0');
                    if (!by_line)
                        co_return co_await s.read(asio::buffer(line));
                    line.clear();
                    co_return co_await s.read_until(line, "\n", 100);
                };
                co_await talk.pause(30s);
                auto const begin = talk.now();
                started<std::size_t> reading{executor, reads()};
                co_await settle();
                for (int second = 0; second < 10; ++second)
                {
                    BOOST_TEST(!reading.done());
                    talk.peer.send_all("x");
                    co_await talk.pause(1s);
                }
                auto const end = co_await outcome_of(reading.result());
                BOOST_TEST((talk.now() - begin == 10s + tick));
                BOOST_TEST(end.code == errc::message_timed_out);
                BOOST_TEST(s.close_reason() == close_reason::timed_out);
            });
        BOOST_TEST(talk.peer.recv_all().error == ECONNRESET);
    }
}

// A length, and then a body that does not come: the whole of it is one message.
BOOST_AUTO_TEST_CASE(a_message_may_take_several_reads)
{
    memory_talk talk;
    talk.play(with({.next_message = 1min, .message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("head");
            std::string head(4, '\0');
            std::string body(100, '\0');
            auto const begin = talk.now();
            co_await s.read(asio::buffer(head));
            auto const end = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(body))));
            BOOST_TEST((talk.now() - begin == 10s + tick));
            BOOST_TEST(end.code == errc::message_timed_out);
        });
}

// The read that waited for the first byte of a message waits for its end from then on.
BOOST_AUTO_TEST_CASE(a_read_that_has_begun_waits_no_longer_for_the_next_message)
{
    memory_talk talk;
    talk.play(with({.next_message = 1min, .message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::string body(100, '\0');
            started<std::size_t> reading{executor, awaited<std::size_t>(s.read(asio::buffer(body)))};
            co_await talk.pause(30s);
            talk.peer.send_all("half");
            auto const begin = talk.now();
            auto const end = co_await outcome_of(reading.result());
            BOOST_TEST((talk.now() - begin == 10s + tick));
            BOOST_TEST(end.code == errc::message_timed_out);
        });
}

BOOST_AUTO_TEST_CASE(what_ends_a_message)
{
    for (int kind = 0; kind < 3; ++kind)
    {
        BOOST_TEST_CONTEXT("kind " << kind)
        {
            memory_talk talk;
            talk.play(with({.message = 10s}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    for (int count = 0; count < 3; ++count)
                    {
                        talk.peer.send_all("x");
                        if (kind == 0)
                            co_await awaited<bool>(s.wait_readable());
                        co_await read(s);
                        if (kind == 1)
                            co_await write(s, "y");
                        if (kind == 2)
                            s.message_received();
                        started<bool> silence{executor, awaited<bool>(s.wait_readable())};
                        co_await talk.pause(1min);
                        BOOST_TEST(s.close_reason() == close_reason::none);
                        s.cancel();
                        co_await outcome_of(silence.result());
                    }
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(one_call_has_a_time_of_its_own)
{
    memory_talk talk{small_capacity};
    std::string const data = pattern(stalling_size);
    talk.play({},
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer(10, '\0');
            std::string line;
            auto begin = talk.now();
            auto const passes = [&](auto const& end)
            {
                BOOST_TEST((talk.now() - begin == 5s + tick));
                BOOST_TEST(end.code == errc::call_timed_out);
                BOOST_TEST(end.code == condition::timed_out);
                begin = talk.now();
            };
            talk.peer.send_all("abc");
            auto const some = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer)).within(5s)));
            passes(some);
            BOOST_TEST(some.bytes == 3U);
            passes(co_await outcome_of(awaited<bool>(s.wait_readable().within(5s))));
            passes(co_await outcome_of(s.read_until(line, "\n", 100).within(5s)));
            passes(co_await outcome_of(s.read_all(line, 100).within(5s)));
            passes(co_await outcome_of(awaited<close_reason>(s.wait_peer_gone().within(5s))));
            passes(co_await outcome_of(awaited<void>(s.wait_finish_requested().within(5s))));
            // The session is as it was; what is in time is not told.
            talk.peer.send_all("d");
            auto const in_time = co_await s.read_some(asio::buffer(buffer)).within(5s);
            BOOST_TEST(in_time == 1U);
            auto const cut = co_await outcome_of(awaited<std::size_t>(s.write(asio::buffer(data)).within(5s)));
            passes(cut);
            BOOST_TEST(cut.bytes == s.bytes_sent());
            BOOST_TEST(s.send_state() == duet::send_state::failed);
            s.abort();
        });
}

BOOST_AUTO_TEST_CASE(close_and_delivered_have_a_time_of_their_own)
{
    memory_talk talk{small_capacity};
    talk.play(with({.close = 1h, .close_total = 1h}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, "x");
            auto const begin = talk.now();
            auto const delivered = co_await outcome_of(awaited<void>(s.delivered().within(5s)));
            BOOST_TEST(delivered.code == errc::call_timed_out);
            auto const closed = co_await outcome_of(awaited<duet::close_report>(s.close().within(5s)));
            BOOST_TEST(closed.code == errc::call_timed_out);
            BOOST_TEST((talk.now() - begin == 10s + 2 * tick));
            BOOST_TEST(s.close_reason() == close_reason::none);  // the close goes on
            talk.peer.recv_all();
            talk.peer.shutdown_write();
            auto const report = co_await s.close();
            BOOST_TEST(report.clean());
        });
}

BOOST_AUTO_TEST_CASE(an_empty_session_is_closed)
{
    memory_talk talk;
    talk.play({},
        [&](memory_session& first) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            memory_session second{std::move(first)};
            BOOST_TEST((first.get_executor() == executor));
            std::string text(10, '\0');
            auto const closed = [](auto const& end) { BOOST_TEST(end.code == errc::closed); };
            closed(co_await outcome_of(awaited<std::size_t>(first.read_some(asio::buffer(text)))));
            closed(co_await outcome_of(awaited<std::size_t>(first.read(asio::buffer(text)))));
            closed(co_await outcome_of(first.read_until(text, "\n", 100)));
            closed(co_await outcome_of(first.read_all(text, 100)));
            closed(co_await outcome_of(awaited<bool>(first.wait_readable())));
            closed(co_await outcome_of(awaited<std::size_t>(first.write(asio::buffer(text)))));
            closed(co_await outcome_of(awaited<void>(first.shutdown_send())));
            closed(co_await outcome_of(awaited<void>(first.delivered())));
            closed(co_await outcome_of(awaited<duet::close_report>(first.close())));
            closed(co_await outcome_of(awaited<close_reason>(first.wait_peer_gone())));
            closed(co_await outcome_of(awaited<void>(first.wait_finish_requested())));
            duet::error_code error;
            int calls = 0;
            first.async_read_some(asio::buffer(text), asio::bind_executor(executor,
                                                          [&](duet::error_code end, std::size_t)
                                                          {
                                                              ++calls;
                                                              BOOST_TEST((end == errc::closed));
                                                          }));
            co_await settle();
            BOOST_TEST(calls == 1);
            first.abort();
            first.cancel();
            first.request_finish();
            first.message_received();
            first.set_deadlines({});
            first.canceller().abort();
            BOOST_TEST(!first.finish_requested());
            BOOST_TEST((first.state() == duet::session_state::closed));
            BOOST_TEST((first.error() == errc::closed));
            BOOST_TEST((first.report().error == errc::closed));
            BOOST_TEST((first.close_reason() == close_reason::none));
            BOOST_TEST(first.bytes_sent() + first.bytes_received() == 0U);
            first.tcp_info(error);
            BOOST_TEST((error == asio::error::bad_descriptor));
            BOOST_CHECK_THROW(first.lowest_layer(), duet::session_error);
            BOOST_TEST((memory_session{std::move(second)}.get_executor() == executor));
        });
}
