// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Deadlines where they meet the kernel: its sockets, the time of the system, and what only the kernel knows. All else
// of them is in deadlines.cpp and close_limits.cpp, on a clock that moves by itself. Where a peer has to be in time, a
// play in which it was not is played again.

#define BOOST_TEST_MODULE session.real_time
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/pace.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <tuple>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::session_state;

namespace {

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;
using clock_type = std::chrono::steady_clock;

int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    BOOST_TEST(::getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

// Read to the end and close, but a little at a time until then, and of `size` bytes some are left: slow for longer than
// a deadline, and never as long without reading.
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

BOOST_AUTO_TEST_CASE_TEMPLATE(idle_deadline_ends_the_session_and_the_pending_read, Session, both)
{
    conversation_with<Session> talk;
    talk.play(with({.idle = 30ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const begin = clock_type::now();
            co_await expect_error(read(s), errc::idle_timed_out);
            BOOST_TEST((clock_type::now() - begin >= 30ms));  // never early
            BOOST_TEST(s.close_reason() == close_reason::timed_out);
            BOOST_TEST(s.state() == session_state::closed);
            co_await expect_error(write(s, "x"), errc::idle_timed_out);  // the first error stays
        });
}

// P03: every byte is already in the kernel's buffer, so no call of ours tells of the progress.
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

// P32: keepalive follows. TCP_USER_TIMEOUT is not for it: it also ends a peer that answers probes. (Real death: wire/.)
BOOST_AUTO_TEST_CASE(P32_dead_peer_sets_keepalive)
{
    tcp_talk talk;
    talk.play(with({.dead_peer = 20s}),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const fd = s.native_handle();
            BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 10);
            int const probes = option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT);
            BOOST_TEST(probes <= 10);
            BOOST_TEST(probes >= 5);
            auto values = s.deadlines();
            values.dead_peer = 40s;
            s.set_deadlines(values);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 20);
            values.dead_peer = 0s;
            s.set_deadlines(values);
            BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
            BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
            co_return;
        });
}
