// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// close() where the connection breaks before or during it: what its report says of a reset and of a write that was cut.

#define BOOST_TEST_MODULE session.close_broken
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <cerrno>
#include <string>

using namespace duet_test;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

BOOST_AUTO_TEST_SUITE(broken)

BOOST_AUTO_TEST_CASE(peer_resets_while_we_close)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    auto const data = pattern(100'000);
    memory_talk talk{data.size()};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end.empty());
            co_await write(s, data);
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
BOOST_AUTO_TEST_CASE(peer_closes_with_our_bytes_unread)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
// P12: the reset has been told, and the session is closed: that there is nobody to send a FIN to is no news.
BOOST_AUTO_TEST_CASE(p12_shutdown_send_after_the_end_of_a_reset_connection_is_no_error)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.reset();
            co_await expect_error(read(s), condition::reset);
            auto const report = co_await close(s);
            BOOST_TEST(report.reason == close_reason::peer_reset);
            co_await shutdown_send(s);
            co_await expect_error(write(s, "x"), condition::reset);
        });
}

BOOST_AUTO_TEST_CASE(close_finds_a_reset)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            talk.peer.close();
            co_await write(s, "first");  // P43: succeeds
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
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
            started<received> peer{executor, talk.peer.receive_all()};
            auto const report = co_await s.close();
            BOOST_TEST(report.reason == close_reason::aborted);
            auto const all = co_await peer.result();
            BOOST_TEST(all.error == ECONNRESET);
            auto const stump = co_await outcome_of(first.result());
            BOOST_TEST(!stump.ok());
        });
}

BOOST_AUTO_TEST_SUITE_END()
