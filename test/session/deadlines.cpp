// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Deadlines: which one ended what, what is left afterwards, that none is early, and that progress restarts those which
// it should and no other. Where a peer has to be in time, a play in which it was not is played again. The deadline of a
// write is in write.cpp.

#define BOOST_TEST_MODULE session.deadlines
#include <duet/session.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/pace.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <tuple>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;

namespace {

using both = std::tuple<duet::session, duet::unix_session>;
using clock_type = std::chrono::steady_clock;

constexpr auto slow = 400ms * sanitizer_factor;  // of which a live peer needs a twentieth

int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    BOOST_TEST(::getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

struct transferred
{
    std::size_t count = 0;
    clock_type::time_point last{};
};

/// From the peer, or to it where there is none given, for twice `slow`, or until the session ends.
template <class Session>
asio::awaitable<transferred> byte_by_byte(Session& s, raw_socket* from, pace& transfer)
{
    transferred result;
    auto const begin = clock_type::now();
    while (clock_type::now() - begin < 2 * slow && s.close_reason() == close_reason::none)
    {
        transfer.step();
        result.last = clock_type::now();
        ++result.count;
        if (from)
        {
            from->send_all("x");
            co_await outcome_of(read(s));
        }
        else
            co_await outcome_of(write(s, "x"));
        co_await pause(slow / 20);
    }
    transfer.step();
    co_return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(read_deadline_is_of_one_operation_and_leaves_the_session_alone, Session, both)
{
    conversation_with<Session> talk;
    talk.play(with({.read = 40ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            std::string line = "had ";
            std::string buffer(4, '\0');
            for (int kind = 0; kind < 4; ++kind)
            {
                auto const begin = clock_type::now();
                outcome end;
                if (kind == 0)
                    end = co_await outcome_of(read(s));
                else if (kind == 1)
                    end = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer))));
                else if (kind == 2)
                    end = co_await outcome_of(s.read_until(line, "\n", 100));
                else
                    end = co_await outcome_of(awaited<bool>(s.wait_readable()));
                BOOST_TEST((clock_type::now() - begin >= 40ms));
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
            tcp_talk talk;
            talk.play(with({.read = 150ms}),
                [&](duet::session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    bool stop = false;
                    auto dribble = [&]() -> asio::awaitable<void>
                    {
                        while (!stop)
                        {
                            talk.peer.send_all("x");
                            co_await pause(5ms);
                        }
                    };
                    started<void> dribbling{executor, dribble()};
                    std::string data;
                    std::string buffer(1'000'000, '\0');
                    auto const begin = clock_type::now();
                    outcome end;
                    if (kind == 0)
                        end = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer))));
                    else if (kind == 1)
                        end = co_await outcome_of(s.read_until(data, "\n", 1'000'000));
                    else
                        end = co_await outcome_of(s.read_all(data, 1'000'000));
                    BOOST_TEST((clock_type::now() - begin >= 150ms));
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
    tcp_talk talk;
    talk.play(with({.read = 60ms}),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            talk.peer.send_all("x");
            co_await read(s);  // the timer is armed, and its operation is over
            s.set_deadlines({.read = 0s, .idle = 0s, .half_closed = 0s});
            auto const begin = clock_type::now();
            started<std::string> reading{executor, read(s)};
            co_await until([&] { return clock_type::now() - begin > 150ms; }, "time passes");
            BOOST_TEST(!reading.done());
            talk.peer.send_all("y");
            auto const data = co_await reading.result();
            BOOST_TEST(data == "y");
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(idle_is_no_byte_in_either_direction, Session, both)
{
    conversation_with<Session> talk;
    auto const begin = clock_type::now();
    talk.play(with({.idle = 60ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const end = co_await outcome_of(read(s));
            BOOST_TEST((clock_type::now() - begin >= 60ms));
            BOOST_TEST(end.code == errc::idle_timed_out);
            BOOST_TEST(s.close_reason() == close_reason::timed_out);
            // The first error stays.
            auto const later = co_await outcome_of(write(s, "x"));
            BOOST_TEST(later.code == errc::idle_timed_out);
        });
    if constexpr (std::is_same_v<Session, duet::session>)
    {
        auto const all = talk.peer.recv_all();
        BOOST_TEST(all.error == ECONNRESET);
    }
}

// A session on which nothing was ever begun.
BOOST_AUTO_TEST_CASE(idle_and_first_message_need_no_operation)
{
    for (bool const idle : {true, false})
    {
        BOOST_TEST_CONTEXT("idle " << idle)
        {
            tcp_talk talk;
            duet::deadlines values;
            (idle ? values.idle : values.first_message) = 50ms;
            talk.play(with(values),
                [&](duet::session& s) -> asio::awaitable<void>
                {
                    co_await until([&] { return s.close_reason() != close_reason::none; }, "it ends");
                    BOOST_TEST(s.close_reason() == close_reason::timed_out);
                    BOOST_TEST(s.error() == (idle ? errc::idle_timed_out : errc::first_message_timed_out));
                });
        }
    }
}

// P08: one direction has ended, the other is busy, either way round: neither idle nor half-closed for too long.
BOOST_AUTO_TEST_CASE_TEMPLATE(P07_P08_a_one_way_transfer_is_not_idle, Session, both)
{
    for (bool const we_send : {true, false})
    {
        BOOST_TEST_CONTEXT("we send " << we_send)
        {
            for (pace transfer{slow}; transfer.is_to_play();)
            {
                conversation_with<Session> talk;
                talk.play(with({.idle = slow, .half_closed = slow}),
                    [&](Session& s) -> asio::awaitable<void>
                    {
                        if (we_send)
                        {
                            talk.peer.shutdown_write();
                            auto const fin = co_await read(s);
                            BOOST_TEST(fin.empty());
                        }
                        else
                            co_await s.shutdown_send();
                        auto const said = co_await byte_by_byte(s, we_send ? nullptr : &talk.peer, transfer);
                        if (!transfer.kept())
                            co_return;
                        BOOST_TEST(s.close_reason() == close_reason::none);
                        BOOST_TEST((we_send ? s.bytes_sent() : s.bytes_received()) == said.count);
                        // And then it is.
                        co_await until([&] { return s.close_reason() != close_reason::none; }, "it ends");
                        BOOST_TEST((clock_type::now() - said.last + slow / 10 >= slow));
                        BOOST_TEST(s.close_reason() == close_reason::timed_out);
                        BOOST_TEST(s.error() == condition::timed_out);
                    });
            }
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(P07_half_closed_in_both_mirrors, Session, both)
{
    for (bool const by_us : {true, false})
    {
        BOOST_TEST_CONTEXT("by us " << by_us)
        {
            conversation_with<Session> talk;
            talk.play(with({.half_closed = 60ms}),
                [&](Session& s) -> asio::awaitable<void>
                {
                    auto const begin = clock_type::now();
                    if (by_us)
                        co_await s.shutdown_send();
                    else
                    {
                        talk.peer.shutdown_write();
                        co_await read(s);
                    }
                    co_await until([&] { return s.close_reason() != close_reason::none; }, "it ends");
                    BOOST_TEST((clock_type::now() - begin >= 60ms));
                    BOOST_TEST(s.error() == errc::half_closed_timed_out);
                    BOOST_TEST(s.close_reason() == close_reason::timed_out);
                });
        }
    }
}

// Both come with one event; the reads are within it, or find them when it is over.
BOOST_AUTO_TEST_CASE_TEMPLATE(P07_half_closed_by_a_fin_that_came_with_the_last_bytes, Session, both)
{
    for (bool const later : {false, true})
    {
        BOOST_TEST_CONTEXT("later " << later)
        {
            conversation_with<Session> talk;
            talk.play(with({.half_closed = 60ms}),
                [&](Session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    asio::post(executor,
                        [&]
                        {
                            talk.peer.send_all("x");
                            talk.peer.shutdown_write();
                        });
                    auto const begin = clock_type::now();
                    if (later)
                    {
                        co_await s.wait_readable();
                        co_await asio::post(executor, asio::use_awaitable);
                    }
                    auto const last = co_await read(s);
                    BOOST_TEST(last == "x");
                    auto const fin = co_await read(s);
                    BOOST_TEST(fin.empty());
                    co_await until([&] { return s.close_reason() != close_reason::none; }, "it ends");
                    BOOST_TEST((clock_type::now() - begin >= 60ms));
                    BOOST_TEST(s.error() == errc::half_closed_timed_out);
                });
        }
    }
}

// With both directions open, or both ended, there is nothing half-closed.
BOOST_AUTO_TEST_CASE(half_closed_does_not_concern_open_or_finished_sessions)
{
    tcp_talk talk;
    talk.play(with({.half_closed = 40ms}),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await pause(120ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
            talk.peer.shutdown_write();
            co_await read(s);
            co_await s.shutdown_send();
            co_await pause(120ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
            BOOST_TEST(!s.error());
        });
}

BOOST_AUTO_TEST_CASE(first_message_is_absolute_and_met_by_a_whole_message)
{
    for (int kind = 0; kind < 4; ++kind)
    {
        BOOST_TEST_CONTEXT("kind " << kind)
        {
            tcp_talk talk;
            talk.peer.send_all("abc\n");
            auto const begin = clock_type::now();
            talk.play(with({.first_message = slow}),
                [&](duet::session& s) -> asio::awaitable<void>
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
                    co_await until([&]
                        { return s.close_reason() != close_reason::none || clock_type::now() - begin > 2 * slow; },
                        "time passes");
                    BOOST_TEST((clock_type::now() - begin >= slow));
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
            tcp_talk talk;
            talk.play(with({.close = 1h, .close_total = 1h}),
                [&](duet::session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::optional<started<duet::close_report>> closing;
                    if (row.half_closed)
                        co_await s.shutdown_send();
                    if (row.expected == errc::close_timed_out)
                        closing.emplace(executor, close(s));
                    co_await settle();
                    auto const begin = clock_type::now();
                    s.set_deadlines(row.values);
                    co_await until([&] { return s.close_reason() != close_reason::none; }, "it ends");
                    BOOST_TEST((clock_type::now() - begin >= 50ms));
                    BOOST_TEST(s.error() == row.expected);
                    if (closing)
                        co_await closing->result();
                });
        }
    }
    // And away again.
    tcp_talk talk;
    talk.play(with({.idle = 80ms, .half_closed = 80ms, .first_message = 80ms}),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            s.set_deadlines({.half_closed = 0s});
            co_await s.shutdown_send();
            co_await pause(200ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
        });
}

// A message that was received stays received, whatever is set later.
BOOST_AUTO_TEST_CASE(first_message_cannot_be_asked_for_again)
{
    tcp_talk talk;
    talk.peer.send_all("abcd");
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            std::string buffer(4, '\0');
            co_await s.read(asio::buffer(buffer));
            s.set_deadlines({.first_message = 40ms});
            co_await pause(150ms);
            BOOST_TEST(s.close_reason() == close_reason::none);
        });
}

// P32: both options, and both follow. (Real death: wire/.)
BOOST_AUTO_TEST_CASE(P32_dead_peer_sets_keepalive_and_user_timeout)
{
    tcp_talk talk;
    talk.play(with({.dead_peer = 20s}),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const fd = s.native_handle();
            BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 20'000);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 10);
            int const probes = option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT);
            BOOST_TEST(probes <= 10);
            BOOST_TEST(probes >= 5);
            auto values = s.deadlines();
            values.dead_peer = 40s;
            s.set_deadlines(values);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 40'000);
            values.dead_peer = 0s;
            s.set_deadlines(values);
            BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
            co_return;
        });
}

// Without deadlines there is nothing on the context but what the program asked for.
BOOST_AUTO_TEST_CASE(no_deadline_no_timer)
{
    tcp_talk talk;
    duet::deadlines none;
    none.half_closed = none.close = none.close_total = none.dead_peer = 0s;
    auto s = talk.make(with(none));
    talk.context.restart();
    BOOST_TEST(talk.context.poll() == 0U);
    BOOST_TEST(talk.context.stopped());  // no work
}
