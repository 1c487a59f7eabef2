// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// close() of a connection that goes well: what it sends, waits for, discards and reports. What goes over the wire is in
// wire/; here the peer is a witness.
#define BOOST_TEST_MODULE session.close
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <chrono>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;
using duet::session_state;

BOOST_AUTO_TEST_SUITE(graceful)

BOOST_AUTO_TEST_CASE(close_is_clean_when_both_have_said_fin_and_everything_is_acknowledged)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, "hello");
            talk.peer.send_all("you");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "you");
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
            BOOST_TEST(report.clean());
            BOOST_TEST(!report.error);
            BOOST_TEST(report.receive == receive_state::ended);
            BOOST_TEST(report.send == send_state::finished);
            BOOST_TEST(report.bytes_sent == 5U);
            BOOST_TEST(report.bytes_received == 3U);
            BOOST_TEST(report.bytes_discarded == 0U);
            BOOST_TEST(report.bytes_unacknowledged == 0U);
            auto const all = co_await peer.result();
            BOOST_TEST(all.data == "hello");
            BOOST_TEST(all.error == 0);

            BOOST_TEST(s.state() == session_state::closed);
            BOOST_TEST(s.close_reason() == close_reason::clean);
            BOOST_TEST(s.report().reason == close_reason::clean);
        });
}

// Both have said FIN, and the peer has not read our last bytes: its TCP may still have to ask for them again.
BOOST_AUTO_TEST_CASE(close_waits_until_everything_is_acknowledged)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await write(s, "last words");
            talk.peer.shutdown_write();
            started<duet::close_report> closing{executor, close(s)};
            co_await talk.pause(1s);
            BOOST_TEST(!closing.done());
            BOOST_TEST(s.receive_state() == receive_state::ended);
            BOOST_TEST(talk.peer.recv_all().data == "last words");
            auto const report = co_await closing.result();
            BOOST_TEST(report.clean());
        });
}

BOOST_AUTO_TEST_CASE(close_answers_a_fin_that_was_read_before)
{
    memory_talk talk;
    talk.peer.send_all("last words");
    talk.peer.shutdown_write();
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const heard = co_await read_to_end(s);
            BOOST_TEST(heard.data == "last words");
            BOOST_TEST(!heard.code);
            BOOST_TEST(s.state() == session_state::half_closed_remote);
            co_await write(s, "answer");
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
            auto const all = co_await peer.result();
            BOOST_TEST(all.data == "answer");
            BOOST_TEST(all.error == 0);
        });
}

BOOST_AUTO_TEST_CASE(P01_unread_input_does_not_destroy_what_was_sent)
{
    memory_talk talk;
    auto const reply = pattern(64 * 1024);
    talk.peer.send_all(pattern(50'000));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, reply);
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::discarded_input);
            BOOST_TEST(report.clean());
            BOOST_TEST(!report.error);
            BOOST_TEST(report.bytes_discarded == 50'000U);
            BOOST_TEST(report.bytes_received == 0U);
            auto const all = co_await peer.result();
            BOOST_TEST((all.data == reply));
            BOOST_TEST(all.error == 0);
        });
}

BOOST_AUTO_TEST_CASE(P02_nor_behind_a_fin)
{
    memory_talk talk;
    auto const reply = pattern(64 * 1024);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, reply);
            co_await s.shutdown_send();
            talk.peer.send_all("unread");
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::discarded_input);
            BOOST_TEST(report.bytes_discarded == 6U);
            auto const all = co_await peer.result();
            BOOST_TEST((all.data == reply));
            BOOST_TEST(all.error == 0);
        });
}

BOOST_AUTO_TEST_CASE(close_flushes_queued_writes_before_its_fin)
{
    memory_talk talk{small_capacity};
    auto const first = pattern(stalling_size, 1);
    auto const second = pattern(100'000, 2);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> one{executor, write(s, first)};
            started<std::size_t> two{executor, write(s, second)};
            co_await settle();
            BOOST_TEST(!one.done());
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            BOOST_TEST(s.send_state() == send_state::finishing);
            // Accepted before close(): whole. Afterwards: refused.
            auto const late = co_await outcome_of(write(s, "late"));
            BOOST_TEST(late.code == errc::closed);
            auto const all = co_await talk.peer.receive_all_and_close();
            BOOST_TEST((all.data == first + second));
            BOOST_TEST(all.error == 0);
            auto const one_written = co_await one.result();
            auto const two_written = co_await two.result();
            BOOST_TEST(one_written == first.size());
            BOOST_TEST(two_written == second.size());
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::clean);
            BOOST_TEST(report.bytes_sent == first.size() + second.size());
        });
}

// A peer that sends before it reads would otherwise wait for us as we wait for it.
BOOST_AUTO_TEST_CASE(close_discards_input_while_it_flushes)
{
    memory_talk talk{small_capacity};
    auto const ours = pattern(stalling_size, 1);
    auto const theirs = pattern(4 * stalling_size, 2);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, ours)};
            auto const at_peer = [&]() -> asio::awaitable<received>
            {
                co_await talk.peer.send(theirs);
                auto const all = co_await talk.peer.receive_all_and_close();
                co_return all;
            };
            started<received> peer{executor, at_peer()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::discarded_input);
            BOOST_TEST(report.bytes_discarded == theirs.size());
            auto const all = co_await peer.result();
            BOOST_TEST((all.data == ours));
            auto const written = co_await writing.result();
            BOOST_TEST(written == ours.size());
        });
}

BOOST_AUTO_TEST_CASE(close_ends_a_pending_read_with_closed)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
            auto const end = co_await outcome_of(reading.result());
            BOOST_TEST(end.code == errc::closed);
            BOOST_TEST(end.code == condition::closed);
            BOOST_TEST(end.operation == "read_some");
            auto const all = co_await peer.result();
            BOOST_TEST(all.eof());
        });
}

// P39: each pending operation completes once, and close() last of all.
BOOST_AUTO_TEST_CASE(close_completes_every_kind_of_pending_operation)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<bool> readable{executor, awaited<bool>(s.wait_readable())};
            started<std::size_t> writing{executor, write(s, data)};
            started<void> finishing{executor, shutdown_send(s)};
            started<void> delivering{executor, awaited<void>(s.delivered())};
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            co_await settle();
            started<duet::close_report> closing{executor, close(s)};
            auto const all = co_await talk.peer.receive_all_and_close();
            BOOST_TEST((all.data == data));
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::clean);
            BOOST_TEST(writing.done());
            BOOST_TEST(finishing.done());
            auto const not_readable = co_await outcome_of(readable.result());
            BOOST_TEST(not_readable.code == errc::closed);
            auto const written = co_await writing.result();
            BOOST_TEST(written == data.size());
            co_await finishing.result();
            co_await delivering.result();
            auto const reason = co_await gone.result();
            BOOST_TEST(reason == close_reason::clean);
        });
}

// P13
BOOST_AUTO_TEST_CASE(close_may_be_called_again_and_several_times_at_once)
{
    memory_talk talk;
    talk.peer.send_all("unread");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> one{executor, close(s)};
            started<duet::close_report> two{executor, close(s)};
            co_await settle();
            BOOST_TEST(!one.done());
            BOOST_TEST(!two.done());
            talk.peer.close();
            auto const first = co_await one.result();
            auto const second = co_await two.result();
            auto const third = co_await s.close();
            for (auto const& each : {first, second, third})
            {
                BOOST_TEST(each.reason == close_reason::discarded_input);
                BOOST_TEST(each.bytes_discarded == 6U);
            }
        });
}

BOOST_AUTO_TEST_CASE(close_goes_on_by_itself_when_its_waiting_is_cancelled)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> one{executor, close(s)};
            started<duet::close_report> other{executor, close(s)};
            co_await settle();
            one.cancel();
            auto const end = co_await outcome_of(one.result());
            BOOST_TEST(end.code == condition::cancelled);
            BOOST_TEST(!other.done());
            talk.peer.close();
            // Nobody's waiting is needed for it to end.
            other.cancel();
            auto const other_end = co_await outcome_of(other.result());
            BOOST_TEST(other_end.code == condition::cancelled);
            co_await talk.ended(s);
            BOOST_TEST(s.close_reason() == close_reason::clean);
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
        });
}

BOOST_AUTO_TEST_CASE(cancelled_close_can_be_awaited_again)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> one{executor, close(s)};
            co_await settle();
            one.cancel();
            auto const end = co_await outcome_of(one.result());
            BOOST_TEST(end.code == condition::cancelled);
            started<received> peer{executor, talk.peer.receive_all_and_close()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
            auto const all = co_await peer.result();
            BOOST_TEST(all.eof());
        });
}

BOOST_AUTO_TEST_CASE(cancelled_close_can_be_aborted)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> one{executor, close(s)};
            co_await settle();
            one.cancel();
            auto const end = co_await outcome_of(one.result());
            BOOST_TEST(end.code == condition::cancelled);
            s.abort();
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::aborted);
        });
}

BOOST_AUTO_TEST_CASE(after_close_every_operation_is_an_error_and_every_accessor_answers)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const local = s.local_endpoint();
            auto const remote = s.remote_endpoint();
            talk.peer.close();
            auto const report = co_await s.close();
            BOOST_TEST(report.clean());

            std::string buffer(10, '\0');
            auto const a = co_await outcome_of(awaited<std::size_t>(s.read_some(asio::buffer(buffer))));
            auto const b = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer))));
            auto const c = co_await outcome_of(s.read_until(buffer, "\n", 100));
            auto const d = co_await outcome_of(s.read_all(100));
            auto const e = co_await outcome_of(awaited<bool>(s.wait_readable()));
            auto const f = co_await outcome_of(write(s, "x"));
            for (auto const& each : {a, b, c, d, e, f})
            {
                BOOST_TEST_INFO(each);
                BOOST_TEST(each.code == errc::closed);
            }
            BOOST_TEST(f.operation == "write");
            BOOST_TEST(d.operation == "read_all");
            // What was asked for has happened.
            co_await s.shutdown_send();
            co_await s.delivered();
            auto const gone = co_await s.wait_peer_gone();
            BOOST_TEST(gone == close_reason::clean);
            s.cancel();
            s.abort();
            s.request_finish();
            s.first_message_received();
            s.set_deadlines({.read = 1s, .idle = 1s, .dead_peer = 5s});
            BOOST_TEST(s.close_reason() == close_reason::clean);
            BOOST_TEST(s.error() == errc::closed);
            BOOST_TEST((s.local_endpoint() == local));
            BOOST_TEST((s.remote_endpoint() == remote));
            boost::system::error_code code;
            auto const info = s.tcp_info(code);
            BOOST_TEST(code == error::bad_descriptor);
            BOOST_TEST(info.state == duet::tcp_state::unknown);
        });
}

BOOST_AUTO_TEST_SUITE_END()
