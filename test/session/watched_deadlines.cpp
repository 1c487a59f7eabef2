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

#include <chrono>

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
