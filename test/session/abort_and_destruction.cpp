// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The hard ends of a session: abort() and the destructor. What goes over the wire is in wire/.

#define BOOST_TEST_MODULE session.abort_and_destruction
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

using namespace duet_test;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::session_state;

BOOST_AUTO_TEST_SUITE(aborting)

// P16: an explicit reset. Asio's linger{true, 0} and destructor would send FIN.
BOOST_AUTO_TEST_CASE(P16_abort_resets)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE(abort_ends_every_kind_of_pending_operation_with_aborted)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE(abort_ends_a_close)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
BOOST_AUTO_TEST_CASE(abort_may_be_repeated_and_followed_by_anything)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
BOOST_AUTO_TEST_CASE(P05_destructor_is_the_kernels_plain_close)
{
    memory_talk talk;
    talk.play([&](memory_session& s) -> asio::awaitable<void> { co_await write(s, "written"); });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.data == "written");
    BOOST_TEST(all.error == 0);
}

BOOST_AUTO_TEST_CASE(destructor_with_unread_input_resets)
{
    memory_talk talk;
    talk.peer.send_all("unread");
    talk.play([&](memory_session&) -> asio::awaitable<void> { co_await settle(); });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(pending_operations_complete_with_closed)
{
    memory_talk talk;
    auto body = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        std::optional<memory_session> s{talk.make()};
        started<std::string> reading{executor, read(*s)};
        started<close_reason> gone{executor, awaited<close_reason>(s->wait_peer_gone())};
        co_await settle();
        s.reset();
        auto const a = co_await outcome_of(reading.result());
        BOOST_TEST(a.code == errc::closed);
        auto const reason = co_await gone.result();
        BOOST_TEST(reason == close_reason::dropped);
    };
    talk.time.run(body());
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.eof());
}

// P04, P05: destroyed in the middle of a write. A FIN would make the stump look whole.
BOOST_AUTO_TEST_CASE(destructor_in_the_middle_of_a_write_resets)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    auto body = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        std::optional<memory_session> s{talk.make()};
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
    talk.time.run(body());
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(destructor_after_a_cut_write_resets)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE(destroyed_while_it_closes)
{
    memory_talk talk;
    auto body = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        std::optional<memory_session> s{talk.make()};
        started<duet::close_report> closing{executor, close(*s)};
        co_await settle();
        s.reset();
        auto const report = co_await closing.result();
        BOOST_TEST(report.reason == close_reason::dropped);
    };
    talk.time.run(body());
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.eof());
}

BOOST_AUTO_TEST_CASE(assignment_ends_the_session_that_was_there)
{
    memory_talk one;
    one.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, "first");
            auto ends = duet::testing::memory_stream::pair(one.context.get_executor());
            memory_peer two{std::move(ends.second)};
            s = memory_session{std::move(ends.first)};
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
            auto const second = two.recv_all();
            BOOST_TEST(second.data == "second and third");
            BOOST_TEST(second.error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_SUITE_END()
