// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The ends of a session: close() with its deadlines and its report, abort(), the destructor. What each puts on the wire
// is in wire/; here the peer is a witness.

#define BOOST_TEST_MODULE session.close
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/pace.hpp"

#include <cerrno>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;
using duet::session_state;

namespace {

using clock_type = std::chrono::steady_clock;

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;

// What a peer sees that reads to the end and then closes.
received read_all_and_close(raw_socket& peer)
{
    auto all = peer.recv_all();
    peer.close();
    return all;
}

// The same, but a little at a time until then, and of `size` bytes some are left: slow for longer than a deadline, and
// never as long without reading.
received read_slowly(raw_socket& peer, pace& reader, clock_type::time_point until, std::size_t size)
{
    received all;
    while (clock_type::now() < until)
    {
        reader.step();
        all.data += peer.recv_some(4 * 1024).data;
        ::poll(nullptr, 0, 20 * sanitizer_factor);
    }
    reader.step();
    if (all.data.size() >= size)
        throw std::runtime_error{"the peer has read everything before the deadline"};
    auto const rest = read_all_and_close(peer);
    return received{all.data + rest.data, rest.error};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(graceful)

BOOST_AUTO_TEST_CASE_TEMPLATE(close_is_clean_when_both_have_said_fin_and_everything_is_acknowledged, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, "hello");
            talk.peer.send_all("you");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "you");
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, in_thread(at_peer)};
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

BOOST_AUTO_TEST_CASE_TEMPLATE(close_answers_a_fin_that_was_read_before, Session, both)
{
    conversation_with<Session> talk;
    talk.peer.send_all("last words");
    talk.peer.shutdown_write();
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const heard = co_await read_to_end(s);
            BOOST_TEST(heard.data == "last words");
            BOOST_TEST(!heard.code);
            BOOST_TEST(s.state() == session_state::half_closed_remote);
            co_await write(s, "answer");
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
            auto const all = co_await peer.result();
            BOOST_TEST(all.data == "answer");
            BOOST_TEST(all.error == 0);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(P01_unread_input_does_not_destroy_what_was_sent, Session, both)
{
    conversation_with<Session> talk;
    auto const reply = pattern(64 * 1024);
    talk.peer.send_all(pattern(50'000));
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, reply);
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, in_thread(at_peer)};
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

BOOST_AUTO_TEST_CASE_TEMPLATE(P02_nor_behind_a_fin, Session, both)
{
    conversation_with<Session> talk;
    auto const reply = pattern(64 * 1024);
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, reply);
            co_await s.shutdown_send();
            talk.peer.send_all("unread");
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            auto const executor = co_await asio::this_coro::executor;
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::discarded_input);
            BOOST_TEST(report.bytes_discarded == 6U);
            auto const all = co_await peer.result();
            BOOST_TEST((all.data == reply));
            BOOST_TEST(all.error == 0);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_flushes_queued_writes_before_its_fin, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const first = pattern(long_write, 1);
    auto const second = pattern(100'000, 2);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
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
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            auto const all = co_await in_thread(at_peer);
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
BOOST_AUTO_TEST_CASE_TEMPLATE(close_discards_input_while_it_flushes, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const ours = pattern(long_write, 1);
    auto const theirs = pattern(4 * long_write, 2);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, ours)};
            auto const at_peer = [&]
            {
                talk.peer.send_all(theirs);
                return read_all_and_close(talk.peer);
            };
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::discarded_input);
            BOOST_TEST(report.bytes_discarded == theirs.size());
            auto const all = co_await peer.result();
            BOOST_TEST((all.data == ours));
            auto const written = co_await writing.result();
            BOOST_TEST(written == ours.size());
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_ends_a_pending_read_with_closed, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            started<received> peer{executor, in_thread(at_peer)};
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
BOOST_AUTO_TEST_CASE_TEMPLATE(close_completes_every_kind_of_pending_operation, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<bool> readable{executor, awaited<bool>(s.wait_readable())};
            started<std::size_t> writing{executor, write(s, data)};
            started<void> finishing{executor, shutdown_send(s)};
            started<void> delivering{executor, awaited<void>(s.delivered())};
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            co_await settle();
            started<duet::close_report> closing{executor, close(s)};
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            auto const all = co_await in_thread(at_peer);
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
BOOST_AUTO_TEST_CASE_TEMPLATE(close_may_be_called_again_and_several_times_at_once, Session, both)
{
    conversation_with<Session> talk;
    talk.peer.send_all("unread");
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE_TEMPLATE(close_goes_on_by_itself_when_its_waiting_is_cancelled, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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
            co_await until([&] { return s.close_reason() != close_reason::none; }, "the close ends by itself");
            BOOST_TEST(s.close_reason() == close_reason::clean);
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_close_can_be_awaited_again, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> one{executor, close(s)};
            co_await settle();
            one.cancel();
            auto const end = co_await outcome_of(one.result());
            BOOST_TEST(end.code == condition::cancelled);
            auto const at_peer = [&] { return read_all_and_close(talk.peer); };
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::clean);
            auto const all = co_await peer.result();
            BOOST_TEST(all.eof());
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_close_can_be_aborted, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE_TEMPLATE(after_close_every_operation_is_an_error_and_every_accessor_answers, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_SUITE(limits)

// P03: a deadline that began before the flush, or that is not restarted by progress, cuts a slow reader off.
BOOST_AUTO_TEST_CASE_TEMPLATE(P03_progress_restarts_the_deadline_of_close, Session, both)
{
    auto const data = pattern(long_write);
    auto const limit = 500ms * sanitizer_factor;
    for (pace reader{limit}; reader.is_to_play();)
    {
        conversation_with<Session> talk{small_window};
        talk.play(stalling({.close = limit, .close_total = 1h}),
            [&](Session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                started<std::size_t> writing{executor, write(s, data)};
                co_await settle();
                auto const begin = clock_type::now();
                auto const at_peer = [&] { return read_slowly(talk.peer, reader, begin + 2 * limit, data.size()); };
                started<received> peer{executor, in_thread(at_peer)};
                auto const report = co_await s.close();
                auto const took = clock_type::now() - begin;
                auto const all = co_await peer.result();
                auto const written = co_await outcome_of(writing.result());
                if (!reader.kept())
                    co_return;
                BOOST_TEST(report.reason == close_reason::clean);
                BOOST_TEST((took >= 2 * limit));
                BOOST_TEST((all.data == data));
                BOOST_TEST(all.error == 0);
                BOOST_TEST(written.ok());
            });
    }
}

// P03: the same when every byte is already in the kernel's buffer, so that no call of ours tells of the progress.
BOOST_AUTO_TEST_CASE_TEMPLATE(P03_bytes_leaving_the_kernels_buffer_are_progress, Session, both)
{
    auto const data = pattern(200'000);
    auto const limit = 400ms * sanitizer_factor;
    duet::session_options options = with({.close = limit, .close_total = 1h});
    options.send_buffer_size = 1 << 20;
    for (pace reader{limit}; reader.is_to_play();)
    {
        conversation_with<Session> talk{small_window};
        talk.play(options,
            [&](Session& s) -> asio::awaitable<void>
            {
                auto const written = co_await write(s, data);
                BOOST_TEST(written == data.size());
                auto const executor = co_await asio::this_coro::executor;
                auto const begin = clock_type::now();
                auto const at_peer = [&] { return read_slowly(talk.peer, reader, begin + 2 * limit, data.size()); };
                started<received> peer{executor, in_thread(at_peer)};
                auto const report = co_await s.close();
                auto const all = co_await peer.result();
                if (!reader.kept())
                    co_return;
                BOOST_TEST(report.reason == close_reason::clean);
                BOOST_TEST((all.data == data));
                BOOST_TEST(all.error == 0);
            });
    }
}

// P30: close() must not be a way to hold a connection forever.
BOOST_AUTO_TEST_CASE_TEMPLATE(P30_close_total_ends_it_in_spite_of_progress, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(16 * long_write);
    talk.play(stalling({.close = 1h, .close_total = 150ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            auto const begin = clock_type::now();
            auto const at_peer = [&]
            {
                received all;
                for (;;)
                {
                    auto const part = talk.peer.recv_some(4 * 1024);
                    all.data += part.data;
                    all.error = part.error;
                    if (part.data.empty())
                        return all;
                    ::poll(nullptr, 0, 2);
                }
            };
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST((clock_type::now() - begin >= 150ms));
            BOOST_TEST(report.reason == close_reason::timed_out);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(report.error == condition::timed_out);
            BOOST_TEST(!report.clean());
            BOOST_TEST(report.send == send_state::failed);
            BOOST_TEST(report.bytes_sent < data.size());
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST(end.code == errc::close_timed_out);
            BOOST_TEST(end.bytes == report.bytes_sent);
            auto const all = co_await peer.result();
            BOOST_TEST(all.data.size() < data.size());
            if constexpr (std::is_same_v<Session, duet::session>)  // Unix-domain sockets have no RST
                BOOST_TEST(all.error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(P30_close_gives_up_on_a_peer_that_never_reads, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling({.close = 60ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            auto const begin = clock_type::now();
            auto const report = co_await s.close();
            BOOST_TEST((clock_type::now() - begin >= 60ms));
            BOOST_TEST(report.reason == close_reason::timed_out);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(report.bytes_unacknowledged > 0U);
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST(end.code == errc::close_timed_out);
            auto const fin = co_await outcome_of(finishing.result());
            BOOST_TEST(fin.code == errc::close_timed_out);
            // The first error stays.
            auto const later = co_await outcome_of(write(s, "x"));
            BOOST_TEST(later.code == errc::close_timed_out);
        });
}

// P07
BOOST_AUTO_TEST_CASE_TEMPLATE(close_gives_up_on_a_peer_that_never_closes, Session, both)
{
    conversation_with<Session> talk;
    talk.play(with({.close = 60ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, "bye");
            co_await s.shutdown_send();
            // It reads, and hears our FIN, but says none itself.
            auto const at_peer = [&] { return talk.peer.recv_all(); };
            auto const heard = co_await in_thread(at_peer);
            BOOST_TEST(heard.data == "bye");
            BOOST_TEST(heard.error == 0);
            co_await s.delivered();
            auto const begin = clock_type::now();
            auto const report = co_await s.close();
            BOOST_TEST((clock_type::now() - begin >= 60ms));
            BOOST_TEST(report.reason == close_reason::timed_out);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(report.send == send_state::finished);
            BOOST_TEST(report.receive == receive_state::failed);
            BOOST_TEST(report.bytes_unacknowledged == 0U);
        });
}

// What we had said already is whole: discarding input is progress, and the peer's FIN ends it.
BOOST_AUTO_TEST_CASE_TEMPLATE(input_restarts_the_deadline_of_close, Session, both)
{
    auto const limit = 300ms * sanitizer_factor;
    for (pace sender{limit}; sender.is_to_play();)
    {
        conversation_with<Session> talk;
        talk.play(with({.close = limit, .close_total = 1h}),
            [&](Session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const begin = clock_type::now();
                std::size_t said = 0;
                auto const at_peer = [&]
                {
                    while (clock_type::now() - begin < 2 * limit)
                    {
                        sender.step();
                        said += talk.peer.send_some("x").size;
                        ::poll(nullptr, 0, 10);
                    }
                    sender.step();
                    talk.peer.close();
                };
                started<void> peer{executor, in_thread(at_peer)};
                auto const report = co_await s.close();
                co_await peer.result();
                if (!sender.kept())
                    co_return;
                BOOST_TEST(report.reason == close_reason::discarded_input);
                BOOST_TEST(report.bytes_discarded == said);
            });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(discard_limit_is_exact, Session, both)
{
    constexpr auto no_limit = std::numeric_limits<std::size_t>::max();
    struct
    {
        std::size_t limit;
        std::size_t size;
        bool clean;
    } const rows[] = {
        {0, 0, true},
        {0, 1, false},
        {1000, 1000, true},
        {1000, 1001, false},
        {400'000, 400'000, true},
        {400'000, 400'001, false},
        {no_limit, 400'000, true},
        {no_limit - 1, 10, true},
    };
    for (auto const& row : rows)
    {
        BOOST_TEST_CONTEXT("limit " << row.limit << ", " << row.size << " bytes")
        {
            conversation_with<Session> talk;
            duet::session_options options;
            options.close_discard_limit = row.limit;
            talk.play(options,
                [&](Session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::string const data = pattern(row.size);
                    auto const at_peer = [&]
                    {
                        std::size_t sent = 0;
                        while (sent < data.size())
                        {
                            auto const part = talk.peer.send_some(std::string_view{data}.substr(sent));
                            if (part.error != 0)
                                break;
                            sent += part.size;
                        }
                        static_cast<void>(talk.peer.shutdown(SHUT_WR));
                    };
                    started<void> peer{executor, in_thread(at_peer)};
                    auto const report = co_await s.close();
                    co_await peer.result();
                    if (row.clean)
                    {
                        BOOST_TEST(
                            report.reason == (row.size == 0 ? close_reason::clean : close_reason::discarded_input));
                        BOOST_TEST(report.bytes_discarded == row.size);
                        BOOST_TEST(report.receive == receive_state::ended);
                    }
                    else
                    {
                        BOOST_TEST(report.reason == close_reason::discard_limit);
                        BOOST_TEST(!report.clean());
                        BOOST_TEST(report.bytes_discarded == row.limit + 1);
                        BOOST_TEST(report.receive == receive_state::failed);
                        BOOST_TEST(!!report.error);
                    }
                });
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(broken)

BOOST_AUTO_TEST_CASE(peer_resets_while_we_close)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            talk.peer.reset();
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == error::connection_reset);
            BOOST_TEST(report.receive == receive_state::failed);
        });
}

BOOST_AUTO_TEST_CASE(peer_resets_while_we_flush)
{
    tcp_talk talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            talk.peer.reset();
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == condition::reset);
            BOOST_TEST(report.send == send_state::failed);
            BOOST_TEST(report.bytes_unacknowledged > 0U);
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST(end.code == condition::reset);
            BOOST_TEST(end.bytes == report.bytes_sent);
            BOOST_TEST(end.bytes < data.size());
        });
}

// P19: after the peer's FIN no read would tell of the reset any more; the acknowledgement of our last words is missing.
BOOST_AUTO_TEST_CASE(P19_peer_resets_after_its_fin_while_we_close)
{
    tcp_talk talk{small_window};
    auto const data = pattern(100'000);
    duet::session_options options;
    options.send_buffer_size = 1 << 20;
    talk.play(options,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end.empty());
            co_await write(s, data);  // more than the peer's window takes
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            BOOST_TEST(!closing.done());
            talk.peer.reset();
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == condition::reset);
            BOOST_TEST(report.bytes_unacknowledged > 0U);
        });
}

// The peer closes without having read what we sent: that is a reset, and close() must not call it clean.
BOOST_AUTO_TEST_CASE_TEMPLATE(peer_closes_with_our_bytes_unread, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, "unheard");
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            talk.peer.close();
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == condition::reset);
        });
}

BOOST_AUTO_TEST_CASE(close_after_a_reset_tells_of_it)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.reset();
            auto const end = co_await outcome_of(read(s));
            BOOST_TEST(end.code == condition::reset);
            BOOST_TEST(s.close_reason() == close_reason::peer_reset);
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == error::connection_reset);
        });
}

// A reset that nobody has met yet.
BOOST_AUTO_TEST_CASE(close_finds_a_reset)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.reset();
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == error::connection_reset);
        });
}

// Nothing is unacknowledged, the FIN was read, and ours finds nobody: no read and no write would tell.
BOOST_AUTO_TEST_CASE(close_finds_a_reset_behind_the_peers_fin)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end.empty());
            talk.peer.reset();
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == condition::reset);
        });
}

BOOST_AUTO_TEST_CASE(close_after_a_failed_write_tells_of_it)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.close();
            co_await write(s, "first");  // P43: succeeds
            co_await until([&] { return poll_text(s.native_handle()).find("ERR") != std::string::npos; }, "the reset");
            auto const second = co_await outcome_of(write(s, "second"));
            BOOST_TEST(second.code == condition::reset);
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == condition::reset);
        });
}

// The cut write's stump must not look whole: RST, not FIN.
BOOST_AUTO_TEST_CASE(P41_close_after_a_write_that_was_cut_resets)
{
    tcp_talk talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            writing.cancel();
            auto const cut = co_await outcome_of(writing.result());
            BOOST_TEST(cut.code == condition::cancelled);
            BOOST_TEST(cut.bytes > 0U);
            BOOST_TEST(s.send_state() == send_state::failed);
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::aborted);
            BOOST_TEST(report.error == errc::aborted);
            auto const all = talk.peer.recv_all();
            BOOST_TEST(all.error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_CASE(write_cut_while_closing_resets)
{
    tcp_talk talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            writing.cancel();
            auto const cut = co_await outcome_of(writing.result());
            BOOST_TEST(cut.code == condition::cancelled);
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::aborted);
            auto const all = talk.peer.recv_all();
            BOOST_TEST(all.error == ECONNRESET);
        });
}

// No byte of the second write was taken when it ended; a FIN now would still hide that something is missing.
BOOST_AUTO_TEST_CASE(write_that_a_fin_waited_for_does_not_vanish_behind_it)
{
    tcp_talk talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> first{executor, write(s, data)};
            started<std::size_t> second{executor, write(s, "the point of it all")};
            co_await settle();
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            second.cancel();
            auto const end = co_await outcome_of(second.result());
            BOOST_TEST(end.code == condition::cancelled);
            BOOST_TEST(end.bytes == 0U);
            auto const fin = co_await outcome_of(finishing.result());
            BOOST_TEST(fin.code == errc::send_poisoned);
            auto const at_peer = [&] { return talk.peer.recv_all(); };
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::aborted);
            auto const all = co_await peer.result();
            BOOST_TEST(all.error == ECONNRESET);
            auto const stump = co_await outcome_of(first.result());
            BOOST_TEST(!stump.ok());
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(aborting)

// P16: an explicit reset. Asio's linger{true, 0} and destructor would send FIN.
BOOST_AUTO_TEST_CASE(P16_abort_resets)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await write(s, "an answer that failed");
            s.abort();
            BOOST_TEST(s.state() == session_state::closed);
            BOOST_TEST(s.close_reason() == close_reason::aborted);
            BOOST_TEST(s.error() == errc::aborted);
            auto const all = talk.peer.recv_all();
            BOOST_TEST(all.error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(abort_ends_every_kind_of_pending_operation_with_aborted, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            started<std::size_t> one{executor, write(s, data)};
            started<std::size_t> two{executor, write(s, "queued")};
            started<void> finishing{executor, shutdown_send(s)};
            started<void> delivering{executor, awaited<void>(s.delivered())};
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            co_await settle();
            s.abort();
            auto const a = co_await outcome_of(reading.result());
            auto const b = co_await outcome_of(one.result());
            auto const c = co_await outcome_of(two.result());
            auto const d = co_await outcome_of(finishing.result());
            auto const e = co_await outcome_of(delivering.result());
            for (auto const& each : {a, b, c, d, e})
            {
                BOOST_TEST_INFO(each);
                BOOST_TEST(each.code == errc::aborted);
            }
            BOOST_TEST(b.bytes > 0U);
            BOOST_TEST(c.bytes == 0U);
            auto const reason = co_await gone.result();
            BOOST_TEST(reason == close_reason::aborted);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(abort_ends_a_close, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            s.abort();
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::aborted);
            BOOST_TEST(report.error == errc::aborted);
        });
}

// P13
BOOST_AUTO_TEST_CASE_TEMPLATE(abort_may_be_repeated_and_followed_by_anything, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            s.abort();
            s.abort();
            auto const a = co_await outcome_of(shutdown_send(s));
            BOOST_TEST(a.code == errc::aborted);
            auto const b = co_await outcome_of(write(s, "x"));
            BOOST_TEST(b.code == errc::aborted);
            auto const c = co_await outcome_of(read(s));
            BOOST_TEST(c.code == errc::aborted);
            auto const d = co_await outcome_of(awaited<void>(s.delivered()));
            BOOST_TEST(d.code == errc::aborted);
            auto const gone = co_await s.wait_peer_gone();
            BOOST_TEST(gone == close_reason::aborted);
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::aborted);
            BOOST_TEST(report.error == errc::aborted);
        });
}

BOOST_AUTO_TEST_CASE(abort_after_a_fin_still_ends_at_once)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await write(s, "x");
            co_await s.shutdown_send();
            s.abort();
            BOOST_TEST(s.close_reason() == close_reason::aborted);
            co_await s.shutdown_send();  // the FIN is out: idempotent
        });
}

// The first cause stays.
BOOST_AUTO_TEST_CASE(P17_abort_after_a_reset_keeps_the_reset)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.reset();
            auto const end = co_await outcome_of(read(s));
            BOOST_TEST(end.code == condition::reset);
            s.abort();
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::peer_reset);
            BOOST_TEST(report.error == error::connection_reset);
            auto const later = co_await outcome_of(write(s, "x"));
            BOOST_TEST(later.code == error::connection_reset);
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(destruction)

// P05: what was written is not lost, but nobody waits for it.
BOOST_AUTO_TEST_CASE_TEMPLATE(P05_destructor_is_the_kernels_plain_close, Session, both)
{
    conversation_with<Session> talk;
    talk.play([&](Session& s) -> asio::awaitable<void> { co_await write(s, "written"); });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.data == "written");
    BOOST_TEST(all.error == 0);
}

BOOST_AUTO_TEST_CASE(destructor_with_unread_input_resets)
{
    tcp_talk talk;
    talk.peer.send_all("unread");
    talk.play([&](duet::session&) -> asio::awaitable<void> { co_await settle(); });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_operations_complete_with_closed, Session, both)
{
    conversation_with<Session> talk;
    auto body = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        std::optional<Session> s{talk.make()};
        started<std::string> reading{executor, read(*s)};
        started<close_reason> gone{executor, awaited<close_reason>(s->wait_peer_gone())};
        co_await settle();
        s.reset();
        auto const a = co_await outcome_of(reading.result());
        BOOST_TEST(a.code == errc::closed);
        auto const reason = co_await gone.result();
        BOOST_TEST(reason == close_reason::dropped);
    };
    run(talk.context, body());
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.eof());
}

// P04, P05: destroyed in the middle of a write. A FIN would make the stump look whole.
BOOST_AUTO_TEST_CASE(destructor_in_the_middle_of_a_write_resets)
{
    tcp_talk talk{small_window};
    auto const data = pattern(long_write);
    auto body = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        std::optional<duet::session> s{talk.make(stalling())};
        started<std::size_t> one{executor, write(*s, data)};
        started<std::size_t> two{executor, write(*s, "queued")};
        co_await settle();
        s.reset();
        auto const a = co_await outcome_of(one.result());
        BOOST_TEST(a.code == errc::closed);
        BOOST_TEST(a.bytes > 0U);
        auto const b = co_await outcome_of(two.result());
        BOOST_TEST(b.code == errc::closed);
        BOOST_TEST(b.bytes == 0U);
    };
    run(talk.context, body());
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(destructor_after_a_cut_write_resets)
{
    tcp_talk talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            writing.cancel();
            auto const cut = co_await outcome_of(writing.result());
            BOOST_TEST(cut.bytes > 0U);
        });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destroyed_while_it_closes, Session, both)
{
    conversation_with<Session> talk;
    auto body = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        std::optional<Session> s{talk.make()};
        started<duet::close_report> closing{executor, close(*s)};
        co_await settle();
        s.reset();
        auto const report = co_await closing.result();
        BOOST_TEST(report.reason == close_reason::dropped);
    };
    run(talk.context, body());
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.eof());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(assignment_ends_the_session_that_was_there, Session, both)
{
    conversation_with<Session> one;
    one.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, "first");
            conversation_with<Session> two;
            s = adopt<Session>(two.pair.server, one.context.get_executor());
            BOOST_TEST(s.valid());
            auto const first = one.peer.recv_all();
            BOOST_TEST(first.data == "first");
            BOOST_TEST(first.error == 0);
            co_await write(s, "second");
            auto other = std::move(s);
            BOOST_TEST(!s.valid());
            BOOST_TEST(other.valid());
            co_await write(other, " and third");
            s = std::move(other);
            s.abort();
            auto const second = two.peer.recv_all();
            if constexpr (std::is_same_v<Session, duet::session>)
                BOOST_TEST(second.error == ECONNRESET);
            else
                BOOST_TEST(second.data == "second and third");
        });
}

// An io_context that is destroyed under its coroutines destroys them, and with them their sessions and descriptors.
BOOST_AUTO_TEST_CASE_TEMPLATE(context_destroyed_under_every_kind_of_pending_operation, Session, both)
{
    enum class kind
    {
        read,
        read_until,
        write,
        shutdown,
        close,
        delivered,
        gone,
        all,
    };
    for (auto const each : {kind::read, kind::read_until, kind::write, kind::shutdown, kind::close, kind::delivered,
             kind::gone, kind::all})
    {
        BOOST_TEST_CONTEXT("kind " << static_cast<int>(each))
        {
            no_leaked_descriptors const descriptors;
            auto pair = std::optional<conversation_with<Session>>{std::in_place, small_window};
            auto data = pattern(long_write);
            auto witness = std::make_shared<int>();  // lives as long as the coroutine's frame
            {
                asio::io_context context;
                auto coroutine = [](Session s, kind what, std::string const& text,
                                     std::shared_ptr<int>) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    bool const all = what == kind::all;
                    std::string line;
                    std::optional<started<std::size_t>> writing;
                    std::optional<started<void>> finishing;
                    std::optional<started<void>> delivering;
                    std::optional<started<close_reason>> gone;
                    if (all || what == kind::write || what == kind::shutdown || what == kind::delivered)
                        writing.emplace(executor, duet_test::write(s, text));
                    if (all || what == kind::shutdown)
                        finishing.emplace(executor, shutdown_send(s));
                    if (all || what == kind::delivered)
                        delivering.emplace(executor, awaited<void>(s.delivered()));
                    if (all || what == kind::gone)
                        gone.emplace(executor, awaited<close_reason>(s.wait_peer_gone()));
                    co_await settle();
                    if (what == kind::close)
                        co_await s.close();
                    else if (what == kind::write)
                        co_await s.write(asio::buffer(text));
                    else if (what == kind::gone)
                        co_await gone->result();
                    else if (what == kind::shutdown)
                        co_await s.shutdown_send();
                    else if (what == kind::delivered)
                        co_await s.delivered();
                    else if (what == kind::read_until)
                        co_await s.read_until(line, "\n", 100);
                    else
                        co_await duet_test::read(s);
                };
                asio::co_spawn(context,
                    coroutine(
                        adopt<Session>(pair->pair.server, context.get_executor(), stalling()), each, data, witness),
                    [](std::exception_ptr) { BOOST_ERROR("the coroutine has ended"); });
                for (int turn = 0; turn < 100; ++turn)
                    context.poll_one();
            }
            BOOST_TEST(witness.use_count() == 1);
            pair.reset();
            BOOST_TEST(descriptors.leaked() == "");
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
