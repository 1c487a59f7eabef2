// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Cancellation by Asio's slots, of every operation and with every type (P41): what it leaves behind, and that it
// disturbs nothing else.

#define BOOST_TEST_MODULE session.cancellation
#include <duet/session.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using asio::cancellation_type;
using duet::close_reason;
using duet::condition;
using duet::send_state;

namespace {

constexpr cancellation_type types[] = {
    cancellation_type::partial, cancellation_type::total, cancellation_type::terminal};

// One operation under way with a slot of its own, as a callback: nothing of a coroutine filters the type.
struct pending
{
    int times = 0;
    boost::system::error_code code{};
    std::size_t size = 0;
    asio::cancellation_signal signal{};

    auto handler()
    {
        return asio::bind_cancellation_slot(signal.slot(),
            [this](boost::system::error_code error, auto const&... result)
            {
                ++times;
                code = error;
                if constexpr ((std::is_same_v<std::decay_t<decltype(result)>, std::size_t> && ...) &&
                              sizeof...(result) > 0)
                    ((size = result), ...);
            });
    }
};

// A session whose peer never reads: every kind of waiting can be had.
struct stalled_talk
{
    stalled_talk() : s{talk.make()} {}

    void turn() { talk.time.clock.run_ready(); }

    // Run until it has completed, or fail.
    void wait_for(pending const& one)
    {
        talk.time.run_until([&] { return one.times > 0; }, "the end of an operation");
        BOOST_TEST(one.times == 1);
    }

    memory_talk talk{small_capacity};
    memory_session s;
    std::string long_data = pattern(stalling_size);
    std::string buffer = std::string(10, '\0');
};

}  // namespace

BOOST_AUTO_TEST_CASE(reads_heed_every_type_before_the_first_byte)
{
    for (auto const type : types)
        for (int kind = 0; kind < 4; ++kind)
        {
            BOOST_TEST_CONTEXT("type " << static_cast<int>(type) << ", kind " << kind)
            {
                stalled_talk t;
                pending read;
                if (kind == 0)
                    t.s.read_some(asio::buffer(t.buffer))(read.handler());
                else if (kind == 1)
                    t.s.read(asio::buffer(t.buffer))(read.handler());
                else if (kind == 2)
                    t.s.async_read_some(asio::buffer(t.buffer), read.handler());
                else
                    t.s.wait_readable()(read.handler());
                t.turn();
                BOOST_TEST(read.times == 0);
                read.signal.emit(cancellation_type::none);
                t.turn();
                BOOST_TEST(read.times == 0);
                read.signal.emit(type);
                BOOST_TEST(read.times == 0);  // never from within the emit
                t.turn();
                BOOST_TEST(read.times == 1);
                BOOST_TEST(read.code == condition::cancelled);
                BOOST_TEST(read.code == error::operation_aborted);
                BOOST_TEST(read.size == 0U);
                read.signal.emit(type);  // stale: nothing is there
                // Nothing is lost.
                t.talk.peer.send_all("later");
                pending again;
                t.s.read_some(asio::buffer(t.buffer))(again.handler());
                read.signal.emit(type);
                t.wait_for(again);
                BOOST_TEST(!again.code);
                BOOST_TEST(t.buffer.substr(0, again.size) == "later");
            }
        }
}

BOOST_AUTO_TEST_CASE(an_exact_read_that_has_begun_heeds_partial_and_terminal_only)
{
    for (auto const type : types)
    {
        BOOST_TEST_CONTEXT("type " << static_cast<int>(type))
        {
            stalled_talk t;
            pending read;
            t.s.read(asio::buffer(t.buffer))(read.handler());
            t.talk.peer.send_all("abc");
            t.turn();
            BOOST_TEST(t.s.bytes_received() == 3U);
            read.signal.emit(type);
            t.turn();
            if (type == cancellation_type::total)
            {
                BOOST_TEST(read.times == 0);
                t.talk.peer.send_all("defghij");
                t.wait_for(read);
                BOOST_TEST(!read.code);
                BOOST_TEST(read.size == 10U);
                BOOST_TEST(t.buffer == "abcdefghij");
            }
            else
            {
                BOOST_TEST(read.times == 1);
                BOOST_TEST(read.code == condition::cancelled);
                BOOST_TEST(read.size == 3U);
                BOOST_TEST(t.buffer.substr(0, 3) == "abc");
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_write_is_cut_by_partial_and_terminal_but_not_by_total)
{
    for (auto const type : types)
    {
        BOOST_TEST_CONTEXT("type " << static_cast<int>(type))
        {
            stalled_talk t;
            pending first;
            pending queued;
            t.s.write(asio::buffer(t.long_data))(first.handler());
            t.s.write(asio::buffer(t.long_data))(queued.handler());
            t.turn();
            // Not a byte of it was taken: every type leaves the session as it was.
            queued.signal.emit(type);
            t.turn();
            BOOST_TEST(queued.times == 1);
            BOOST_TEST(queued.code == condition::cancelled);
            BOOST_TEST(queued.size == 0U);
            BOOST_TEST(t.s.send_state() == send_state::open);
            first.signal.emit(type);
            t.turn();
            if (type == cancellation_type::total)
            {
                BOOST_TEST(first.times == 0);
                BOOST_TEST(t.s.send_state() == send_state::open);
            }
            else
            {
                BOOST_TEST(first.times == 1);
                BOOST_TEST(first.code == condition::cancelled);
                BOOST_TEST(first.size > 0U);
                BOOST_TEST(first.size == t.s.bytes_sent());
                BOOST_TEST(t.s.send_state() == send_state::failed);
            }
        }
    }
}

// Everything that can wait at the same time waits; one is cancelled, and the others go on to their ends.
BOOST_AUTO_TEST_CASE(a_cancelled_operation_disturbs_no_other)
{
    enum : int
    {
        reading,
        finishing,
        delivering,
        gone,
        count
    };
    for (int victim = 0; victim < count; ++victim)
        for (auto const type : types)
        {
            BOOST_TEST_CONTEXT("victim " << victim << ", type " << static_cast<int>(type))
            {
                stalled_talk t;
                pending write;
                pending others[count];
                t.s.write(asio::buffer(t.long_data))(write.handler());
                t.s.read_some(asio::buffer(t.buffer))(others[reading].handler());
                t.s.shutdown_send()(others[finishing].handler());
                t.s.delivered()(others[delivering].handler());
                t.s.wait_peer_gone()(others[gone].handler());
                t.turn();
                others[victim].signal.emit(type);
                t.turn();
                for (int i = 0; i < count; ++i)
                    BOOST_TEST(others[i].times == (i == victim ? 1 : 0));
                BOOST_TEST(others[victim].code == condition::cancelled);
                BOOST_TEST(write.times == 0);

                // The FIN stays queued, whoever waits for it.
                received all;
                auto const at_peer = [&]() -> asio::awaitable<void>
                {
                    all = co_await t.talk.peer.receive_all();
                    t.talk.peer.send_all("answer");
                    t.talk.peer.close();
                };
                asio::co_spawn(t.talk.context, at_peer(), asio::detached);
                for (int i = 0; i < count; ++i)
                    if (i != victim && i != gone)
                        t.wait_for(others[i]);
                t.wait_for(write);
                BOOST_TEST((all.data == t.long_data));
                BOOST_TEST(all.error == 0);
                BOOST_TEST(!write.code);
                for (int i = 0; i < count; ++i)
                    if (i != victim)
                        BOOST_TEST(!others[i].code);
                if (victim != gone)
                    t.wait_for(others[gone]);
                if (victim != reading)
                    BOOST_TEST(t.buffer.substr(0, others[reading].size) == "answer");
                else
                {
                    pending later;
                    t.s.read_some(asio::buffer(t.buffer))(later.handler());
                    t.wait_for(later);
                    BOOST_TEST(t.buffer.substr(0, later.size) == "answer");
                }
            }
        }
}

// P41: the buffer is the caller's again when the operation has completed. (AddressSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(P41_the_buffer_is_free_after_a_cancelled_read)
{
    stalled_talk t;
    for (int i = 0; i < 20; ++i)
    {
        auto buffer = std::make_unique<std::string>(1000, 'u');
        pending read;
        t.s.read_some(asio::buffer(*buffer))(read.handler());
        t.turn();
        read.signal.emit(cancellation_type::terminal);
        t.turn();
        BOOST_TEST(read.times == 1);
        t.talk.peer.send_all("x");
        t.turn();
        BOOST_TEST((*buffer == std::string(1000, 'u')));
        pending next;
        t.s.read_some(asio::buffer(t.buffer))(next.handler());
        t.wait_for(next);
        BOOST_TEST(next.size == 1U);
        BOOST_TEST((*buffer == std::string(1000, 'u')));
    }
}

BOOST_AUTO_TEST_CASE(a_cancelled_read_loses_no_byte_and_disturbs_no_other_operation)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const sent = pattern(stalling_size);
            started<std::size_t> writing{executor, write(s, sent)};
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            for (int i = 0; i < 20; ++i)
            {
                started<std::string> reading{executor, read(s)};
                co_await settle();
                reading.cancel();
                co_await expect_error(reading.result(), condition::cancelled);
            }
            BOOST_TEST(!writing.done());
            BOOST_TEST(!gone.done());
            talk.peer.send_all("kept");
            auto const heard = co_await read(s);
            BOOST_TEST(heard == "kept");
            auto const all = co_await talk.peer.receive_exactly(sent.size());
            BOOST_TEST((all == sent));
            auto const size = co_await writing.result();
            BOOST_TEST(size == sent.size());
            gone.cancel();
            co_await expect_error(gone.result(), condition::cancelled);
        });
}

BOOST_AUTO_TEST_CASE(total_cancellation_of_a_write_is_heeded_only_before_its_first_byte)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const first = pattern(stalling_size, 1);
            auto const second = pattern(1000, 2);
            asio::cancellation_signal stop_first;
            asio::cancellation_signal stop_second;
            std::vector<duet::error_code> first_end;
            std::vector<duet::error_code> second_end;
            s.write(asio::buffer(first))(asio::bind_cancellation_slot(
                stop_first.slot(), [&](duet::error_code code, std::size_t) { first_end.push_back(code); }));
            s.write(asio::buffer(second))(asio::bind_cancellation_slot(
                stop_second.slot(), [&](duet::error_code code, std::size_t) { second_end.push_back(code); }));
            stop_first.emit(asio::cancellation_type::total);
            stop_second.emit(asio::cancellation_type::total);
            co_await talk.until([&] { return !second_end.empty(); });
            BOOST_TEST((second_end[0] == condition::cancelled));
            BOOST_TEST(first_end.empty());
            auto const heard = co_await talk.peer.receive_exactly(first.size());
            BOOST_TEST((heard == first));
            co_await talk.until([&] { return !first_end.empty(); });
            BOOST_TEST(!first_end[0]);
            co_await write(s, "and on");
            BOOST_TEST(talk.peer.recv_exactly(6) == "and on");
        });
}

BOOST_AUTO_TEST_CASE(a_coroutine_is_cancelled_through_co_spawns_slot)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::string line = "begun ";
            started<std::size_t> reading{executor, s.read_until(line, "\n", 100)};
            talk.peer.send_all("abc");
            co_await talk.until([&] { return s.bytes_received() == 3; });
            reading.cancel();
            auto const end = co_await outcome_of(reading.result());
            BOOST_TEST(end.code == condition::cancelled);
            BOOST_TEST(line == "begun abc");
            BOOST_TEST(end.bytes == 3U);
            talk.peer.send_all("def\n");
            auto const size = co_await s.read_until(line, "\n", 100);
            BOOST_TEST(line.substr(0, size) == "begun abcdef\n");
        });
}
