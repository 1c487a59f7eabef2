// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Writes where the kernel is the point: more buffers than one system call takes, and delivered(), which asks how many
// bytes the peer's kernel has not acknowledged.

#define BOOST_TEST_MODULE session.kernel_buffers
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <string>
#include <tuple>
#include <vector>

using namespace duet_test;
using duet::condition;

namespace {

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;

}  // namespace

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
