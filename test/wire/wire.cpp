// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What each call of a session puts on the wire, by the segments on lo and the kernel's counters; and what it makes of
// what peers and networks do to it. The session is the client of every conversation ("c>s" is what it said).

#define BOOST_TEST_MODULE wire.wire
#include "support/netns_main.hpp"

#include <duet/session.hpp>

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/faults.hpp"
#include "support/in_thread.hpp"
#include "support/observed.hpp"
#include "support/pace.hpp"
#include "support/process.hpp"
#include "support/started.hpp"

#include <array>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

namespace {

// A connection whose client end becomes a session, on an io_context of its own.
struct watched : observed
{
    duet::session make(duet::session_options const& options = {}) { return adopt(c, context.get_executor(), options); }

    // Runs `body(session)` to its end. The session lives until the body destroys it, or has ended.
    template <typename Body>
    void play(duet::session_options const& options, Body&& body)
    {
        run(context, converse(options, body));
    }

    template <typename Body>
    void play(Body&& body)
    {
        play({}, std::forward<Body>(body));
    }

    // Nothing of the session is left in the kernel, whatever the peer does.
    bool is_gone() const { return state_of_client() == std::optional<kernel_state>{}; }

    // As said, but for an answer to a late acknowledgement: under load one may cross the last FIN's and meet a peer's
    // socket that is gone. By then both have finished.
    std::string spoken()
    {
        auto text = observed::spoken();
        std::string const late = ", s>c R";
        if (fins(side::client) == 1 && fins(side::server) == 1 && text.ends_with(late))
            text.resize(text.size() - late.size());
        return text;
    }

    void check_no_reset()
    {
        auto const all = said();
        BOOST_TEST_INFO(all.dump());
        BOOST_TEST(!all.has_rst(side::client));
        BOOST_TEST_INFO(all.dump());
        BOOST_TEST(spoken().find("R") == std::string::npos);
        BOOST_TEST(counted("TcpExt.TCPAbortOnClose") == 0);
        BOOST_TEST(counted("TcpExt.TCPAbortOnData") == 0);
    }

    // How many FINs a side said, however often each was sent.
    std::size_t fins(side const from)
    {
        auto const port = from == side::client ? pair.client.local_port() : pair.server.local_port();
        auto const all = said();
        std::set<std::uint32_t> sequences;
        for (auto const& each : all.segments())
            if (each.has(tcp_flag::fin) && each.from_port == port)
                sequences.insert(each.sequence + static_cast<std::uint32_t>(each.payload));
        return sequences.size();
    }

    asio::io_context context;

private:
    template <typename Body>
    asio::awaitable<void> converse(duet::session_options const& options, Body& body)
    {
        auto session = make(options);
        co_await body(session);
    }
};

duet::session_options with_deadlines(duet::deadlines const& values)
{
    duet::session_options result;
    result.deadlines = values;
    return result;
}

asio::awaitable<std::size_t> write(duet::session& session, std::string const& text)
{
    auto const size = co_await session.write(asio::buffer(text));
    co_return size;
}

asio::awaitable<std::string> read(duet::session& session)
{
    std::string text(4096, '\0');
    auto const size = co_await session.read_some(asio::buffer(text));
    text.resize(size);
    co_return text;
}

asio::awaitable<void> shut_down_send(duet::session& session)
{
    co_await session.shutdown_send();
}

asio::awaitable<duet::close_report> close(duet::session& session)
{
    auto const report = co_await session.close();
    co_return report;
}

asio::awaitable<duet::close_reason> peer_gone(duet::session& session)
{
    auto const reason = co_await session.wait_peer_gone();
    co_return reason;
}

constexpr std::size_t long_stream = 8U << 20U;

}  // namespace

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
            started<void> finishing{executor, shut_down_send(s)};
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
            co_await expect_error(shut_down_send(s), duet::errc::aborted);
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
            started<void> finishing{executor, shut_down_send(s)};
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
    w.play(with_deadlines(limits),
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
        return with_deadlines(limits);
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

BOOST_FIXTURE_TEST_SUITE(peers_that_never_end, fresh_network)

BOOST_AUTO_TEST_CASE(p07_fin_wait2_is_not_held)
{
    watched w;
    duet::deadlines limits;
    limits.half_closed = 200ms;
    w.play(with_deadlines(limits),
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
    w.play(with_deadlines(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            w.a.shutdown_write();
            auto const end = co_await read(s);
            BOOST_TEST(end == "");
            BOOST_TEST(w.state_of_client() == kernel_state::close_wait);
            // The program holds it, and does nothing.
            co_await until([&] { return w.is_gone(); }, "the session has ended it");
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
        w.play(with_deadlines(limits),
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
    w.play(with_deadlines(limits),
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
    w.play(with_deadlines(limits),
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
