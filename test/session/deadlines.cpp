// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Deadlines: which one ended what, what is left afterwards, that each passes at its time, and that progress restarts
// those which it should and no other. The deadline of a write is in write.cpp, what the kernel's part is in
// real_time.cpp.

#define BOOST_TEST_MODULE session.deadlines
#include <duet/session.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;

BOOST_AUTO_TEST_CASE(read_deadline_is_of_one_operation_and_leaves_the_session_alone)
{
    memory_talk talk;
    talk.play(with({.read = 40ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string line = "had ";
            std::string buffer(4, '\0');
            for (int kind = 0; kind < 6; ++kind)
            {
                auto const begin = talk.now();
                outcome end;
                if (kind == 0)
                    end = co_await outcome_of(read(s));
                else if (kind == 1)
                    end = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer))));
                else if (kind == 2)
                    end = co_await outcome_of(s.read_until(line, "\n", 100));
                else
                    end = co_await outcome_of(awaited<bool>(s.wait_readable()));
                BOOST_TEST((talk.now() - begin == 40ms + tick));
                BOOST_TEST(end.code == errc::read_timed_out);
                BOOST_TEST(end.code == condition::timed_out);
                BOOST_TEST(end.code != condition::cancelled);
                BOOST_TEST(end.code != condition::dead_peer);
                BOOST_TEST(end.bytes == 0U);
                BOOST_TEST(s.receive_state() == receive_state::open);
                BOOST_TEST(s.close_reason() == close_reason::none);
                BOOST_TEST(!s.error());
            }
            BOOST_TEST(line == "had ");
            talk.peer.send_all("late");
            auto const late = co_await read(s);
            BOOST_TEST(late == "late");
            auto const size = co_await write(s, "x");
            BOOST_TEST(size == 1U);
        });
}

BOOST_AUTO_TEST_CASE(a_dribbling_peer_does_not_stretch_the_read_deadline)
{
    for (int kind = 0; kind < 3; ++kind)
    {
        BOOST_TEST_CONTEXT("kind " << kind)
        {
            memory_talk talk;
            talk.play(with({.read = 150ms}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    bool stop = false;
                    auto dribble = [&]() -> asio::awaitable<void>
                    {
                        while (!stop)
                        {
                            talk.peer.send_all("x");
                            co_await talk.pause(5ms);
                        }
                    };
                    started<void> dribbling{executor, dribble()};
                    std::string data;
                    std::string buffer(1'000'000, '\0');
                    auto const begin = talk.now();
                    outcome end;
                    if (kind == 0)
                        end = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer))));
                    else if (kind == 1)
                        end = co_await outcome_of(s.read_until(data, "\n", 1'000'000));
                    else
                        end = co_await outcome_of(s.read_all(data, 1'000'000));
                    BOOST_TEST((talk.now() - begin == 150ms + tick));
                    BOOST_TEST(end.code == errc::read_timed_out);
                    BOOST_TEST(end.bytes == s.bytes_received());
                    BOOST_TEST(end.bytes > 0U);
                    if (kind != 0)
                        BOOST_TEST(data == std::string(end.bytes, 'x'));
                    stop = true;
                    co_await dribbling.result();
                });
        }
    }
}

// The timer that is still armed for one read is none of the next one's business.
BOOST_AUTO_TEST_CASE(a_stale_timer_does_not_end_the_next_operation)
{
    memory_talk talk;
    talk.play(with({.read = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            talk.peer.send_all("x");
            co_await read(s);  // the timer is armed, and its operation is over
            s.set_deadlines({.read = 0s, .idle = 0s, .half_closed = 0s});
            started<std::string> reading{executor, read(s)};
            co_await talk.pause(150ms);
            BOOST_TEST(!reading.done());
            talk.peer.send_all("y");
            auto const data = co_await reading.result();
            BOOST_TEST(data == "y");
        });
}

BOOST_AUTO_TEST_CASE(idle_is_no_byte_in_either_direction)
{
    memory_talk talk;
    auto const begin = talk.now();
    talk.play(with({.idle = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const end = co_await outcome_of(read(s));
            BOOST_TEST((talk.now() - begin == 60ms + tick));
            BOOST_TEST(end.code == errc::idle_timed_out);
            BOOST_TEST(s.close_reason() == close_reason::timed_out);
            // The first error stays.
            auto const later = co_await outcome_of(write(s, "x"));
            BOOST_TEST(later.code == errc::idle_timed_out);
        });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(what_is_sent_while_a_read_waits_keeps_a_session_from_being_idle)
{
    memory_talk talk;
    talk.play(with({.idle = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            for (int count = 0; count < 5; ++count)
            {
                co_await talk.pause(40ms);
                co_await write(s, "x");
            }
            auto const begin = talk.now();
            auto const end = co_await outcome_of(reading.result());
            BOOST_TEST(end.code == errc::idle_timed_out);
            BOOST_TEST((talk.now() - begin).count() >= std::chrono::nanoseconds{60ms}.count());
        });
}

// The deadlines of the peer count while an operation waits for it, and from the begin of that.
BOOST_AUTO_TEST_CASE(idle_and_first_message_count_while_an_operation_waits)
{
    for (bool const idle : {true, false})
    {
        BOOST_TEST_CONTEXT("idle " << idle)
        {
            memory_talk talk;
            duet::deadlines values;
            (idle ? values.idle : values.first_message) = 1min;
            talk.play(with(values),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    co_await talk.pause(10min);  // the program does something else
                    BOOST_TEST(s.close_reason() == close_reason::none);
                    auto const begin = talk.now();
                    auto const end = co_await outcome_of(awaited<bool>(s.wait_readable()));
                    BOOST_TEST((talk.now() - begin).count() == (idle ? 1min + tick : 0ns).count());
                    BOOST_TEST(s.close_reason() == close_reason::timed_out);
                    BOOST_TEST(end.code == (idle ? errc::idle_timed_out : errc::first_message_timed_out));
                });
        }
    }
}

// Three minutes of work between the client's FIN and the answer.
BOOST_AUTO_TEST_CASE(half_closed_does_not_count_while_the_program_works)
{
    memory_talk talk;
    talk.play({},
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("question");
            talk.peer.shutdown_write();
            std::string question;
            co_await s.read_all(question, 100);
            co_await talk.pause(3min);
            BOOST_TEST(s.close_reason() == close_reason::none);
            co_await write(s, "answer");
            BOOST_TEST(talk.peer.recv_exactly(6) == "answer");
            co_await talk.pause(3min);
            auto const report = co_await s.close();
            BOOST_TEST(report.clean());
        });
}

// A deadline that counts nothing is no work for the context.
BOOST_AUTO_TEST_CASE(a_session_that_nobody_waits_on_does_not_keep_its_context_running)
{
    asio::io_context context;
    auto ends = duet::testing::memory_stream::pair(context.get_executor());
    duet::session_options options;
    options.deadlines.idle = options.deadlines.first_message = options.deadlines.next_message = 1h;
    options.deadlines.message = 1h;
    memory_session one{std::move(ends.first), options};
    memory_session two{std::move(ends.second), options};
    char byte = 0;
    auto const ignore = [](auto const&...) {};
    one.read_some(asio::buffer(&byte, 1))(ignore);
    two.write(asio::buffer("x", 1))(ignore);
    auto const begin = std::chrono::steady_clock::now();
    context.run();
    BOOST_TEST((std::chrono::steady_clock::now() - begin < 30min));
    BOOST_TEST(one.bytes_received() == 1U);
}

// P08: one direction has ended, the other is busy, either way round: neither idle nor half-closed for too long.
BOOST_AUTO_TEST_CASE(P07_P08_a_one_way_transfer_is_not_idle)
{
    for (bool const we_send : {true, false})
    {
        BOOST_TEST_CONTEXT("we send " << we_send)
        {
            memory_talk talk;
            talk.play(with({.idle = 1min, .half_closed = 1min}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    if (we_send)
                    {
                        talk.peer.shutdown_write();
                        auto const fin = co_await read(s);
                        BOOST_TEST(fin.empty());
                    }
                    else
                        co_await s.shutdown_send();
                    for (std::size_t count = 1; count <= 4; ++count)
                    {
                        co_await talk.pause(1min);  // the deadline itself passes a tick later
                        if (we_send)
                        {
                            co_await write(s, "x");
                            BOOST_TEST(talk.peer.recv_exactly(1) == "x");
                        }
                        else
                        {
                            talk.peer.send_all("x");
                            co_await read(s);
                        }
                        BOOST_TEST(s.close_reason() == close_reason::none);
                        BOOST_TEST((we_send ? s.bytes_sent() : s.bytes_received()) == count);
                    }
                    // And then it is.
                    auto const last = talk.now();
                    co_await talk.ended(s);
                    BOOST_TEST((talk.now() - last == 1min + tick));
                    BOOST_TEST(s.close_reason() == close_reason::timed_out);
                    BOOST_TEST(s.error() == condition::timed_out);
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(P07_half_closed_in_both_mirrors)
{
    for (bool const by_us : {true, false})
    {
        BOOST_TEST_CONTEXT("by us " << by_us)
        {
            memory_talk talk;
            talk.play(with({.half_closed = 60ms}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const begin = talk.now();
                    if (by_us)
                        co_await s.shutdown_send();
                    else
                    {
                        talk.peer.shutdown_write();
                        co_await read(s);
                    }
                    co_await talk.ended(s);
                    BOOST_TEST((talk.now() - begin == 60ms + tick));
                    BOOST_TEST(s.error() == errc::half_closed_timed_out);
                    BOOST_TEST(s.close_reason() == close_reason::timed_out);
                });
        }
    }
}

// Both come with one event; the reads are within it, or find them when it is over.
BOOST_AUTO_TEST_CASE(P07_half_closed_by_a_fin_that_came_with_the_last_bytes)
{
    for (bool const later : {false, true})
    {
        BOOST_TEST_CONTEXT("later " << later)
        {
            memory_talk talk;
            talk.play(with({.half_closed = 60ms}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    asio::post(executor,
                        [&]
                        {
                            talk.peer.send_all("x");
                            talk.peer.shutdown_write();
                        });
                    auto const begin = talk.now();
                    if (later)
                    {
                        co_await s.wait_readable();
                        co_await asio::post(executor, asio::use_awaitable);
                    }
                    auto const last = co_await read(s);
                    BOOST_TEST(last == "x");
                    auto const fin = co_await read(s);
                    BOOST_TEST(fin.empty());
                    co_await talk.ended(s);
                    BOOST_TEST((talk.now() - begin == 60ms + tick));
                    BOOST_TEST(s.error() == errc::half_closed_timed_out);
                });
        }
    }
}

// With both directions open, or both ended, there is nothing half-closed.
BOOST_AUTO_TEST_CASE(half_closed_does_not_concern_open_or_finished_sessions)
{
    memory_talk talk;
    talk.play(with({.half_closed = 40ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await talk.pause(120ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
            talk.peer.shutdown_write();
            co_await read(s);
            co_await s.shutdown_send();
            co_await talk.pause(120ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
            BOOST_TEST(!s.error());
        });
}

BOOST_AUTO_TEST_CASE(first_message_is_absolute_and_met_by_a_whole_message)
{
    for (int kind = 0; kind < 6; ++kind)
    {
        BOOST_TEST_CONTEXT("kind " << kind)
        {
            memory_talk talk;
            talk.peer.send_all("abc\n");
            auto const begin = talk.now();
            talk.play(with({.first_message = 1min}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    std::string buffer(4, '\0');
                    std::string line;
                    if (kind == 0)
                        co_await s.read(asio::buffer(buffer));
                    else if (kind == 1)
                        co_await s.read_until(line, "\n", 100);
                    else
                        co_await read(s);
                    if (kind == 2)
                        s.first_message_received();
                    // kind 3: bytes alone are not a message
                    if (kind == 4)
                        co_await write(s, "answer");
                    if (kind == 5)
                        s.message_received();
                    auto const executor = co_await asio::this_coro::executor;
                    started<std::string> reading{executor, read(s)};
                    co_await talk.pause(1min + tick - 1ns - (talk.now() - begin));
                    BOOST_TEST(s.close_reason() == close_reason::none);
                    co_await talk.pause(kind == 3 ? 1ns : 2min);
                    s.cancel();
                    co_await outcome_of(reading.result());
                    BOOST_TEST(s.close_reason() == (kind == 3 ? close_reason::timed_out : close_reason::none));
                    if (kind == 3)
                        BOOST_TEST(s.error() == errc::first_message_timed_out);
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(deadlines_change_on_the_fly)
{
    struct
    {
        duet::deadlines values;
        errc expected;
        bool half_closed;
    } const rows[] = {
        {{.idle = 50ms}, errc::idle_timed_out, false},
        {{.half_closed = 50ms}, errc::half_closed_timed_out, true},
        {{.first_message = 50ms}, errc::first_message_timed_out, false},
        {{.close = 50ms}, errc::close_timed_out, false},
    };
    for (auto const& row : rows)
    {
        BOOST_TEST_CONTEXT(duet::make_error_code(row.expected).message())
        {
            memory_talk talk;
            talk.play(with({.close = 1h, .close_total = 1h}),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::optional<started<duet::close_report>> closing;
                    if (row.half_closed)
                        co_await s.shutdown_send();
                    if (row.expected == errc::close_timed_out)
                        closing.emplace(executor, close(s));
                    co_await settle();
                    auto const begin = talk.now();
                    s.set_deadlines(row.values);
                    if (closing)
                        co_await talk.ended(s);
                    else
                        co_await outcome_of(awaited<bool>(s.wait_readable()));
                    BOOST_TEST((talk.now() - begin == 50ms + tick));
                    BOOST_TEST(s.error() == row.expected);
                    if (closing)
                        co_await closing->result();
                });
        }
    }
    // And away again.
    memory_talk talk;
    talk.play(with({.idle = 80ms, .half_closed = 80ms, .first_message = 80ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            s.set_deadlines({.half_closed = 0s});
            co_await s.shutdown_send();
            co_await talk.pause(200ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
        });
}

// A message that was received stays received, whatever is set later.
BOOST_AUTO_TEST_CASE(first_message_cannot_be_asked_for_again)
{
    memory_talk talk;
    talk.peer.send_all("abcd");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer(4, '\0');
            co_await s.read(asio::buffer(buffer));
            s.set_deadlines({.first_message = 40ms});
            co_await talk.pause(150ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
        });
}

// Without deadlines there is nothing on the context but what the program asked for.
BOOST_AUTO_TEST_CASE(no_deadline_no_timer)
{
    duet::deadlines none;
    none.half_closed = none.close = none.close_total = none.dead_peer = 0s;
    asio::io_context context;  // on the system's clock, where a timer is work
    auto ends = duet::testing::memory_stream::pair(context.get_executor());
    memory_session const s{std::move(ends.first), with(none)};
    BOOST_TEST(context.poll() == 0U);
    BOOST_TEST(context.stopped());  // no work
}
