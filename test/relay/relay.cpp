// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A relay between two connections in memory: what it passes on, and its deadlines. What needs the kernel is in
// kernel.cpp and splice.cpp.

#include <duet/relay.hpp>

#define BOOST_TEST_MODULE relay.relay

#include "session/memory_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::relay_report;

namespace {

constexpr auto idle = 1min;

/// Two connections, and the relay between them: left | first ... second | right.
struct relayed
{
    using stream = duet::testing::memory_stream;

    /// Relay while `script` plays the two peers. The sessions have ended when the relay has.
    template <class Script>
    relay_report play(duet::relay_options const& options, Script script)
    {
        relay_report report;
        auto const both = [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<relay_report> relaying{executor, duet::relay(first, second, options)};
            co_await script();
            report = co_await relaying.result();
        };
        time.run(both());
        BOOST_TEST(first.state() == duet::session_state::closed);
        BOOST_TEST(second.state() == duet::session_state::closed);
        return report;
    }

    /// Let the peer send until the relay takes no more.
    asio::awaitable<void> fill(memory_peer& peer)
    {
        std::string const more(1024, 'x');
        for (std::size_t size = more.size(); size > 0;)
        {
            size = peer.send_some(more);
            co_await time.until([] { return true; });  // all that is ready has run
        }
    }

    simulated_time time;
    std::pair<stream, stream> left_pair{stream::pair(time.context.get_executor())};
    std::pair<stream, stream> right_pair{stream::pair(time.context.get_executor())};
    memory_peer left{std::move(left_pair.first)};
    memory_peer right{std::move(right_pair.second)};
    memory_session first{std::move(left_pair.second)};
    memory_session second{std::move(right_pair.first)};
};

}  // namespace

// A drain: the client has asked for nothing, so the end is passed on like its FIN.
BOOST_AUTO_TEST_CASE(a_relay_that_has_carried_nothing_ends_when_it_is_asked_to_finish)
{
    relayed line;
    auto const report = line.play({},
        [&]() -> asio::awaitable<void>
        {
            co_await line.time.pause(1min);
            line.first.request_finish(200ms);
            auto const end = co_await line.right.receive_some();
            BOOST_TEST(end.eof());
            line.right.send_all("goodbye");
            line.right.shutdown_write();
            auto const last = co_await line.left.receive_all();
            BOOST_TEST(last.data == "goodbye");
            BOOST_TEST(last.error == 0);
        });
    BOOST_TEST(report.forward.finished);
    BOOST_TEST(report.backward.finished);
}

// It does not know where a message ends, so a pause is no end of one.
BOOST_AUTO_TEST_CASE(a_relay_that_has_carried_bytes_goes_on_when_it_is_asked_to_finish)
{
    relayed line;
    auto const report = line.play({},
        [&]() -> asio::awaitable<void>
        {
            line.left.send_all("half");
            auto const half = co_await line.right.receive_exactly(4);
            BOOST_TEST(half == "half");
            line.first.request_finish(200ms);
            co_await line.time.pause(1min);
            line.left.send_all(" and half");
            line.left.shutdown_write();
            auto const rest = co_await line.right.receive_all();
            BOOST_TEST(rest.data == " and half");
            line.right.shutdown_write();
        });
    BOOST_TEST(report.forward.finished);
    BOOST_TEST(report.backward.finished);
}

BOOST_AUTO_TEST_CASE(a_fin_is_passed_on_and_the_other_direction_goes_on)
{
    for (bool const left_is_first : {true, false})
    {
        relayed line;
        auto const report = line.play({},
            [&]() -> asio::awaitable<void>
            {
                memory_peer& early = left_is_first ? line.left : line.right;
                memory_peer& late = left_is_first ? line.right : line.left;
                early.send_all("question");
                auto const question = co_await late.receive_exactly(8);
                BOOST_TEST(question == "question");
                early.shutdown_write();
                auto const fin = co_await late.receive_some();
                BOOST_TEST(fin.eof());
                late.send_all("answer after it");
                late.shutdown_write();
                auto const answer = co_await early.receive_all();
                BOOST_TEST(answer.data == "answer after it");
                BOOST_TEST(answer.error == 0);
            });
        BOOST_TEST(report.clean());
        BOOST_TEST(report.forward.finished);
        BOOST_TEST(report.backward.finished);
        BOOST_TEST(!report.forward.error);
        BOOST_TEST(!report.backward.error);
        BOOST_TEST((left_is_first ? report.forward : report.backward).bytes == 8U);
        BOOST_TEST((left_is_first ? report.backward : report.forward).bytes == 15U);
        BOOST_TEST(report.first.reason == close_reason::clean);
        BOOST_TEST(report.second.reason == close_reason::clean);
    }
}

BOOST_AUTO_TEST_CASE(a_side_that_takes_nothing_stops_only_what_is_meant_for_it)
{
    auto const data = pattern(1024 * 1024);
    for (std::size_t const room : {std::size_t{1000}, std::size_t{256} * 1024})
    {
        relayed line;
        auto const report = line.play({.buffer_size = room},
            [&]() -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                auto const say = [&](memory_peer& peer) -> asio::awaitable<void>
                {
                    co_await peer.send(data);
                    peer.shutdown_write();
                };
                started<void> from_left{executor, say(line.left)};
                started<void> from_right{executor, say(line.right)};
                // The right side reads nothing until the left one has had all of its answer.
                auto const at_left = co_await line.left.receive_all();
                BOOST_TEST(!from_left.done());
                auto const at_right = co_await line.right.receive_all();
                for (auto const* const each : {&at_left, &at_right})
                {
                    BOOST_TEST((each->data == data));
                    BOOST_TEST(each->error == 0);
                }
                co_await from_left.result();
                co_await from_right.result();
            });
        BOOST_TEST(report.clean());
        BOOST_TEST(report.forward.bytes == data.size());
        BOOST_TEST(report.backward.bytes == data.size());
    }
}

// P09: the other side is silent, and no write of the relay's would ever meet the reset.
BOOST_AUTO_TEST_CASE(P09_a_reset_becomes_a_reset_while_the_other_side_is_silent)
{
    for (bool const left_resets : {true, false})
    {
        relayed line;
        auto const report = line.play({},
            [&]() -> asio::awaitable<void>
            {
                memory_peer& gone = left_resets ? line.left : line.right;
                memory_peer& silent = left_resets ? line.right : line.left;
                gone.send_all("half an ans");
                auto const before = co_await silent.receive_exactly(11);
                BOOST_TEST(before == "half an ans");
                gone.reset();
                auto const end = co_await silent.receive_all();
                BOOST_TEST(end.data == "");
                BOOST_TEST(end.error == ECONNRESET);
            });
        auto const& way = left_resets ? report.forward : report.backward;
        BOOST_TEST(!report.clean());
        BOOST_TEST(!way.finished);
        BOOST_TEST((way.error == duet::condition::reset));
        BOOST_TEST(way.bytes == 11U);
        BOOST_TEST((left_resets ? report.first : report.second).reason == close_reason::peer_reset);
        BOOST_TEST((left_resets ? report.second : report.first).reason == close_reason::aborted);
    }
}

// P09: the side that dies is read from by nobody, since the other one takes nothing.
BOOST_AUTO_TEST_CASE(P09_a_reset_is_noticed_while_the_other_side_takes_nothing)
{
    relayed line;
    auto const report = line.play({},
        [&]() -> asio::awaitable<void>
        {
            co_await line.fill(line.left);
            line.left.reset();  // and the relay ends, though nothing is taken
        });
    BOOST_TEST(line.right.recv_all().error == ECONNRESET);
    BOOST_TEST(!report.forward.finished);
    BOOST_TEST(report.forward.error == duet::condition::reset);
    BOOST_TEST(report.first.reason == close_reason::peer_reset);
}

BOOST_AUTO_TEST_CASE(an_idle_relay_ends)
{
    relayed line;
    auto const begin = line.time.now();
    auto const report = line.play({.idle = idle},
        [&]() -> asio::awaitable<void>
        {
            for (auto* const each : {&line.left, &line.right})
            {
                auto const end = co_await each->receive_all();
                BOOST_TEST(end.data == "");
                BOOST_TEST(end.error == ECONNRESET);
            }
            BOOST_TEST((line.time.now() - begin == idle + tick));
        });
    bool const first = report.first.reason == close_reason::timed_out;
    bool const second = report.second.reason == close_reason::timed_out;
    BOOST_TEST((first || second));
    auto const cause = first ? report.forward.error : report.backward.error;
    BOOST_TEST((cause == duet::errc::idle_timed_out));
}

// Nor is it a byte that the other side's deadline has just been looked at: each has bytes that nobody takes.
BOOST_AUTO_TEST_CASE(an_idle_relay_ends_though_both_sides_are_stuck)
{
    relayed line;
    auto const begin = line.time.now();
    auto const report = line.play({.idle = idle},
        [&]() -> asio::awaitable<void>
        {
            co_await line.fill(line.right);
            co_await line.fill(line.left);
        });
    BOOST_TEST((line.time.now() - begin >= idle));
    BOOST_TEST((line.time.now() - begin <= 2 * (idle + tick)));
    BOOST_TEST(!report.forward.finished);
    BOOST_TEST(!report.backward.finished);
    BOOST_TEST((report.first.reason == close_reason::timed_out || report.second.reason == close_reason::timed_out));
}

// While the receiver takes in what has been said, nobody reads from the sender: it is not idle for that.
BOOST_AUTO_TEST_CASE(a_slow_receiver_keeps_the_relay_from_being_idle)
{
    auto const data = pattern(1024 * 1024);
    relayed line;
    auto const report = line.play({.idle = idle},
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> says{executor, line.left.send(data)};
            std::string heard;
            for (int i = 0; i < 8; ++i)
            {
                auto const part = co_await line.right.receive_some(1024);
                heard += part.data;
                BOOST_TEST(part.error == 0);
                co_await line.time.pause(idle / 2);
            }
            auto const rest = co_await line.right.receive_exactly(data.size() - heard.size());
            BOOST_TEST((heard + rest == data));
            line.left.shutdown_write();
            line.right.shutdown_write();
            for (auto* const each : {&line.right, &line.left})
            {
                auto const end = co_await each->receive_all();
                BOOST_TEST(end.eof());
            }
            auto const said = co_await says.result();
            BOOST_TEST(said == data.size());
        });
    BOOST_TEST(report.clean());
}

BOOST_AUTO_TEST_CASE(a_half_closed_relay_ends)
{
    relayed line;
    auto const begin = line.time.now();
    auto const report = line.play({.half_closed = 1min},
        [&]() -> asio::awaitable<void>
        {
            line.left.shutdown_write();
            auto const fin = co_await line.right.receive_some();
            BOOST_TEST(fin.eof());
            auto const end = co_await line.left.receive_all();
            BOOST_TEST(end.data == "");
            BOOST_TEST(end.error == ECONNRESET);
            BOOST_TEST((line.time.now() - begin == 1min + tick));
        });
    BOOST_TEST(report.forward.finished);
    BOOST_TEST(!report.backward.finished);
    BOOST_TEST(report.backward.error);
}

BOOST_AUTO_TEST_CASE(cancellation_resets_both)
{
    relayed line;
    auto const script = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        started<relay_report> relaying{executor, duet::relay(line.first, line.second)};
        line.left.send_all("begun");
        auto const begun = co_await line.right.receive_exactly(5);
        BOOST_TEST(begun == "begun");
        relaying.cancel();
        auto const report = co_await relaying.result();
        BOOST_TEST((report.forward.error == error::operation_aborted));
        BOOST_TEST((report.backward.error == error::operation_aborted));
        BOOST_TEST(report.forward.bytes == 5U);
        BOOST_TEST(report.first.reason == close_reason::aborted);
        BOOST_TEST(report.second.reason == close_reason::aborted);
        BOOST_TEST(line.left.recv_all().error == ECONNRESET);
        BOOST_TEST(line.right.recv_all().error == ECONNRESET);
    };
    line.time.run(script());
}

BOOST_AUTO_TEST_CASE(sessions_that_have_ended_before)
{
    relayed line;
    auto const script = [&]() -> asio::awaitable<void>
    {
        line.first.abort();
        relay_report const report = co_await duet::relay(line.first, line.second);
        BOOST_TEST((report.forward.error == duet::errc::aborted));
        BOOST_TEST(report.second.reason == close_reason::aborted);
        BOOST_TEST(line.right.recv_all().error == ECONNRESET);
    };
    line.time.run(script());
}
