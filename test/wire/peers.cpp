// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a session makes of peers that go, crash or die, and of segments that are lost on their way.

#define BOOST_TEST_MODULE wire.peers
#include "support/netns_main.hpp"

#include <duet/session.hpp>

#include "support/faults.hpp"
#include "support/process.hpp"
#include "support/started.hpp"
#include "wire/wire_fixture.hpp"

#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

// Every test in a network of its own: no segment and no counter is another test's.
BOOST_FIXTURE_TEST_SUITE(peers_that_go, fresh_network)

BOOST_AUTO_TEST_CASE(p43_the_first_write_to_a_closed_peer_succeeds)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.close();
            auto const written = co_await write(s, "x");
            BOOST_TEST(written == 1U);
            BOOST_TEST(w.spoken() == "s>c F., c>s P.(1), s>c R");
            co_await expect_error(write(s, "y"), duet::condition::reset);
            // Reading would look like the peer's FIN by now; the first error stays (P17).
            co_await expect_error(read(s), duet::condition::reset);
            co_await expect_error(write(s, "z"), duet::condition::reset);
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
        });
    BOOST_TEST(w.spoken() == "s>c F., c>s P.(1), s>c R");
}

BOOST_AUTO_TEST_CASE(p43_delivered_tells_that_it_was_not)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.close();
            auto const end = co_await read(s);
            BOOST_TEST(end == "");
            co_await write(s, "x");
            bool told = false;
            try
            {
                co_await s.delivered();
            }
            catch (duet::session_error const& failure)
            {
                told = true;
                BOOST_TEST_INFO(failure.what());
                BOOST_TEST((failure.code() == duet::condition::reset));
            }
            BOOST_TEST(told);
            co_await expect_error(read(s), duet::condition::reset);
        });
}

BOOST_AUTO_TEST_CASE(p19_a_reset_after_the_fin_is_seen_without_reading)
{
    for (bool const fin_is_read : {true, false})
    {
        watched w;
        w.play(
            [&](duet::session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                started<duet::close_reason> gone{executor, peer_gone(s)};
                co_await settle();
                w.a.shutdown_write();
                if (fin_is_read)
                {
                    auto const end = co_await read(s);
                    BOOST_TEST(end == "");
                }
                co_await settle();
                BOOST_TEST(!gone.done());  // it may well be listening
                w.a.reset();
                auto const reason = co_await gone.result();
                BOOST_TEST((reason == duet::close_reason::peer_reset));
                co_await expect_error(write(s, "x"), duet::condition::reset);
                co_await expect_error(read(s), duet::condition::reset);
            });
        BOOST_TEST(w.spoken() == "s>c F., s>c R.");
    }
}

BOOST_AUTO_TEST_CASE(p18_p20_bytes_before_a_reset_are_read_after_it_was_seen)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_reason> gone{executor, peer_gone(s)};
            co_await settle();
            w.a.send_all("last words");
            w.a.reset();
            auto const reason = co_await gone.result();
            BOOST_TEST((reason == duet::close_reason::peer_reset));
            auto const text = co_await read(s);
            BOOST_TEST(text == "last words");
            co_await expect_error(read(s), duet::condition::reset);
            co_await expect_error(read(s), duet::condition::reset);
        });
}

BOOST_AUTO_TEST_CASE(both_fins_are_gone)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_reason> gone{executor, peer_gone(s)};
            co_await s.shutdown_send();
            co_await settle();
            BOOST_TEST(!gone.done());
            w.a.send_all("unread");
            w.a.shutdown_write();
            auto const reason = co_await gone.result();
            BOOST_TEST((reason == duet::close_reason::clean));
            auto const text = co_await read(s);
            BOOST_TEST(text == "unread");
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::clean));
        });
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(a_crash_is_noticed_by_the_next_write)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            w.a.crash();
            BOOST_TEST(w.spoken() == "");
            started<duet::close_reason> gone{executor, peer_gone(s)};
            started<std::string> reading{executor, read(s)};
            co_await settle();
            BOOST_TEST(!reading.done());
            co_await write(s, "x");
            co_await expect_error(reading.result(), duet::condition::reset);
            auto const reason = co_await gone.result();
            BOOST_TEST((reason == duet::close_reason::peer_reset));
        });
    BOOST_TEST(w.spoken() == "c>s P.(1), s>c R");
}

BOOST_AUTO_TEST_CASE(a_crash_is_noticed_by_close)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.crash();
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
            BOOST_TEST((report.error == duet::condition::reset));
        });
    BOOST_TEST(w.spoken() == "c>s F., s>c R");
}

// The administrator's `ss -K`: our end is told ECONNABORTED.
BOOST_AUTO_TEST_CASE(a_socket_killed_from_outside)
{
    watched w;
    bool killed = false;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            auto const port = ":" + std::to_string(w.pair.client.local_port());
            child_process kill{{"ss", "-K", "-tn", "sport", "=", port}, child_errors::merged};
            auto const told = kill.read_rest();
            kill.wait();
            killed = state_of(s.native_handle()) == kernel_state::closed;
            if (!killed)
            {
                BOOST_TEST_MESSAGE("this kernel kills no sockets (CONFIG_INET_DIAG_DESTROY): " << told);
                s.abort();
                co_await expect_error(reading.result(), duet::errc::aborted);
                co_return;
            }
            co_await expect_error(reading.result(), duet::condition::reset);
            co_await expect_error(write(s, "x"), duet::condition::reset);
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
        });
    if (killed)
        BOOST_TEST(w.a.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(lost_segments, fresh_network)

BOOST_AUTO_TEST_CASE(a_fin_that_never_arrives_ends_by_the_deadline)
{
    watched w;
    duet::deadlines limits;
    limits.close = 300ms;
    drop_incoming(w.a.fd(), loss::everything);
    w.play(with(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await write(s, "abc");
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::timed_out));
            BOOST_TEST((report.error == duet::errc::close_timed_out));
            BOOST_TEST(report.bytes_unacknowledged == 4U);  // the bytes and the FIN
            co_await expect_error(read(s), duet::condition::timed_out);
        });
    BOOST_TEST(w.fins(side::client) <= 1U);  // none, where the bytes were sent again before it
    BOOST_TEST(w.said().has_rst(side::client));
    BOOST_TEST(w.is_gone());
}

BOOST_AUTO_TEST_CASE(a_fin_that_arrives_at_the_second_try)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            drop_incoming(w.a.fd(), loss::fin);
            w.a.shutdown_write();
            started<duet::close_report> closing{executor, close(s)};
            co_await until([&] { return w.fins(side::client) == 1U; }, "our FIN is out");
            co_await settle();
            BOOST_TEST(!closing.done());
            drop_nothing(w.a.fd());
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::clean));
            BOOST_TEST(report.bytes_unacknowledged == 0U);
        });
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(both_fins_cross)
{
    watched w;
    w.a.send_all("unread");
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            drop_incoming(w.a.fd(), loss::everything);
            drop_incoming(s.native_handle(), loss::everything);
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            w.a.shutdown_write();
            BOOST_TEST(state_of(s.native_handle()) == kernel_state::fin_wait1);
            BOOST_TEST(state_of(w.a.fd()) == kernel_state::fin_wait1);
            drop_nothing(w.a.fd());
            drop_nothing(s.native_handle());
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_unacknowledged == 0U);
        });
    BOOST_TEST(w.a.recv_some().eof());
    BOOST_TEST(w.fins(side::client) == 1U);
    BOOST_TEST(w.fins(side::server) == 1U);
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p17_a_lost_reset_is_told_by_the_next_answer)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            drop_incoming(s.native_handle(), loss::rst);
            w.a.reset();
            w.capture.sync();  // it came, and was lost
            BOOST_TEST(state_of(s.native_handle()) == kernel_state::established);
            drop_nothing(s.native_handle());
            co_await write(s, "x");
            co_await expect_error(read(s), duet::condition::reset);
        });
}

namespace {

// A session whose peer goes deaf and dumb, with a dead_peer timeout of 2 s.
struct deserted
{
    explicit deserted(asio::io_context& context)
        : pair{connected_pair()}, session{adopt(pair.client, context.get_executor(), options())}
    {
    }

    static duet::session_options options()
    {
        duet::deadlines limits;
        limits.dead_peer = 2s;
        return with(limits);
    }

    void desert() { drop_incoming(pair.server.fd(), loss::everything); }

    raw_pair pair;
    duet::session session;
};

}  // namespace

// Five sessions at once, since each takes its two seconds.
BOOST_AUTO_TEST_CASE(p32_a_dead_peer_is_noticed)
{
    asio::io_context context;
    deserted idle{context};
    deserted unacknowledged{context};
    deserted finished{context};
    deserted half_closed{context};
    deserted closing{context};
    auto const play = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;

        // Nothing is said: keepalive.
        idle.desert();
        started<std::string> idle_read{executor, read(idle.session)};
        // Keepalive does not run while data is unacknowledged: TCP_USER_TIMEOUT.
        unacknowledged.desert();
        co_await write(unacknowledged.session, "abc");
        started<std::string> unacknowledged_read{executor, read(unacknowledged.session)};
        // FIN_WAIT2.
        co_await finished.session.shutdown_send();
        co_await until(
            [&] { return state_of(finished.session.native_handle()) == kernel_state::fin_wait2; }, "FIN_WAIT2");
        finished.desert();
        started<std::string> finished_read{executor, read(finished.session)};
        // CLOSE_WAIT: a read would see nothing but the FIN, again and again (P19).
        half_closed.pair.server.shutdown_write();
        co_await until([&] { return state_of(half_closed.pair.server.fd()) == kernel_state::fin_wait2; },
            "its FIN is acknowledged");
        auto const end = co_await read(half_closed.session);
        BOOST_TEST(end == "");
        half_closed.desert();
        started<duet::close_reason> half_closed_gone{executor, peer_gone(half_closed.session)};
        // Its FIN is never acknowledged, and that is told before the close deadline of 5 s.
        closing.desert();
        started<duet::close_report> closed{executor, close(closing.session)};

        co_await expect_error(idle_read.result(), duet::condition::dead_peer);
        co_await expect_error(unacknowledged_read.result(), duet::condition::dead_peer);
        co_await expect_error(finished_read.result(), duet::condition::dead_peer);
        auto const reason = co_await half_closed_gone.result();
        BOOST_TEST((reason == duet::close_reason::dead_peer));
        auto const report = co_await closed.result();
        BOOST_TEST((report.reason == duet::close_reason::dead_peer));
        BOOST_TEST((report.error == duet::condition::dead_peer));

        // P17: it stays so.
        co_await expect_error(read(idle.session), duet::condition::dead_peer);
        co_await expect_error(write(idle.session, "x"), duet::condition::dead_peer);
        co_await expect_error(write(unacknowledged.session, "x"), duet::condition::dead_peer);
        co_await expect_error(write(half_closed.session, "x"), duet::condition::dead_peer);
        BOOST_TEST((idle.session.close_reason() == duet::close_reason::dead_peer));
        BOOST_TEST((duet::error_code{duet::errc::dead_peer} != duet::condition::timed_out));
        for (auto* const each : {&idle, &unacknowledged, &finished, &half_closed})
            co_await each->session.close();
    };
    run(context, play());
}

BOOST_AUTO_TEST_SUITE_END()
