// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Writes: the queue, slow readers, FIN behind them, their deadline, and delivered(). Where the kernel's
// buffers are the point: kernel_buffers.cpp.

#define BOOST_TEST_MODULE session.write
#include <duet/session.hpp>

#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

BOOST_AUTO_TEST_SUITE(writing)

// P04: a FIN never overtakes a write, and nothing follows it.
BOOST_AUTO_TEST_CASE(p04_shutdown_send_waits_for_the_write_and_ends_the_direction)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const sent = pattern(stalling_size);
            started<std::size_t> writing{executor, write(s, sent)};
            co_await settle();
            BOOST_TEST(!writing.done());
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            BOOST_TEST(s.send_state() == send_state::finishing);
            co_await expect_error(write(s, "too late"), errc::send_finished);
            auto const heard = co_await talk.peer.receive_all();
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
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
            auto const heard = co_await talk.peer.receive_exactly(expected.size());
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
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
            auto const heard = co_await talk.peer.receive_exactly(expected.size());
            BOOST_TEST((heard == expected));
            auto const size = co_await writing.result();
            BOOST_TEST(size == expected.size());
            std::vector<asio::const_buffer> const nothing;
            auto const none = co_await s.write(nothing);
            BOOST_TEST(none == 0u);
        });
}

BOOST_AUTO_TEST_SUITE_END()

// P04: plain Asio cuts this at 3.9 MB, and the peer sees a clean end.
BOOST_AUTO_TEST_CASE(P04_eight_megabytes_then_the_fin)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(std::size_t{8} << 20U);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, data)};
            co_await settle();
            started<void> finishing{executor, shutdown_send(s)};
            co_await settle();
            BOOST_TEST(s.send_state() == send_state::finishing);
            auto const late = co_await outcome_of(write(s, "late"));
            BOOST_TEST(late.code == errc::send_finished);
            auto const all = co_await talk.peer.receive_all();
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

BOOST_AUTO_TEST_CASE(many_writers_stay_in_order_and_whole)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
            auto const all = co_await talk.peer.receive_all();
            BOOST_TEST((all.data == expected));
            for (std::size_t i = 0; i < writing.size(); ++i)
            {
                auto const size = co_await writing[i]->result();
                BOOST_TEST(size == 30'000 + i);
            }
            co_await finishing.result();
        });
}

BOOST_AUTO_TEST_CASE(nothing_to_write_is_written_in_its_turn)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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
BOOST_AUTO_TEST_CASE(a_part_does_not_poison_on_the_asio_face)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const size = co_await s.async_write_some(asio::buffer(data), asio::use_awaitable);
            BOOST_TEST(size > 0U);
            BOOST_TEST(size < data.size());
            BOOST_TEST(s.send_state() == send_state::open);
            co_await s.shutdown_send();
            auto const all = co_await talk.peer.receive_all();
            BOOST_TEST((all.data == data.substr(0, size)));
            BOOST_TEST(all.error == 0);
        });
}

// cancel() promises operation_aborted to every pending operation, not to the first alone.
BOOST_AUTO_TEST_CASE(cancel_ends_every_queued_write_with_cancelled)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE(delivered_fails_when_the_write_it_waits_for_is_cut)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE(write_deadline_runs_only_while_no_byte_is_taken)
{
    auto const data = pattern(stalling_size);
    memory_talk talk{small_capacity};
    talk.play(with({.write = 5s, .close = 5s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const begin = talk.now();
            auto const at_peer = [&]() -> asio::awaitable<std::size_t>
            {
                std::size_t size = 0;
                for (int i = 0; i < 4; ++i)
                {
                    co_await talk.pause(5s - 1ns);
                    auto const part = co_await talk.peer.receive_some(4096);
                    size += part.data.size();
                }
                auto const rest = co_await talk.peer.receive_all();
                co_return size + rest.data.size();
            };
            started<std::size_t> peer{executor, at_peer()};
            auto const written = co_await outcome_of(write(s, data));
            BOOST_TEST((talk.now() - begin == 20s - 4ns));
            BOOST_TEST(written.ok());
            if (written.ok())
                co_await s.shutdown_send();
            else
                s.abort();
            auto const size = co_await peer.result();
            BOOST_TEST(written.bytes == data.size());
            BOOST_TEST(size == data.size());
        });
}

BOOST_AUTO_TEST_CASE(write_deadline_counts_from_the_last_byte_that_was_taken)
{
    memory_talk talk{small_capacity};
    talk.play(with({.write = 8s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const begin = talk.now();
            started<std::size_t> writing{executor, write(s, pattern(stalling_size))};
            co_await talk.pause(1500ms);
            BOOST_TEST(talk.peer.recv_exactly(100).size() == 100U);
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST((talk.now() - begin == 1500ms + 8s + tick));
            BOOST_TEST(end.code == errc::write_timed_out);
            BOOST_TEST(end.bytes == small_capacity + 100U);
        });
}

BOOST_AUTO_TEST_CASE(write_deadline_ends_a_stalled_write_with_its_bytes)
{
    memory_talk talk{small_capacity};
    auto const data = pattern(stalling_size);
    talk.play(with({.write = 50ms}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const begin = talk.now();
            started<std::size_t> first{executor, write(s, data)};
            started<std::size_t> second{executor, write(s, "second")};
            auto const end = co_await outcome_of(first.result());
            BOOST_TEST((talk.now() - begin == 50ms + tick));
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

// The channel says that it is writable, and then takes nothing: that is no progress, and no byte in either direction.
BOOST_AUTO_TEST_CASE(no_deadline_is_restarted_by_a_wake_up_without_progress)
{
    for (bool const idle : {false, true})
    {
        BOOST_TEST_CONTEXT("idle " << idle)
        {
            memory_talk talk{small_capacity};
            duet::deadlines values;
            (idle ? values.idle : values.write) = 50ms;
            talk.play(with(values),
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    auto& near = s.lowest_layer().behaviour();
                    auto const begin = talk.now();
                    started<std::size_t> writing{executor, write(s, pattern(stalling_size))};
                    for (int i = 0; i < 4; ++i)
                    {
                        co_await talk.pause(9ms);
                        ++near.capacity;
                        talk.peer.send_all("x");                         // the stream looks who can go on
                        asio::post(executor, [&] { --near.capacity; });  // before it tells
                        co_await talk.pause(1ms);
                    }
                    auto const end = co_await outcome_of(writing.result());
                    // Idle gets its time twice: nobody has looked before at what the peer has not read.
                    BOOST_TEST((talk.now() - begin == (idle ? 2 : 1) * (50ms + tick)));
                    BOOST_TEST(end.code == (idle ? errc::idle_timed_out : errc::write_timed_out));
                    BOOST_TEST(end.bytes == small_capacity);
                });
        }
    }
}

// As long as its peer takes all, a write could keep its thread for ever.
BOOST_AUTO_TEST_CASE(a_write_that_is_taken_in_small_parts_lets_others_have_their_turns)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            s.lowest_layer().behaviour().most_per_write = 1;
            std::vector<std::uint64_t> sent;
            std::function<void()> look = [&]
            {
                sent.push_back(s.bytes_sent());
                if (sent.back() < 1000)
                    asio::post(executor, look);
            };
            asio::post(executor, look);
            co_await write(s, pattern(1000));
            co_await settle();
            BOOST_TEST(sent.back() == 1000U);
            BOOST_TEST(sent.front() <= 64U);
            for (std::size_t i = 1; i < sent.size(); ++i)
                BOOST_TEST(sent[i] - sent[i - 1] <= 64U);
        });
}
