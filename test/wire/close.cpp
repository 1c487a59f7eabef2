// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The ends of a connection on the wire: close() says no RST, whatever is unread, and the deadlines end what a peer
// never does.

#define BOOST_TEST_MODULE wire.close
#include "support/netns_main.hpp"

#include <duet/session.hpp>

#include "support/in_thread.hpp"
#include "support/pace.hpp"
#include "support/started.hpp"
#include "wire/wire_fixture.hpp"

#include <array>
#include <limits>
#include <string>
#include <thread>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

// Every test in a network of its own: no segment and no counter is another test's.
BOOST_FIXTURE_TEST_SUITE(close_with_unread_input, fresh_network)

namespace {

struct courtesy
{
    char const* name;
    void (*before)(raw_socket&);     // what the peer does before we close
    received (*after)(raw_socket&);  // and once we do, in a thread
    char const* said;
};

received read_to_fin_and_close(raw_socket& peer)
{
    auto result = peer.recv_all();
    peer.close();
    return result;
}

std::array<courtesy, 4> const courtesies{{
    {"it answers our FIN", [](raw_socket&) {}, read_to_fin_and_close, "s>c P.(6), c>s P.(5), c>s F., s>c F."},
    {"it has finished already", [](raw_socket& peer) { peer.shutdown_write(); }, read_to_fin_and_close,
        "s>c P.(6), s>c F., c>s P.(5), c>s F."},
    {"it has more to say after our FIN", [](raw_socket&) {},
        [](raw_socket& peer)
        {
            auto result = peer.recv_all();
            peer.send_all("late");
            peer.close();
            return result;
        },
        "s>c P.(6), c>s P.(5), c>s F., s>c P.(4), s>c F."},
    {"it finishes before it reads", [](raw_socket&) {},
        [](raw_socket& peer)
        {
            peer.recv_exactly(5);
            peer.shutdown_write();
            auto result = peer.recv_all();
            result.data = "reply" + result.data;
            peer.close();
            return result;
        },
        nullptr},
}};

}  // namespace

BOOST_AUTO_TEST_CASE(p01_p02_close_says_no_rst)
{
    for (auto const& peer : courtesies)
    {
        BOOST_TEST_CONTEXT(peer.name)
        {
            watched w;
            w.a.send_all("unread");
            peer.before(w.a);
            w.play(
                [&](duet::session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    co_await write(s, "reply");
                    started<duet::close_report> closing{executor, close(s)};
                    auto const got = co_await in_thread([&] { return peer.after(w.a); });
                    BOOST_TEST(got.data == "reply");
                    BOOST_TEST(got.error == 0);
                    auto const report = co_await closing.result();
                    BOOST_TEST((report.reason == duet::close_reason::discarded_input));
                    BOOST_TEST(report.bytes_discarded >= 6U);
                    BOOST_TEST(report.bytes_unacknowledged == 0U);
                });
            if (peer.said != nullptr)
                BOOST_TEST(w.spoken() == peer.said);
            BOOST_TEST(w.fins(side::client) == 1U);
            w.check_no_reset();
        }
    }
}

BOOST_AUTO_TEST_CASE(p02_half_close_and_then_close)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await s.shutdown_send();
            w.a.send_all("unread");
            started<duet::close_report> closing{executor, close(s)};
            auto const got = co_await in_thread([&] { return read_to_fin_and_close(w.a); });
            BOOST_TEST(got.eof());
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
        });
    BOOST_TEST(w.spoken() == "c>s F., s>c P.(6), s>c F.");
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p01_the_peer_has_closed_already)
{
    watched w;
    w.a.send_all("unread");
    w.a.close();
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_discarded == 6U);
        });
    BOOST_TEST(w.spoken() == "s>c P.(6), s>c F., c>s F.");
    w.check_no_reset();
}

// Both write more than the kernel takes, and only then read: close() must not wait for its own flush before it
// discards.
BOOST_AUTO_TEST_CASE(p01_both_are_stuck_in_a_write)
{
    watched w;
    std::string const text(long_stream, 'x');
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, text)};
            co_await settle();
            started<duet::close_report> closing{executor, close(s)};
            auto const got = co_await in_thread(
                [&]
                {
                    w.a.send_all(text);
                    return read_to_fin_and_close(w.a);
                });
            BOOST_TEST(got.data.size() == long_stream);
            BOOST_TEST(got.error == 0);
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_discarded == long_stream);
            BOOST_TEST(report.bytes_sent == long_stream);
        });
    BOOST_TEST(w.said().fin_after_last_byte(side::client));
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p01_no_limit_on_what_is_discarded)
{
    watched w;
    duet::session_options options;
    options.close_discard_limit = std::numeric_limits<std::size_t>::max();
    w.a.send_all("unread");
    w.play(options,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            auto const got = co_await in_thread([&] { return read_to_fin_and_close(w.a); });
            BOOST_TEST(got.eof());
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_discarded == 6U);
        });
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p01_an_urgent_byte_that_nobody_read)
{
    watched w;
    BOOST_TEST(::send(w.a.fd(), "a!", 2, MSG_OOB | MSG_NOSIGNAL) == 2);
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            auto const got = co_await in_thread([&] { return read_to_fin_and_close(w.a); });
            BOOST_TEST(got.eof());
            auto const report = co_await closing.result();
            BOOST_TEST(report.clean());
        });
    w.check_no_reset();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(peers_that_never_end, fresh_network)

BOOST_AUTO_TEST_CASE(p07_fin_wait2_is_not_held)
{
    watched w;
    duet::deadlines limits;
    limits.half_closed = 200ms;
    w.play(with(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await s.shutdown_send();
            co_await expect_error(read(s), duet::errc::half_closed_timed_out);
            BOOST_TEST((s.state() == duet::session_state::closed));
            BOOST_TEST((s.close_reason() == duet::close_reason::timed_out));
            BOOST_TEST(w.is_gone());
        });
    BOOST_TEST(w.spoken() == "c>s F., c>s R.");
}

BOOST_AUTO_TEST_CASE(p07_close_wait_is_not_held)
{
    watched w;
    duet::deadlines limits;
    limits.half_closed = 200ms;
    w.play(with(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end == "");
            BOOST_TEST(w.state_of_client() == kernel_state::close_wait);
            // The program holds it, and waits for the peer's end.
            co_await peer_gone(s);
            BOOST_TEST(w.is_gone());
            BOOST_TEST((s.close_reason() == duet::close_reason::timed_out));
            co_await expect_error(write(s, "x"), duet::errc::half_closed_timed_out);
        });
    BOOST_TEST(w.spoken() == "s>c F., c>s R.");
}

// The kernel has the last bytes and the FIN, and a slow reader takes them. That is progress, though no call of ours
// tells it.
BOOST_AUTO_TEST_CASE(p03_p08_a_slow_reader_is_not_half_closed_for_too_long)
{
    int const window = 32 * 1024;
    std::string const text(1024 * 1024, 'x');
    duet::deadlines limits;
    limits.half_closed = 1s;
    limits.idle = 1s;
    for (pace reader{1s}; reader.is_to_play();)
    {
        watched w;
        checked(::setsockopt(w.a.fd(), SOL_SOCKET, SO_RCVBUF, &window, sizeof window), "SO_RCVBUF");
        w.play(with(limits),
            [&](duet::session& s) -> asio::awaitable<void>
            {
                co_await write(s, text);
                co_await s.shutdown_send();
                auto const began = std::chrono::steady_clock::now();
                auto const at_peer = [&]
                {
                    std::size_t result = 0;
                    for (;;)
                    {
                        reader.step();
                        auto const part = w.a.recv_some(24 * 1024);
                        if (part.data.empty())
                            return result;  // the end, or a failure: then it is not all
                        result += part.data.size();
                        std::this_thread::sleep_for(50ms);  // the pace of the reader
                    }
                };
                auto const taken = co_await in_thread(at_peer);
                auto const took = std::chrono::steady_clock::now() - began;
                w.a.close();
                auto const report = co_await s.close();
                if (!reader.kept())
                    co_return;
                BOOST_TEST((took > 1500ms));  // or the test shows nothing
                BOOST_TEST(taken == text.size());
                BOOST_TEST_INFO(to_string(report.reason));
                BOOST_TEST((report.reason == duet::close_reason::clean));
            });
        if (reader.kept())
            w.check_no_reset();
    }
}

BOOST_AUTO_TEST_CASE(p30_a_peer_that_never_finishes)
{
    watched w;
    duet::deadlines limits;
    limits.close = 200ms;
    w.play(with(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::timed_out));
            BOOST_TEST(report.bytes_unacknowledged <= 1U);  // the FIN, if it went out late
            BOOST_TEST(w.is_gone());
        });
    BOOST_TEST(w.spoken() == "c>s F., c>s R.");
}

BOOST_AUTO_TEST_CASE(p30_a_peer_that_never_reads)
{
    watched w;
    std::string const text(long_stream, 'x');
    duet::deadlines limits;
    limits.close = 200ms;
    w.play(with(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, text)};
            co_await settle();
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::timed_out));
            BOOST_TEST(report.bytes_unacknowledged > 0U);
            co_await expect_error(writing.result(), duet::errc::close_timed_out);
            BOOST_TEST(w.is_gone());
        });
    BOOST_TEST(w.fins(side::client) == 0U);  // the stump must not look whole
    BOOST_TEST(w.said().has_rst(side::client));
}

BOOST_AUTO_TEST_CASE(p30_a_peer_that_never_stops_sending)
{
    watched w;
    duet::session_options options;
    options.close_discard_limit = 1024 * 1024;
    w.play(options,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, close(s)};
            auto const ended = co_await in_thread(
                [&]
                {
                    std::string const block(64 * 1024, 'x');
                    for (;;)
                        if (auto const done = w.a.send_some(block); done.error != 0)
                            return done.error;
                });
            BOOST_TEST((ended == ECONNRESET || ended == EPIPE));
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discard_limit));
            BOOST_TEST(report.bytes_discarded > options.close_discard_limit);
            BOOST_TEST(report.bytes_discarded <= options.close_discard_limit + 1);
            BOOST_TEST(w.is_gone());
        });
    BOOST_TEST(w.said().has_rst(side::client));
}

BOOST_AUTO_TEST_SUITE_END()
