// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The edges of the session's writes: slow readers, the queue, FIN behind it, and delivered(). The plain cases are in
// session.cpp.

#define BOOST_TEST_MODULE session.write
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <cerrno>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::send_state;

namespace {

using both = std::tuple<duet::session, duet::unix_session>;

}  // namespace

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
