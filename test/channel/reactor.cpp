// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sockets in a reactor of duet's: what an event tells and what it does not, and who is called by it. The suites of the
// session run with it, too (DUET_TEST_REACTOR).

#define BOOST_TEST_MODULE channel.reactor
#include <duet/detail/channel/reactor.hpp>

#include "channel/reactor_fixture.hpp"
#include "support/kernel.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

// ---- What an event tells. ------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_end_that_came_with_the_last_bytes_is_read)
{
    asio::io_context context;
    talk one{context};
    one.peer.send_all("abc");
    one.peer.shutdown_write();
    for (auto const* const expected : {"abc", ""})
    {
        one.read();
        run_until(context, [&] { return one.told.has_value(); });
        BOOST_TEST(one.data() == expected);
    }
    BOOST_TEST(one.told->first == asio::error::eof);
}

BOOST_AUTO_TEST_CASE(bytes_behind_an_urgent_one_are_read)
{
    asio::io_context context;
    talk one{context};
    one.peer.send_all("ab");
    BOOST_REQUIRE(::send(one.peer.fd(), "!", 1, MSG_OOB) == 1);
    one.peer.send_all("cd");
    std::string all;
    while (all.size() < 4)
    {
        one.read();
        run_until(context, [&] { return one.told.has_value(); });
        BOOST_REQUIRE(!one.told->first);
        all += one.data();
    }
    BOOST_TEST(all == "abcd");
}

BOOST_AUTO_TEST_CASE(a_reset_that_came_while_nobody_read_is_told_to_the_next_read)
{
    asio::io_context context;
    talk one{context};
    talk other{context};
    other.read();
    one.peer.reset();
    other.peer.send_all("x");
    run_until(context, [&] { return other.told.has_value(); });
    one.read();
    run_until(context, [&] { return one.told.has_value(); });
    BOOST_TEST(one.told->first == duet::condition::reset);
}

BOOST_AUTO_TEST_CASE(more_sockets_are_ready_than_one_wait_tells)
{
    asio::io_context context;
    std::vector<std::unique_ptr<talk>> all;
    for (int i = 0; i < 300; ++i)
    {
        all.push_back(std::make_unique<talk>(context));
        all.back()->read();
        all.back()->peer.send_all("x");
    }
    run_until(
        context, [&] { return std::ranges::all_of(all, [](auto const& each) { return each->told.has_value(); }); });
    for (auto const& each : all)
        BOOST_TEST(each->data() == "x");
}

BOOST_AUTO_TEST_CASE(a_session_may_go_by_an_earlier_event_of_the_same_wait)
{
    asio::io_context context;
    talk one{context};
    talk other{context};
    int told = 0;
    for (auto* const each : {&one, &other})
    {
        auto& second = each == &one ? other : one;
        each->read(
            [&](duet::error_code error, std::size_t)
            {
                if (!error)
                    second.session = {};
                ++told;
            });
        each->peer.send_all("x");
    }
    run_until(context, [&] { return told == 2; });
    BOOST_TEST(one.session.valid() != other.session.valid());
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_lives_on_elsewhere_tells_nobody)
{
    asio::io_context context;
    auto one = std::make_unique<talk>(context);
    descriptor const copy{::dup(one->session.native_handle())};
    auto peer = std::move(one->peer);
    one.reset();
    talk other{context};  // in its place
    other.read();
    talk third{context};
    peer.send_all("x");
    third.read();
    third.peer.send_all("y");
    run_until(context, [&] { return third.told.has_value(); });
    BOOST_TEST(!other.told.has_value());
    other.session = {};
    run_until(context, [&] { return other.told.has_value(); });
}

BOOST_AUTO_TEST_CASE(readiness_that_has_gone_by_the_time_it_is_told_is_not_told)
{
    asio::io_context context;
    talk one{context};
    talk other{context};
    int ended = 0;
    auto const wait = [&](talk& mine, talk& others) -> asio::awaitable<void>
    {
        bool const readable = co_await mine.session.wait_readable();
        BOOST_TEST(readable);
        if (++ended == 1)  // take what the other is woken up for
            BOOST_TEST(::recv(others.session.native_handle(), others.room.data(), 1, 0) == 1);
    };
    asio::co_spawn(context, wait(one, other), asio::detached);
    asio::co_spawn(context, wait(other, one), asio::detached);
    context.poll();
    one.peer.send_all("x");
    other.peer.send_all("x");
    context.poll();
    BOOST_TEST(ended == 1);
    one.peer.send_all("y");
    other.peer.send_all("y");
    run_until(context, [&] { return ended == 2; });
}

// ---- Who is called, and when. --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_context_has_work_while_an_operation_waits_and_no_longer)
{
    asio::io_context context;
    talk one{context};
    context.poll();
    BOOST_TEST(context.stopped());  // a session that waits for nothing

    one.read();
    context.restart();
    context.poll();
    BOOST_TEST(!context.stopped());
    one.session.cancel();
    context.run();
    BOOST_TEST((one.told && one.told->first == asio::error::operation_aborted));

    one.peer.send_all("later");
    one.read();
    context.restart();
    context.run();
    BOOST_TEST(one.data() == "later");
}

BOOST_AUTO_TEST_CASE(the_context_has_no_work_for_a_session_that_was_reset_while_it_wrote)
{
    asio::io_context context;
    talk one{context, stalling(), small_window};
    auto const text = pattern(long_write);
    std::optional<duet::error_code> told;
    asio::async_write(one.session, asio::buffer(text), [&](duet::error_code error, std::size_t) { told = error; });
    context.poll();
    BOOST_TEST(!told.has_value());
    one.session.abort();
    context.run_for(20s);
    BOOST_TEST(context.stopped());
    BOOST_TEST((told == duet::errc::aborted));
}

BOOST_AUTO_TEST_CASE(an_operation_may_begin_before_the_cancelled_one_has_come_back)
{
    asio::io_context context;
    talk one{context};
    for (int round = 0; round < 3; ++round)
    {
        int ended = 0;
        one.read(
            [&](duet::error_code, std::size_t)
            {
                ++ended;
                one.read([&](duet::error_code, std::size_t) { ++ended; });
                one.peer.send_all("x");
            });
        one.session.cancel();
        context.restart();
        context.run();
        BOOST_TEST(ended == 2);
    }
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_takes_no_event_from_others)
{
    asio::io_context context;
    std::vector<std::unique_ptr<talk>> all;
    int told = 0;
    for (int i = 0; i < 3; ++i)
    {
        all.push_back(std::make_unique<talk>(context));
        all.back()->read(
            [&](duet::error_code, std::size_t)
            {
                ++told;
                throw std::runtime_error{"of a handler"};
            });
        all.back()->peer.send_all("x");
    }
    for (int expected = 1; expected <= 3; ++expected)
    {
        BOOST_CHECK_THROW(run_until(context, [] { return false; }), std::runtime_error);
        BOOST_TEST(told == expected);
    }
    context.restart();
    context.run();  // and no work is left
}

BOOST_AUTO_TEST_CASE(a_session_with_endless_input_lets_others_have_their_turns)
{
    asio::io_context context;
    talk one{context};
    one.peer.send_all(pattern(40'000));
    std::size_t read_before = 0;
    std::size_t total = 0;
    bool posted = false;
    auto const reads = [&](bool exact) -> asio::awaitable<void>
    {
        std::array<char, 8> room{};
        for (std::size_t until = total + 16'000; total < until;)
        {
            if (exact)
                total += co_await one.session.read(asio::buffer(room));
            else
                total += co_await one.session.read_some(asio::buffer(room));
            if (!std::exchange(posted, true))
                asio::post(context, [&] { read_before = total; });
        }
    };
    for (bool const exact : {false, true})
    {
        auto const before = total;
        posted = false;
        run(context, reads(exact));
        BOOST_TEST(read_before - before < 2'000u);
    }
}

BOOST_AUTO_TEST_CASE(a_context_may_be_destroyed_while_sessions_wait)
{
    no_leaked_descriptors const watched;
    auto context = std::make_unique<asio::io_context>();
    auto pair = connected_pair(raw_address::v4(0), small_window);
    auto const alive = std::make_shared<int>();
    auto const waits = [](duet::session peer, std::shared_ptr<int>) -> asio::awaitable<void>
    {
        std::string const text(long_write, 'x');
        asio::co_spawn(peer.get_executor(), awaited<duet::close_reason>(peer.wait_peer_gone()), asio::detached);
        asio::co_spawn(peer.get_executor(), write(peer, text), asio::detached);
        auto const heard = co_await read(peer);
        BOOST_TEST(heard == "never");
    };
    asio::co_spawn(*context, waits(adopt(pair.server, context->get_executor(), stalling()), alive), asio::detached);
    context->poll();
    BOOST_TEST(alive.use_count() == 2);
    context.reset();
    BOOST_TEST(alive.use_count() == 1);
    BOOST_TEST(pair.client.recv_all().error == ECONNRESET);  // with a write that is missing
}

BOOST_AUTO_TEST_CASE(a_write_that_is_cut_by_the_end_of_the_context_does_not_look_whole_behind_a_close)
{
    auto context = std::make_unique<asio::io_context>();
    auto pair = connected_pair(raw_address::v4(0), small_window);
    auto const text = pattern(long_write);
    auto const waits = [&](duet::session peer) -> asio::awaitable<void>
    {
        asio::co_spawn(peer.get_executor(), write(peer, text), asio::detached);
        co_await settle();
        co_await close(peer);
    };
    asio::co_spawn(*context, waits(adopt(pair.server, context->get_executor(), stalling())), asio::detached);
    context->poll();
    context.reset();
    BOOST_TEST(pair.client.recv_all().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(a_forked_child_has_sessions_of_its_own)
{
    asio::io_context context;
    talk one{context};
    one.read();
    context.poll();
    context.notify_fork(asio::execution_context::fork_prepare);
    auto const child = checked(::fork(), "fork");
    if (child == 0)
    {
        int result = 1;
        try
        {
            context.notify_fork(asio::execution_context::fork_child);
            run_until(context, [&] { return one.told.has_value(); });
            result = one.data() == "to the child" ? 0 : 2;
            one.session.lowest_layer();  // leaves the child's reactor, and not the parent's
        }
        catch (std::exception const&)
        {
        }
        std::_Exit(result);
    }
    context.notify_fork(asio::execution_context::fork_parent);
    one.peer.send_all("to the child");
    int status = 0;
    BOOST_TEST(::waitpid(child, &status, 0) == child);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    one.peer.send_all("to the parent");
    run_until(context, [&] { return one.told.has_value(); });
    BOOST_TEST(one.data() == "to the parent");
}
