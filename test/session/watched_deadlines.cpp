// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The deadlines of a session that has sent something, whose peer's host is watched therefore: each passes at its time,
// not when the watch looks. On sockets of the kernel, because the watch asks TCP_INFO, and on a clock that moves by
// itself.

#define BOOST_TEST_MODULE session.watched_deadlines
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/operations.hpp"
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/fd.hpp"
#include "support/raw_peer.hpp"
#include "support/simulated_time.hpp"
#include "support/started.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;

namespace {

struct fixture
{
    fixture() { prepare(time.context); }

    /// Runs `body` and requires that a read then fails with `error` after `limit`.
    template <class Body>
    void requires_end(duet::deadlines const& limits, duet::error_code error, Body body)
    {
        auto const played = [&](duet::session s) -> asio::awaitable<void>
        {
            co_await body(s);
            auto const begin = time.now();
            co_await expect_error(read(s), error);
            // The acknowledgement of what was sent is progress, of the kernel's time. The watch looks after 30 s.
            BOOST_TEST((time.now() - begin >= limit));
            BOOST_TEST((time.now() - begin <= 2 * (limit + tick)));
        };
        time.run(played(adopt(pair.server, time.context.get_executor(), with(limits))));
    }

    static constexpr auto limit = 200ms;
    no_leaked_descriptors const descriptors;
    simulated_time time;
    raw_pair pair = connected_pair();
};

asio::awaitable<void> say_something(duet::session& s)
{
    co_await write(s, "hello");
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(a_session_that_has_sent, fixture)

BOOST_AUTO_TEST_CASE(idle)
{
    requires_end({.idle = limit}, errc::idle_timed_out, say_something);
}

BOOST_AUTO_TEST_CASE(first_message)
{
    requires_end({.first_message = limit}, errc::first_message_timed_out, say_something);
}

BOOST_AUTO_TEST_CASE(next_message)
{
    requires_end({.next_message = limit}, errc::next_message_timed_out, say_something);
}

BOOST_AUTO_TEST_CASE(message)
{
    requires_end({.message = limit}, errc::message_timed_out,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await write(s, "hello");
            pair.client.send_all("half of a message");
            auto const half = co_await read(s);
            BOOST_TEST(half == "half of a message");
        });
}

// The wake-up is set for the end of `idle`, which is later.
BOOST_AUTO_TEST_CASE(message_of_a_session_that_has_waited)
{
    requires_end({.idle = 1h, .message = limit}, errc::message_timed_out,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            pair.client.send_all("half of a message");
            auto const half = co_await reading.result();
            BOOST_TEST(half == "half of a message");
        });
}

// A wait that is no read has set the wake-up, before the limits had a deadline of a read.
BOOST_AUTO_TEST_CASE(first_message_beside_another_wait)
{
    requires_end({.idle = 1h, .first_message = limit}, errc::first_message_timed_out,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            asio::co_spawn(
                executor, [&s]() -> asio::awaitable<void> { co_await s.wait_peer_gone(); }, asio::detached);
            co_await settle();
        });
}

BOOST_AUTO_TEST_CASE(set_while_a_wake_up_is_set)
{
    requires_end({.idle = 1h}, errc::idle_timed_out,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            asio::post(executor, [&] { pair.client.send_all("well?"); });
            auto const question = co_await read(s);
            BOOST_TEST(question == "well?");
            s.set_deadlines({.idle = limit});
        });
}

BOOST_AUTO_TEST_CASE(half_closed)
{
    requires_end({.half_closed = limit}, errc::half_closed_timed_out,
        [](duet::session& s) -> asio::awaitable<void>
        {
            co_await write(s, "all of it");
            co_await s.shutdown_send();
        });
}

BOOST_AUTO_TEST_CASE(set_while_the_watch_is_under_way)
{
    requires_end({}, errc::idle_timed_out,
        [&](duet::session& s) -> asio::awaitable<void>
        {
            co_await write(s, "hello");
            pair.client.send_all("well?");
            co_await s.wait_readable();
            auto const question = co_await read(s);
            BOOST_TEST(question == "well?");
            s.set_deadlines({.idle = limit});
        });
}

BOOST_AUTO_TEST_SUITE_END()
