// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Peers that are slow, peers that pause, and peers that have vanished: which of them is cut off, and when.

#define BOOST_TEST_MODULE wire.slow_peers
#include "support/netns_main.hpp"

#include <duet/session.hpp>

#include "support/faults.hpp"
#include "support/in_thread.hpp"
#include "support/started.hpp"
#include "wire/wire_fixture.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <thread>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t many = std::size_t{1} << 20U;

/// A session and a peer that receives into a small buffer, so that its window closes soon.
struct narrow
{
    narrow(asio::io_context& context, duet::deadlines const& limits)
        : pair{connected_pair(raw_address::v4(0), {}, {.receive_buffer = 4096})}, session{adopt(pair.client,
                                                                                      context.get_executor(),
                                                                                      with(limits))}
    {
    }

    raw_pair pair;
    duet::session session;
};

duet::deadlines dead_after(std::chrono::steady_clock::duration time)
{
    duet::deadlines limits;
    limits.dead_peer = time;
    return limits;
}

/// Its window is closed: something waits, and none of it is under way.
asio::awaitable<void> window_closed(duet::session& session)
{
    auto const closed = [&]
    {
        duet::error_code error;
        auto const info = session.tcp_info(error);
        return !error && info.segments_unacknowledged == 0 && duet::detail::unacknowledged(session.native_handle()) > 0;
    };
    co_await until(closed, "the window is closed");
}

/// Reads everything, `chunk` bytes at a time with a pause after each.
received read_at_ease(raw_socket& peer, std::size_t chunk, std::chrono::milliseconds pause)
{
    received result;
    for (;;)
    {
        auto const some = peer.recv_some(chunk);
        result.error = some.error;
        result.data += some.data;
        if (some.data.empty())
            return result;
        std::this_thread::sleep_for(pause);
    }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(peers_that_are_slow, fresh_network)

// P32. At once, because each takes seconds.
BOOST_AUTO_TEST_CASE(a_closed_window_is_no_death_and_death_behind_one_is_noticed)
{
    asio::io_context context;
    narrow pausing{context, dead_after(2s)};
    narrow buffered{context, dead_after(2s)};
    narrow vanished{context, dead_after(2s)};
    narrow rested{context, dead_after(2s)};
    std::string const data(many, 'x');
    std::string const more(8 * many, 'x');  // than the kernel's buffer takes
    auto const play = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        started<std::size_t> pausing_write{executor, write(pausing.session, data)};
        // The kernel has accepted this, and the program waits for the answer.
        co_await write(buffered.session, std::string(32768, 'y'));
        started<std::string> answer{executor, read(buffered.session)};
        started<std::size_t> vanished_write{executor, write(vanished.session, more)};
        started<std::string> vanished_read{executor, read(vanished.session)};
        // Its program works for a while, in which nothing waits for the peer.
        drop_incoming(rested.pair.server.fd(), loss::everything);
        co_await write(rested.session, "x");
        started<std::string> cancelled{executor, read(rested.session)};
        co_await settle();
        rested.session.cancel();
        co_await expect_error(cancelled.result(), duet::condition::cancelled);
        co_await settle();
        started<std::string> rested_read{executor, read(rested.session)};

        co_await window_closed(pausing.session);
        co_await window_closed(buffered.session);
        co_await window_closed(vanished.session);
        drop_incoming(vanished.pair.server.fd(), loss::everything);
        auto const begin = std::chrono::steady_clock::now();

        // Whatever was pending, and in whichever order.
        co_await expect_error(vanished_write.result(), duet::condition::dead_peer);
        co_await expect_error(vanished_read.result(), duet::condition::dead_peer);
        BOOST_TEST((vanished.session.close_reason() == duet::close_reason::dead_peer));
        BOOST_TEST((std::chrono::steady_clock::now() - begin >= 1900ms));
        co_await expect_error(rested_read.result(), duet::condition::dead_peer);

        // Three times as long, and a little: both peers have answered every probe.
        auto pause = asio::steady_timer{executor, begin + 6500ms};
        co_await pause.async_wait(asio::use_awaitable);
        BOOST_TEST((pausing.session.close_reason() == duet::close_reason::none));
        BOOST_TEST((buffered.session.close_reason() == duet::close_reason::none));
        auto const rest = [&]
        {
            auto all = pausing.pair.server.recv_exactly(many);
            buffered.pair.server.recv_exactly(32768);
            buffered.pair.server.send_all("answer");
            return all;
        };
        auto const all = co_await in_thread(rest);
        BOOST_TEST(all.size() == many);
        auto const written = co_await pausing_write.result();
        BOOST_TEST(written == many);
        auto const heard = co_await answer.result();
        BOOST_TEST(heard == "answer");
        pausing.session.abort();
        buffered.session.abort();
    };
    run(context, play());
}

// The kernel's buffer is large and the peer slow, so the socket is seldom writable: what the peer acknowledges counts.
BOOST_AUTO_TEST_CASE(a_slow_reader_meets_the_write_deadline_and_one_that_stops_does_not)
{
    asio::io_context context;
    duet::deadlines limits;
    limits.write = 600ms;
    narrow slow{context, limits};
    narrow stopped{context, limits};
    std::string const data(2 * many, 'x');
    auto const play = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        started<std::size_t> slow_write{executor, write(slow.session, data)};
        started<std::size_t> stopped_write{executor, write(stopped.session, data)};
        auto const reads = [&] { return read_at_ease(slow.pair.server, 16384, 10ms); };
        auto const finish = [&]() -> asio::awaitable<void>
        {
            co_await slow_write.result();
            co_await slow.session.shutdown_send();
        };
        started<void> finished{executor, finish()};
        auto const all = co_await in_thread(reads);
        BOOST_TEST(all.data.size() == data.size());
        BOOST_TEST(all.error == 0);
        co_await finished.result();
        co_await expect_error(stopped_write.result(), duet::errc::write_timed_out);
        stopped.session.abort();
        slow.session.abort();
    };
    run(context, play());
}

// The handler has returned, close_total is over, and the peer still reads: the kernel gives it the rest.
BOOST_AUTO_TEST_CASE(p30_a_slow_reader_gets_everything_when_close_has_ended)
{
    watched w;
    duet::deadlines limits;
    limits.close_total = 300ms;
    std::string const data(many, 'x');
    auto const reads = [&] { return read_at_ease(w.a, 32768, 40ms); };
    asio::io_context& context = w.context;
    std::optional<started<received>> peer;
    w.play(with(limits),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            peer.emplace(context.get_executor(), in_thread(reads));
            co_await write(s, data);
            auto const report = co_await s.close();
            BOOST_TEST((report.reason == duet::close_reason::left_to_kernel));
            BOOST_TEST((report.error == duet::condition::timed_out));
            BOOST_TEST(report.bytes_unacknowledged > 0U);
            auto const all = co_await peer->result();
            BOOST_TEST(all.data.size() == data.size());
            BOOST_TEST(all.error == 0);
        });
    w.a.close();
    w.check_no_reset();
}

BOOST_AUTO_TEST_SUITE_END()
