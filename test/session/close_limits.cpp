// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What bounds close(): its deadlines, which progress restarts, its total time, and the limit of what it discards.

#define BOOST_TEST_MODULE session.close_limits
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <cerrno>
#include <chrono>
#include <limits>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

namespace {

// The peer reads a little at a time, with pauses that are shorter than a deadline, until then; then the rest, and
// closes.
asio::awaitable<received> read_slowly(
    memory_talk& talk, std::chrono::nanoseconds pause, simulated_time::time_point until)
{
    received all;
    while (talk.now() < until)
    {
        auto const part = co_await talk.peer.receive_some(4 * 1024);
        all.data += part.data;
        all.error = part.error;
        if (part.data.empty())
            co_return all;
        co_await talk.pause(pause);
    }
    auto const rest = co_await talk.peer.receive_all_and_close();
    all.data += rest.data;
    all.error = rest.error;
    co_return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(limits)

// P03: a deadline that began before the flush, or that is not restarted by progress, cuts a slow reader off.
BOOST_AUTO_TEST_CASE(P03_progress_restarts_the_deadline_of_close)
{
    auto const data = pattern(stalling_size);
    memory_talk talk{small_capacity};
    talk.play(with({.close = 5s, .close_total = 1h}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            auto const begin = talk.now();
            started<received> peer{executor, read_slowly(talk, 4s, begin + 20s)};
            auto const report = co_await s.close();
            BOOST_TEST((talk.now() - begin >= 20s));
            auto const all = co_await peer.result();
            auto const written = co_await outcome_of(writing.result());
            BOOST_TEST(report.reason == close_reason::clean);
            BOOST_TEST((all.data == data));
            BOOST_TEST(all.error == 0);
            BOOST_TEST(written.ok());
        });
}

// P30: close() must not be a way to hold a connection forever; nor may it cut a reader that is only slow. The writes
// that the kernel has not accepted are waited for as long as there is progress; the rest is left to the kernel.
BOOST_AUTO_TEST_CASE(P30_close_total_leaves_a_slow_reader_to_the_kernel)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(16 * stalling_size);
    talk.play(with({.close = 1h, .close_total = 150ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            auto const begin = talk.now();
            started<received> peer{executor, read_slowly(talk, 2ms, begin + 1h)};
            auto const report = co_await s.close();
            BOOST_TEST((talk.now() - begin > 150ms));
            BOOST_TEST(report.reason == close_reason::left_to_kernel);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(!report.clean());
            BOOST_TEST(report.send == send_state::finished);
            BOOST_TEST(report.bytes_sent == data.size());
            BOOST_TEST(report.bytes_unacknowledged > 0U);
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST(end.ok());
            auto const all = co_await peer.result();
            BOOST_TEST((all.data == data));
            BOOST_TEST(all.error == 0);
        });
}

BOOST_AUTO_TEST_CASE(P30_close_total_counts_at_once_when_the_kernel_has_everything)
{
    memory_talk talk{small_capacity};
    talk.play(with({.close = 1h, .close_total = 150ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, "answer");
            auto const begin = talk.now();
            auto const report = co_await s.close();  // the peer neither reads nor ends
            BOOST_TEST((talk.now() - begin == 150ms + tick));
            BOOST_TEST(report.reason == close_reason::left_to_kernel);
        });
    auto const all = talk.peer.recv_all();
    BOOST_TEST(all.data == "answer");
    BOOST_TEST(all.error == 0);
}

BOOST_AUTO_TEST_CASE(P30_close_gives_up_on_a_peer_that_never_reads)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(with({.close = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            auto const begin = talk.now();
            auto const report = co_await s.close();
            BOOST_TEST((talk.now() - begin == 60ms + tick));
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
BOOST_AUTO_TEST_CASE(close_gives_up_on_a_peer_that_never_closes)
{
    memory_talk talk;
    talk.play(with({.close = 60ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            co_await write(s, "bye");
            co_await s.shutdown_send();
            // It reads, and hears our FIN, but says none itself.
            auto const heard = talk.peer.recv_all();
            BOOST_TEST(heard.data == "bye");
            BOOST_TEST(heard.error == 0);
            co_await s.delivered();
            auto const begin = talk.now();
            auto const report = co_await s.close();
            BOOST_TEST((talk.now() - begin == 60ms + tick));
            BOOST_TEST(report.reason == close_reason::timed_out);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(report.send == send_state::finished);
            BOOST_TEST(report.receive == receive_state::failed);
            BOOST_TEST(report.bytes_unacknowledged == 0U);
        });
}

// What we had said already is whole: discarding input is progress, and the peer's FIN ends it.
BOOST_AUTO_TEST_CASE(input_restarts_the_deadline_of_close)
{
    memory_talk talk;
    talk.play(with({.close = 5s, .close_total = 1h}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::size_t said = 0;
            auto const at_peer = [&]() -> asio::awaitable<void>
            {
                while (said < 4)
                {
                    co_await talk.pause(5s - 1ns);
                    said += talk.peer.send_some("x");
                }
                talk.peer.close();
            };
            started<void> peer{executor, at_peer()};
            auto const begin = talk.now();
            auto const report = co_await s.close();
            BOOST_TEST((talk.now() - begin == 20s - 4ns));
            co_await peer.result();
            BOOST_TEST(report.reason == close_reason::discarded_input);
            BOOST_TEST(report.bytes_discarded == said);
        });
}

BOOST_AUTO_TEST_CASE(discard_limit_is_exact)
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
            memory_talk talk;
            duet::session_options options;
            options.close_discard_limit = row.limit;
            talk.play(options,
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::string const data = pattern(row.size);
                    auto const at_peer = [&]() -> asio::awaitable<void>
                    {
                        auto const sent = co_await talk.peer.send(data);
                        if (sent == data.size())
                            talk.peer.shutdown_write();
                    };
                    started<void> peer{executor, at_peer()};
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
