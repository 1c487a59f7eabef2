// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Writes: the queue, slow readers, FIN behind them, their deadline, and delivered().

#define BOOST_TEST_MODULE session.write
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/pace.hpp"

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

namespace {

using both = std::tuple<duet::session, duet::unix_session>;
using clock_type = std::chrono::steady_clock;

constexpr auto slow = 400ms * sanitizer_factor;  // of which a live peer needs a twentieth

}  // namespace

BOOST_AUTO_TEST_SUITE(writing)

// P04: a FIN never overtakes a write, and nothing follows it.
BOOST_AUTO_TEST_CASE_TEMPLATE(p04_shutdown_send_waits_for_the_write_and_ends_the_direction, Session, both)
{
    conversation_with<Session> talk{small_window};
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const sent = pattern(long_write);
            started<std::size_t> writing{executor, write(s, sent)};
            co_await settle();
            BOOST_TEST(!writing.done());
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            BOOST_TEST(s.send_state() == send_state::finishing);
            co_await expect_error(write(s, "too late"), errc::send_finished);
            auto const heard = co_await in_thread([&] { return talk.peer.recv_all(); });
            BOOST_TEST((heard.data == sent));
            BOOST_TEST(heard.error == 0);
            auto const size = co_await writing.result();
            BOOST_TEST(size == sent.size());
            co_await finishing.result();
            BOOST_TEST(s.send_state() == send_state::finished);
            co_await shutdown_send(s);  // P13: again
            talk.peer.send_all("answer");
            auto const answer = co_await read(s);
            BOOST_TEST(answer == "answer");
        });
}

BOOST_AUTO_TEST_CASE(writes_that_overlap_queue_in_order_each_whole)
{
    conversation_with<duet::session> talk{small_window};
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::string expected;
            std::deque<std::string> texts;
            std::deque<started<std::size_t>> writes;
            for (std::size_t i = 0; i < 8; ++i)
            {
                texts.push_back(pattern(200000, i));
                expected += texts.back();
                writes.emplace_back(executor, write(s, texts.back()));
                co_await settle();
            }
            auto const heard = co_await in_thread([&] { return talk.peer.recv_exactly(expected.size()); });
            BOOST_TEST((heard == expected));
            for (auto& each : writes)
            {
                auto const size = co_await each.result();
                BOOST_TEST(size == 200000u);
            }
        });
}

BOOST_AUTO_TEST_CASE(a_vectored_write_takes_any_number_of_buffers_empty_ones_too)
{
    conversation_with<duet::session> talk{small_window};
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            std::deque<std::string> parts;
            std::vector<asio::const_buffer> buffers;
            std::string expected;
            for (std::size_t i = 0; i < 100; ++i)
            {
                parts.push_back(pattern(i % 3 == 0 ? 0 : i * 100, i));
                buffers.emplace_back(asio::buffer(parts.back()));
                expected += parts.back();
            }
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, awaited<std::size_t>(s.write(buffers))};
            buffers.clear();  // the list is copied; the bytes are not
            auto const heard = co_await in_thread([&] { return talk.peer.recv_exactly(expected.size()); });
            BOOST_TEST((heard == expected));
            auto const size = co_await writing.result();
            BOOST_TEST(size == expected.size());
            std::vector<asio::const_buffer> const nothing;
            auto const none = co_await s.write(nothing);
            BOOST_TEST(none == 0u);
        });
}

BOOST_AUTO_TEST_CASE(delivered_waits_for_the_peers_acknowledgement)
{
    conversation_with<duet::session> talk{small_window};
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const sent = pattern(long_write);
            started<std::size_t> writing{executor, write(s, sent)};
            started<void> delivering{executor, awaited<void>(s.delivered())};
            for (int i = 0; i < 10; ++i)
                co_await settle();
            BOOST_TEST(!delivering.done());
            auto const heard = co_await in_thread([&] { return talk.peer.recv_exactly(sent.size()); });
            BOOST_TEST((heard == sent));
            co_await writing.result();
            co_await delivering.result();
            BOOST_TEST(unacknowledged_bytes(s.native_handle()) == 0);
        });
}

BOOST_AUTO_TEST_SUITE_END()

// P04: plain Asio cuts this at 3.9 MB, and the peer sees a clean end.
BOOST_AUTO_TEST_CASE_TEMPLATE(P04_eight_megabytes_then_the_fin, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(std::size_t{8} << 20U);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            BOOST_TEST(s.send_state() == send_state::finishing);
            auto const late = co_await outcome_of(write(s, "late"));
            BOOST_TEST(late.code == errc::send_finished);
            auto const at_peer = [&] { return talk.peer.recv_all(); };
            auto const all = co_await in_thread(at_peer);
            BOOST_TEST((all.data == data));
            BOOST_TEST(all.error == 0);
            auto const written = co_await writing.result();
            BOOST_TEST(written == data.size());
            co_await finishing.result();
            BOOST_TEST(s.send_state() == send_state::finished);
            BOOST_TEST(s.bytes_sent() == data.size());
            // P12, P13
            co_await s.shutdown_send();
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(many_writers_stay_in_order_and_whole, Session, both)
{
    conversation_with<Session> talk{small_window};
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::vector<std::unique_ptr<started<std::size_t>>> writing;
            std::string expected;
            for (std::size_t i = 0; i < 20; ++i)
            {
                auto const data = pattern(30'000 + i, i);
                expected += data;
                writing.push_back(std::make_unique<started<std::size_t>>(executor, write(s, data)));
            }
            co_await settle();
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            auto const at_peer = [&] { return talk.peer.recv_all(); };
            auto const all = co_await in_thread(at_peer);
            BOOST_TEST((all.data == expected));
            for (std::size_t i = 0; i < writing.size(); ++i)
            {
                auto const size = co_await writing[i]->result();
                BOOST_TEST(size == 30'000 + i);
            }
            co_await finishing.result();
        });
}

// More buffers than one system call takes, empty ones among them, and every call cut short.
BOOST_AUTO_TEST_CASE_TEMPLATE(vectored_writes_survive_partial_calls, Session, both)
{
    conversation_with<Session> talk{small_window};
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::vector<std::string> parts;
            std::string expected;
            for (std::size_t i = 0; i < 100; ++i)
            {
                parts.push_back(pattern(i % 5 == 0 ? 0 : 1000 * (i % 7) + 1, i));
                expected += parts.back();
            }
            parts.push_back("");
            std::vector<asio::const_buffer> buffers;
            for (auto const& part : parts)
                buffers.push_back(asio::buffer(part));
            auto send = [&]() -> asio::awaitable<std::size_t>
            {
                auto const size = co_await s.write(buffers);
                co_return size;
            };
            started<std::size_t> writing{executor, send()};
            co_await settle();
            buffers.clear();  // the list is ours again; the bytes are not
            auto const at_peer = [&] { return talk.peer.recv_exactly(expected.size()); };
            auto const data = co_await in_thread(at_peer);
            BOOST_TEST((data == expected));
            auto const size = co_await writing.result();
            BOOST_TEST(size == expected.size());
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_to_write_is_written_in_its_turn, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const none = co_await s.write(asio::const_buffer{});
            BOOST_TEST(none == 0U);
            std::vector<asio::const_buffer> const no_buffers;
            auto const still_none = co_await s.write(no_buffers);
            BOOST_TEST(still_none == 0U);
            std::vector<asio::const_buffer> const empty_ones(40);
            auto const empty = co_await s.write(empty_ones);
            BOOST_TEST(empty == 0U);
            co_await s.shutdown_send();
            auto const end = co_await outcome_of(awaited<std::size_t>(s.write(asio::const_buffer{})));
            BOOST_TEST(end.code == errc::send_finished);
        });
}

// What one async_write_some leaves unwritten was never promised.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_part_does_not_poison_on_the_asio_face, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const size = co_await s.async_write_some(asio::buffer(data), asio::use_awaitable);
            BOOST_TEST(size > 0U);
            BOOST_TEST(size < data.size());
            BOOST_TEST(s.send_state() == send_state::open);
            co_await s.shutdown_send();
            auto const at_peer = [&] { return talk.peer.recv_all(); };
            auto const all = co_await in_thread(at_peer);
            BOOST_TEST((all.data == data.substr(0, size)));
            BOOST_TEST(all.error == 0);
        });
}

// cancel() promises operation_aborted to every pending operation, not to the first alone.
BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_every_queued_write_with_cancelled, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> one{executor, write(s, data)};
            started<std::size_t> two{executor, write(s, "two")};
            started<std::size_t> three{executor, write(s, "three")};
            co_await settle();
            started<void> finishing{executor, shutdown_send(s)};
            started<void> delivering{executor, awaited<void>(s.delivered())};
            co_await settle();
            s.cancel();
            auto const a = co_await outcome_of(one.result());
            auto const b = co_await outcome_of(two.result());
            auto const c = co_await outcome_of(three.result());
            auto const d = co_await outcome_of(finishing.result());
            auto const e = co_await outcome_of(delivering.result());
            for (auto const& each : {a, b, c, d, e})
            {
                BOOST_TEST_INFO(each);
                BOOST_TEST(each.code == condition::cancelled);
            }
            BOOST_TEST(a.bytes > 0U);
            BOOST_TEST(b.bytes == 0U);
            auto const later = co_await outcome_of(write(s, "x"));
            BOOST_TEST(later.code == errc::send_poisoned);
            auto const fin = co_await outcome_of(shutdown_send(s));
            BOOST_TEST(fin.code == errc::send_poisoned);
            // P06: the other direction goes on.
            talk.peer.send_all("still here");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "still here");
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(delivered_fails_when_the_write_it_waits_for_is_cut, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling(),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            started<void> delivering{executor, awaited<void>(s.delivered())};
            co_await settle();
            writing.cancel();
            auto const end = co_await outcome_of(delivering.result());
            BOOST_TEST(end.code == errc::send_poisoned);
            auto const again = co_await outcome_of(awaited<void>(s.delivered()));
            BOOST_TEST(again.code == errc::send_poisoned);
            co_await outcome_of(writing.result());
        });
}

// P43: the FIN is out and the bytes are stuck; then a read meets the reset. What waits for delivery must hear of it,
// though the kernel tells an error once.
BOOST_AUTO_TEST_CASE(P43_delivered_ends_when_a_read_meets_the_reset)
{
    tcp_talk talk{small_window};
    auto const data = pattern(100'000);
    duet::session_options options;
    options.send_buffer_size = 1 << 20;
    talk.play(options,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await write(s, data);
            co_await s.shutdown_send();
            started<void> delivering{executor, awaited<void>(s.delivered())};
            started<std::string> reading{executor, read(s)};
            co_await settle();
            BOOST_TEST(!delivering.done());
            talk.peer.reset();
            auto const end = co_await outcome_of(delivering.result());
            BOOST_TEST(end.code == condition::reset);
            auto const at_read = co_await outcome_of(reading.result());
            BOOST_TEST(at_read.code == condition::reset);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(delivered_waits_for_a_slow_reader_and_for_the_fin, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(100'000);
    duet::session_options options;
    options.send_buffer_size = 1 << 20;
    talk.play(options,
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await write(s, data);
            started<void> delivering{executor, awaited<void>(s.delivered())};
            co_await settle();
            BOOST_TEST(!delivering.done());
            auto const at_peer = [&] { return talk.peer.recv_exactly(data.size()); };
            co_await in_thread(at_peer);
            co_await delivering.result();
            BOOST_TEST(unacknowledged_bytes(s.native_handle()) == 0U);
            co_await s.shutdown_send();
            co_await s.delivered();
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_deadline_runs_only_while_no_byte_is_taken, Session, both)
{
    auto const data = pattern(long_write);
    for (pace reader{slow}; reader.is_to_play();)
    {
        conversation_with<Session> talk{small_window};
        talk.play(stalling({.write = slow, .close = slow}),
            [&](Session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const begin = clock_type::now();
                auto const at_peer = [&]
                {
                    std::size_t size = 0;
                    while (clock_type::now() - begin < 2 * slow)
                    {
                        reader.step();
                        size += talk.peer.recv_some(4096).data.size();
                        ::poll(nullptr, 0, std::chrono::milliseconds{slow}.count() / 20);
                    }
                    reader.step();
                    return size + talk.peer.recv_all().data.size();
                };
                started<std::size_t> peer{executor, in_thread(at_peer)};
                auto const written = co_await outcome_of(write(s, data));
                auto const took = clock_type::now() - begin;
                if (written.ok())
                    co_await s.shutdown_send();
                else
                    s.abort();
                auto const size = co_await peer.result();
                if (!reader.kept())
                    co_return;
                BOOST_TEST(written.ok());
                BOOST_TEST((took >= 2 * slow));
                BOOST_TEST(written.bytes == data.size());
                BOOST_TEST(size == data.size());
            });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_deadline_ends_a_stalled_write_with_its_bytes, Session, both)
{
    conversation_with<Session> talk{small_window};
    auto const data = pattern(long_write);
    talk.play(stalling({.write = 50ms}),
        [&](Session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const begin = clock_type::now();
            started<std::size_t> first{executor, write(s, data)};
            started<std::size_t> second{executor, write(s, "second")};
            auto const end = co_await outcome_of(first.result());
            BOOST_TEST((clock_type::now() - begin >= 50ms));
            BOOST_TEST(end.code == errc::write_timed_out);
            BOOST_TEST(end.code == condition::timed_out);
            BOOST_TEST(end.operation == "write");
            BOOST_TEST(end.bytes == s.bytes_sent());
            BOOST_TEST(end.bytes > 0U);
            auto const other = co_await outcome_of(second.result());
            BOOST_TEST(other.code == errc::send_poisoned);
            BOOST_TEST(s.send_state() == send_state::failed);
            BOOST_TEST(s.receive_state() == receive_state::open);
            talk.peer.send_all("x");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "x");
        });
}
