// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What each call of a session puts on the wire, by the segments on lo and the kernel's counters. The session is the
// client of every conversation ("c>s" is what it said).

#define BOOST_TEST_MODULE wire.segments
#include "support/netns_main.hpp"

#include <duet/session.hpp>

#include "support/in_thread.hpp"
#include "support/started.hpp"
#include "wire/wire_fixture.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <sys/socket.h>

using namespace duet_test;
namespace error = boost::asio::error;

// Every test in a network of its own: no segment and no counter is another test's.
BOOST_FIXTURE_TEST_SUITE(segments_of_each_call, fresh_network)

BOOST_AUTO_TEST_CASE(shutdown_send_says_one_fin)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await s.shutdown_send();
            BOOST_TEST(w.spoken() == "c>s F.");
            // The other voice goes on.
            w.a.send_all("abc");
            auto const text = co_await read(s);
            BOOST_TEST(text == "abc");
            w.a.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end == "");
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::clean));
        });
    BOOST_TEST(w.spoken() == "c>s F., s>c P.(3), s>c F.");
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p04_fin_stands_behind_the_last_byte_of_8_mib)
{
    watched w;
    std::string const text(long_stream, 'x');
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, text)};
            co_await settle();
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            BOOST_TEST(!writing.done());  // the peer reads nothing yet, so most of it waits in the session
            BOOST_TEST(!finishing.done());
            BOOST_TEST((s.send_state() == duet::send_state::finishing));
            BOOST_TEST(w.fins(side::client) == 0U);

            auto const got = co_await in_thread([&] { return w.a.recv_all(); });
            BOOST_TEST(got.error == 0);
            BOOST_TEST(got.data.size() == long_stream);
            auto const written = co_await writing.result();
            BOOST_TEST(written == long_stream);
            co_await finishing.result();
            w.a.shutdown_write();
            auto const report = co_await s.close();
            BOOST_TEST(report.clean());
        });
    auto const said = w.said();
    BOOST_TEST(said.fin_after_last_byte(side::client));
    BOOST_TEST(*said.bytes_before_fin(side::client) == long_stream);
    BOOST_TEST(w.fins(side::client) == 1U);
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p05_close_flushes_8_mib_before_its_fin)
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
                    auto result = w.a.recv_all();
                    w.a.close();
                    return result;
                });
            BOOST_TEST(got.error == 0);
            BOOST_TEST(got.data.size() == long_stream);
            auto const written = co_await writing.result();
            BOOST_TEST(written == long_stream);
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::clean));
            BOOST_TEST(report.bytes_unacknowledged == 0U);
        });
    BOOST_TEST(w.said().fin_after_last_byte(side::client));
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p13_shutting_down_twice_says_one_fin)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await s.shutdown_send();
            co_await s.shutdown_send();
            BOOST_TEST(w.spoken() == "c>s F.");
            co_await expect_error(write(s, "late"), duet::errc::send_finished);
            w.a.close();
            auto const first = co_await s.close();
            auto const again = co_await s.close();
            BOOST_TEST((first.reason == duet::close_reason::clean));
            BOOST_TEST((again.reason == duet::close_reason::clean));
            co_await s.shutdown_send();
        });
    BOOST_TEST(w.spoken() == "c>s F., s>c F.");
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p12_shutting_down_after_a_reset_says_nothing)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.reset();
            w.capture.sync();            // or a FIN might go out before the RST comes in
            co_await s.shutdown_send();  // nobody is there to be told: no error
            co_await s.shutdown_send();
            co_await expect_error(read(s), duet::condition::reset);
            co_await s.shutdown_send();
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
        });
    BOOST_TEST(w.spoken() == "s>c R.");
}

BOOST_AUTO_TEST_CASE(p12_shutting_down_after_both_fins_says_nothing)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end == "");
            co_await s.shutdown_send();
            co_await until(
                [&] { return state_of(s.native_handle()) == kernel_state::closed; }, "both FINs are acknowledged");
            co_await s.shutdown_send();
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::clean));
        });
    BOOST_TEST(w.spoken() == "s>c F., c>s F.");
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p15_p16_abort_says_rst_and_nothing_else)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            s.abort();
            s.abort();
            BOOST_TEST(w.spoken() == "c>s R.");
            co_await expect_error(reading.result(), duet::errc::aborted);
            // What comes after says nothing more.
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::aborted));
            co_await expect_error(shutdown_send(s), duet::errc::aborted);
        });
    BOOST_TEST(w.spoken() == "c>s R.");
    BOOST_TEST(w.a.recv_some().error == ECONNRESET);
    BOOST_TEST(w.counted("Tcp.OutRsts") == 1);
    BOOST_TEST(w.is_gone());
}

BOOST_AUTO_TEST_CASE(p15_abort_in_the_middle_of_a_long_write)
{
    watched w;
    std::string const text(long_stream, 'x');
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, text)};
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            s.abort();
            co_await expect_error(writing.result(), duet::errc::aborted);
            co_await expect_error(finishing.result(), duet::errc::aborted);
        });
    BOOST_TEST(w.fins(side::client) == 0U);
    BOOST_TEST(w.said().has_rst(side::client));
    BOOST_TEST(w.a.recv_all().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(p13_abort_after_half_close_says_fin_and_then_rst)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await s.shutdown_send();
            w.capture.sync();  // the acknowledgement is in: one that meets nobody is answered by a RST of its own
            s.abort();
            co_await expect_error(read(s), duet::errc::aborted);
        });
    BOOST_TEST(w.spoken() == "c>s F., c>s R.");
    BOOST_TEST(w.is_gone());
}

BOOST_AUTO_TEST_CASE(p06_a_handler_that_throws_and_aborts_says_no_fin)
{
    watched w;
    auto const handler = [&](duet::session& s) -> asio::awaitable<void>
    {
        co_await write(s, "half an ans");
        throw std::runtime_error{"the answer cannot be finished"};
    };
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            bool failed = false;
            try
            {
                co_await handler(s);
            }
            catch (std::runtime_error const&)
            {
                failed = true;
                s.abort();
            }
            BOOST_TEST(failed);
        });
    BOOST_TEST(w.spoken() == "c>s P.(11), c>s R.");
}

BOOST_AUTO_TEST_CASE(destruction_with_nothing_unread_says_fin)
{
    watched w;
    w.play([](duet::session&) -> asio::awaitable<void> { co_return; });
    BOOST_TEST(w.spoken() == "c>s F.");
    BOOST_TEST(w.a.recv_some().eof());
}

BOOST_AUTO_TEST_CASE(p01_destruction_with_unread_input_says_rst)
{
    watched w;
    w.a.send_all("unread");
    w.play([](duet::session&) -> asio::awaitable<void> { co_return; });
    BOOST_TEST(w.spoken() == "s>c P.(6), c>s R.");
    BOOST_TEST(w.counted("TcpExt.TCPAbortOnClose") == 1);
}

// A FIN behind the stump of a write would make it look whole.
BOOST_AUTO_TEST_CASE(p04_p05_destruction_in_the_middle_of_a_write_says_no_fin)
{
    watched w;
    std::string const text(long_stream, 'x');
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto own = std::make_unique<duet::session>(std::move(s));
            started<std::size_t> writing{executor, write(*own, text)};
            co_await settle();
            BOOST_TEST(!writing.done());
            own.reset();
            co_await expect_error(writing.result(), duet::condition::closed);
        });
    BOOST_TEST(w.fins(side::client) == 0U);
    BOOST_TEST(w.said().has_rst(side::client));
    BOOST_TEST(w.a.recv_all().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(p05_destruction_while_a_write_waits_says_no_fin)
{
    watched w;
    std::string const text(1024 * 1024, 'x');
    bool waits = false;  // the last handler is called when the body has ended
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            // What is written in parts leaves whole messages behind it; this one is missing altogether.
            while (!waits)
            {
                waits = true;
                s.async_write_some(asio::buffer(text), [&](duet::error_code const&, std::size_t) { waits = false; });
                co_await settle();
            }
            auto const own = std::move(s);
        });
    BOOST_TEST(w.fins(side::client) == 0U);
    BOOST_TEST(w.said().has_rst(side::client));
}

BOOST_AUTO_TEST_CASE(p04_destruction_after_a_write_was_cut_says_no_fin)
{
    watched w;
    std::string const text(long_stream, 'x');
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, text)};
            co_await settle();
            s.cancel();
            co_await expect_error(writing.result(), error::operation_aborted);
            co_await expect_error(write(s, "more"), duet::errc::send_poisoned);
        });
    BOOST_TEST(w.fins(side::client) == 0U);
    BOOST_TEST(w.said().has_rst(side::client));
}

BOOST_AUTO_TEST_CASE(p37_the_receive_side_is_never_shut_down)
{
    watched w;
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await s.shutdown_send();
            BOOST_TEST(poll_text(s.native_handle()) == "OUT");  // RDHUP would be ours
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            BOOST_TEST(poll_text(s.native_handle()) == "OUT");
            w.a.send_all("late");  // answered with RST after shutdown(RDWR)
            w.a.close();
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_discarded == 4U);
        });
    BOOST_TEST(w.spoken() == "c>s F., s>c P.(4), s>c F.");
    w.check_no_reset();
}

BOOST_AUTO_TEST_CASE(p14_no_socket_lingers)
{
    watched w;
    auto const lingers = [](duet::session& s)
    {
        linger value{};
        socklen_t size = sizeof value;
        checked(::getsockopt(s.native_handle(), SOL_SOCKET, SO_LINGER, &value, &size), "SO_LINGER");
        return value.l_onoff != 0;
    };
    w.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            BOOST_TEST(!lingers(s));
            co_await write(s, "abc");
            co_await s.shutdown_send();
            BOOST_TEST(!lingers(s));
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            BOOST_TEST(!lingers(s));
            w.a.close();  // with "abc" unread: RST
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
        });
}

BOOST_AUTO_TEST_SUITE_END()
