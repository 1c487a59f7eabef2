// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A relay that is out of memory at every allocation in turn: it ends with a report or an error, both connections end,
// and no descriptor and no memory is left.

#include <duet/relay.hpp>

#define BOOST_TEST_MODULE relay.out_of_memory
#include <boost/test/unit_test.hpp>

#include "relay/relay_fixture.hpp"
#include "support/failing_allocations.hpp"

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

namespace {

using peers = std::function<void(raw_socket& left, raw_socket& right)>;

/// What came of one relay.
struct outcome
{
    std::optional<duet::relay_report> report;
    std::exception_ptr failure;
    bool escaped = false;  // Asio had no memory: the exception left run(), and the coroutine is destroyed
};

asio::awaitable<void> relay_once(
    duet::session first, duet::session second, duet::relay_options options, outcome& result)
{
    auto const report = co_await duet::relay(first, second, options);
    BOOST_TEST(first.state() == duet::session_state::closed);
    BOOST_TEST(second.state() == duet::session_state::closed);
    result.report = report;
}

/// Play the peers in a thread, where no allocation fails. A connection of theirs that ends is no failure.
std::thread play_peers(peers const& script, raw_socket& left, raw_socket& right)
{
    return std::thread{[&]
        {
            try
            {
                script(left, right);
            }
            catch (std::system_error const&)
            {
            }
            catch (std::runtime_error const&)  // fewer bytes than expected
            {
            }
            left.close();
            right.close();
        }};
}

void run_context(asio::io_context& context, outcome& result)
{
    auto const deadline = std::chrono::steady_clock::now() + run_guard;
    while (!context.stopped() && std::chrono::steady_clock::now() < deadline)
    {
        try
        {
            context.run_until(deadline);
        }
        catch (std::bad_alloc const&)
        {
            result.escaped = true;
        }
    }
}

bool is_told(duet::relay_direction const& way)
{
    return way.finished || way.error;
}

bool is_of_memory(duet::relay_direction const& way)
{
    return way.error == boost::system::errc::not_enough_memory;
}

/// Relay once, and let one allocation fail. False: there were fewer. `fails`: the peers themselves end the relay with a
/// failure.
bool relay_without_memory(duet::relay_options const& options, peers const& script, bool fails, long before)
{
    no_leaked_descriptors const watched;
    outcome result;
    bool all_failed = false;
    {
        asio::io_context context;
        prepare(context);
        relayed line{context.get_executor()};
        auto on_end = [&](std::exception_ptr thrown) { result.failure = std::move(thrown); };
        asio::co_spawn(context, relay_once(std::move(line.first), std::move(line.second), options, result), on_end);
        auto playing = play_peers(script, line.left, line.right);
        allocations_before_failure = before;
        allocations_to_fail = 1;
        run_context(context, result);
        all_failed = std::exchange(allocations_to_fail, 0) == 0;
        BOOST_TEST_INFO("it hangs");
        BOOST_TEST(context.stopped());
        playing.join();
    }
    BOOST_TEST((result.report || result.failure || result.escaped));
    if (result.report)
    {
        BOOST_TEST(is_told(result.report->forward));
        BOOST_TEST(is_told(result.report->backward));
        bool const whole = result.report->forward.finished && result.report->backward.finished;
        BOOST_TEST((fails || whole || is_of_memory(result.report->forward) || is_of_memory(result.report->backward)));
    }
    else
    {
        BOOST_TEST(all_failed);
    }
    return all_failed;
}

void relay_without_memory(duet::relay_options const& options, peers const& script, bool fails = false)
{
    long before = 0;
    for (bool failed = true; failed; ++before)
        BOOST_TEST_CONTEXT("allocation " << before) failed = relay_without_memory(options, script, fails, before);
    BOOST_TEST(before > 5);
}

}  // namespace

BOOST_AUTO_TEST_CASE(while_both_sides_talk)
{
    relay_without_memory({.splice = false},
        [](raw_socket& left, raw_socket& right)
        {
            left.send_all("a question");
            right.recv_exactly(10);
            right.send_all(pattern(100'000));
            left.recv_exactly(100'000);
            left.shutdown_write();
            right.recv_all();
            right.shutdown_write();
            left.recv_all();
        });
}

BOOST_AUTO_TEST_CASE(while_one_side_has_finished)
{
    relay_without_memory({},
        [](raw_socket& left, raw_socket& right)
        {
            left.shutdown_write();
            right.recv_all();
            right.send_all("an answer");
            right.shutdown_write();
            left.recv_all();
        });
}

BOOST_AUTO_TEST_CASE(while_much_is_moved_by_splice)
{
    relay_without_memory({},
        [](raw_socket& left, raw_socket& right)
        {
            auto sending = std::thread{[&]
                {
                    left.send_some(pattern(2'000'000));
                    left.shutdown(SHUT_WR);
                }};
            auto const got = right.recv_all();
            sending.join();
            right.shutdown_write();
            left.recv_all();
        });
}

BOOST_AUTO_TEST_CASE(while_nobody_says_anything)
{
    relay_without_memory(
        {.idle = 20ms},
        [](raw_socket& left, raw_socket& right)
        {
            left.recv_all();
            right.recv_all();
        },
        true);
}

BOOST_AUTO_TEST_CASE(while_a_side_is_reset)
{
    relay_without_memory(
        {},
        [](raw_socket& left, raw_socket& right)
        {
            left.send_all("hello");
            right.recv_exactly(5);
            left.reset();
            right.recv_all();
        },
        true);
}

#endif
