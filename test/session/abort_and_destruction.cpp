// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The hard ends of a session: abort(), the destructor, and a context that is destroyed under it.

#define BOOST_TEST_MODULE session.abort_and_destruction
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

using namespace duet_test;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::session_state;

namespace {

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;

}  // namespace

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
