// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/cancellation.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.cancellation
#include "session/memory_fixture.hpp"

#include <duet/canceller.hpp>
#include <duet/tasks.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "support/started.hpp"

#include <array>
#include <chrono>
#include <string>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> read_once(memory_session& peer, std::array<char, 16>& buffer)
{
    co_await peer.read_some(asio::buffer(buffer));
}

// The timer is duet's, since the test moves the clock.
asio::awaitable<bool> race(memory_session& peer, duet::detail::timer& timer)
{
    std::array<char, 16> buffer{};
    using namespace asio::experimental::awaitable_operators;

    auto const first = co_await (peer.read_some(asio::buffer(buffer)) || timer.async_wait(asio::use_awaitable));
    bool const ticked = first.index() == 1;

    co_return ticked;
}

asio::awaitable<void> forward(memory_session& from, memory_session& to)
{
    std::array<char, 256> buffer{};
    for (;;)
    {
        auto const size = co_await from.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await to.write(asio::buffer(buffer, size));
    }
    co_await to.shutdown_send();
}

asio::awaitable<void> forward_both(memory_session& peer, memory_session& upstream)
{
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(forward(upstream, peer));
        tasks.begin(forward(peer, upstream));
        co_return;
    };
    co_await duet::with_tasks(body);
}

void cancel_later(memory_session& peer)
{
    duet::canceller const handle = peer.canceller();  // may be copied, and may outlive the session

    handle.cancel();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_read_that_loses_has_read_nothing)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            duet::detail::timer timer{talk.context.get_executor()};
            timer.expires_after(1s);
            bool const ticked = co_await race(peer, timer);
            BOOST_TEST(ticked);
            talk.peer.send_all("late");
            std::array<char, 16> buffer{};
            auto const size = co_await peer.read_some(asio::buffer(buffer));
            BOOST_TEST(size == 4U);
        });
}

BOOST_AUTO_TEST_CASE(a_canceller_cancels)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            std::array<char, 16> buffer{};
            cancel_later(peer);  // it is posted, so it finds the read
            co_await expect_error(read_once(peer, buffer), duet::condition::cancelled);
            BOOST_TEST((peer.state() == duet::session_state::open));
        });
}

BOOST_AUTO_TEST_CASE(tasks_end_together)
{
    memory_talk talk;
    auto other = duet::testing::memory_stream::pair(talk.context.get_executor());
    memory_peer server{std::move(other.second)};
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            memory_session upstream{std::move(other.first)};
            talk.peer.send_all("question");
            talk.peer.shutdown_write();
            server.send_all("answer");
            server.shutdown_write();
            co_await forward_both(peer, upstream);
            BOOST_TEST(server.recv_all().data == "question");
            BOOST_TEST(talk.peer.recv_all().data == "answer");
        });
}
