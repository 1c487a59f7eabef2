// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What bounds close(): its deadlines, which progress restarts, its total time, and the limit of what it discards.

#define BOOST_TEST_MODULE session.close_limits
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/pace.hpp"

#include <cerrno>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <tuple>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

namespace {

using clock_type = std::chrono::steady_clock;

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;

// The same, but a little at a time until then, and of `size` bytes some are left: slow for longer than a deadline, and
// never as long without reading.
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

BOOST_AUTO_TEST_SUITE(limits)

// P03: a deadline that began before the flush, or that is not restarted by progress, cuts a slow reader off.
BOOST_AUTO_TEST_CASE_TEMPLATE(P03_progress_restarts_the_deadline_of_close, Session, both)
{
    auto const data = pattern(long_write);
    auto const limit = 500ms * sanitizer_factor;
    for (pace reader{limit}; reader.is_to_play();)
    {
        conversation_with<Session> talk{small_window};
        talk.play(stalling({.close = limit, .close_total = 1h}),
            [&](Session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                started<std::size_t> writing{executor, write(s, data)};
                co_await settle();
                auto const begin = clock_type::now();
                auto const at_peer = [&] { return read_slowly(talk.peer, reader, begin + 2 * limit, data.size()); };
                started<received> peer{executor, in_thread(at_peer)};
                auto const report = co_await s.close();
                auto const took = clock_type::now() - begin;
                auto const all = co_await peer.result();
                auto const written = co_await outcome_of(writing.result());
                if (!reader.kept())
                    co_return;
                BOOST_TEST(report.reason == close_reason::clean);
                BOOST_TEST((took >= 2 * limit));
                BOOST_TEST((all.data == data));
                BOOST_TEST(all.error == 0);
                BOOST_TEST(written.ok());
            });
    }
}

// P03: the same when every byte is already in the kernel's buffer, so that no call of ours tells of the progress.
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

// P30: close() must not be a way to hold a connection forever.
BOOST_AUTO_TEST_CASE_TEMPLATE(P30_close_total_ends_it_in_spite_of_progress, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(16 * long_write);
    talk.play(stalling({.close = 1h, .close_total = 150ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            auto const begin = clock_type::now();
            auto const at_peer = [&]
            {
                received all;
                for (;;)
                {
                    auto const part = talk.peer.recv_some(4 * 1024);
                    all.data += part.data;
                    all.error = part.error;
                    if (part.data.empty())
                        return all;
                    ::poll(nullptr, 0, 2);
                }
            };
            started<received> peer{executor, in_thread(at_peer)};
            auto const report = co_await s.close();
            BOOST_TEST((clock_type::now() - begin >= 150ms));
            BOOST_TEST(report.reason == close_reason::timed_out);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(report.error == condition::timed_out);
            BOOST_TEST(!report.clean());
            BOOST_TEST(report.send == send_state::failed);
            BOOST_TEST(report.bytes_sent < data.size());
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST(end.code == errc::close_timed_out);
            BOOST_TEST(end.bytes == report.bytes_sent);
            auto const all = co_await peer.result();
            BOOST_TEST(all.data.size() < data.size());
            if constexpr (std::is_same_v<Session, duet::session>)  // Unix-domain sockets have no RST
                BOOST_TEST(all.error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(P30_close_gives_up_on_a_peer_that_never_reads, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling({.close = 60ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            auto const begin = clock_type::now();
            auto const report = co_await s.close();
            BOOST_TEST((clock_type::now() - begin >= 60ms));
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
BOOST_AUTO_TEST_CASE_TEMPLATE(close_gives_up_on_a_peer_that_never_closes, Session, both)
{
    conversation_with<Session> talk;
    talk.play(with({.close = 60ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            co_await write(s, "bye");
            co_await s.shutdown_send();
            // It reads, and hears our FIN, but says none itself.
            auto const at_peer = [&] { return talk.peer.recv_all(); };
            auto const heard = co_await in_thread(at_peer);
            BOOST_TEST(heard.data == "bye");
            BOOST_TEST(heard.error == 0);
            co_await s.delivered();
            auto const begin = clock_type::now();
            auto const report = co_await s.close();
            BOOST_TEST((clock_type::now() - begin >= 60ms));
            BOOST_TEST(report.reason == close_reason::timed_out);
            BOOST_TEST(report.error == errc::close_timed_out);
            BOOST_TEST(report.send == send_state::finished);
            BOOST_TEST(report.receive == receive_state::failed);
            BOOST_TEST(report.bytes_unacknowledged == 0U);
        });
}

// What we had said already is whole: discarding input is progress, and the peer's FIN ends it.
BOOST_AUTO_TEST_CASE_TEMPLATE(input_restarts_the_deadline_of_close, Session, both)
{
    auto const limit = 300ms * sanitizer_factor;
    for (pace sender{limit}; sender.is_to_play();)
    {
        conversation_with<Session> talk;
        talk.play(with({.close = limit, .close_total = 1h}),
            [&](Session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const begin = clock_type::now();
                std::size_t said = 0;
                auto const at_peer = [&]
                {
                    while (clock_type::now() - begin < 2 * limit)
                    {
                        sender.step();
                        said += talk.peer.send_some("x").size;
                        ::poll(nullptr, 0, 10);
                    }
                    sender.step();
                    talk.peer.close();
                };
                started<void> peer{executor, in_thread(at_peer)};
                auto const report = co_await s.close();
                co_await peer.result();
                if (!sender.kept())
                    co_return;
                BOOST_TEST(report.reason == close_reason::discarded_input);
                BOOST_TEST(report.bytes_discarded == said);
            });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(discard_limit_is_exact, Session, both)
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
            conversation_with<Session> talk;
            duet::session_options options;
            options.close_discard_limit = row.limit;
            talk.play(options,
                [&](Session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::string const data = pattern(row.size);
                    auto const at_peer = [&]
                    {
                        std::size_t sent = 0;
                        while (sent < data.size())
                        {
                            auto const part = talk.peer.send_some(std::string_view{data}.substr(sent));
                            if (part.error != 0)
                                break;
                            sent += part.size;
                        }
                        static_cast<void>(talk.peer.shutdown(SHUT_WR));
                    };
                    started<void> peer{executor, in_thread(at_peer)};
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
