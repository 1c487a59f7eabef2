// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The coroutines that call a server's handlers, without the server: how they rest and are used again, and what ends
// them.

#define BOOST_TEST_MODULE serve.serving_pool
#include <boost/test/unit_test.hpp>

#include "serve/pool_fixture.hpp"
#include "session/session_fixture.hpp"
#include "support/failing_allocations.hpp"

#include <cerrno>
#include <cstddef>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

using namespace duet_test;
using duet::error_code;

namespace {

error_code code_of(std::exception_ptr const& failure)
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (boost::system::system_error const& error)
    {
        return error.code();
    }
}

asio::awaitable<void> return_at_once(duet::session)
{
    co_return;
}

/// Nothing is left to do on the context.
bool out_of_work(asio::io_context& context)
{
    context.restart();
    context.poll();
    return context.stopped();
}

/// Run one handler. An exception may leave it for lack of memory; a server then goes on.
void run_without_memory(asio::io_context& context)
{
    try
    {
        context.restart();
        context.run_one_for(run_guard);
    }
    catch (std::bad_alloc const&)
    {
    }
}

}  // namespace

// A pool that has no coroutine at rest makes one. If there is no memory for it, the session is lost.
BOOST_AUTO_TEST_CASE(a_coroutine_that_rests_serves_the_next_session)
{
    asio::io_context context;
    served all{context, conversation(return_at_once)};
    all.serve_without_memory(all.ending_session());
    BOOST_TEST(all.lost == 1U);

    all.serve(all.ending_session());
    all.run_until_told(2);
    BOOST_TEST(!out_of_work(context));

    all.serve_without_memory(all.ending_session());
    all.run_until_told(3);
    BOOST_TEST(all.lost == 1U);
    BOOST_TEST(all.failures.size() == 2U);
}

BOOST_AUTO_TEST_CASE(no_more_coroutines_rest_than_it_pays_to_keep)
{
    constexpr auto most = pool_type::most_resting;
    constexpr std::size_t count = most + 2;
    asio::io_context context;
    gate leave{context};
    served all{context, conversation(leave.handler())};
    for (std::size_t i = 0; i < count; ++i)
        all.serve(all.ending_session());
    BOOST_TEST(leave.waiting() == count);
    leave.open();
    all.run_until_told(count);

    leave.close();
    for (std::size_t i = 0; i < count; ++i)
        all.serve_without_memory(all.ending_session());
    BOOST_TEST(all.lost == count - most);
    leave.open();
    all.run_until_told(2 * count);
}

BOOST_AUTO_TEST_CASE(a_coroutine_whose_handler_threw_serves_the_next_session)
{
    bool throws = true;
    asio::io_context context;
    served all{context, conversation(
                            [&](duet::session) -> asio::awaitable<void>
                            {
                                if (throws)
                                    throw std::runtime_error{"no"};
                                co_return;
                            })};
    all.serve(all.session());
    all.run_until_told(1);
    BOOST_REQUIRE(all.failures.size() == 1U);
    BOOST_CHECK_THROW(std::rethrow_exception(all.failures.front()), std::runtime_error);
    BOOST_TEST(all.peers.back().recv_all().error == ECONNRESET);

    throws = false;
    all.serve_without_memory(all.ending_session());
    all.run_until_told(2);
    BOOST_TEST(all.lost == 0U);
    BOOST_TEST((all.failures.back() == nullptr));
    BOOST_TEST(all.peers.back().recv_all().error == 0);
}

BOOST_AUTO_TEST_CASE(a_session_is_served_message_by_message)
{
    int calls = 0;
    bool more = true;
    asio::io_context context;
    served all{context, message(
                            [&](duet::session&) -> asio::awaitable<bool>
                            {
                                ++calls;
                                co_return more;
                            })};
    auto const session = all.ending_session();
    all.serve(session);
    all.run_until_told(1);
    BOOST_TEST(all.answers == 1U);
    BOOST_TEST((session->session.state() == duet::session_state::open));

    more = false;
    all.serve(session);
    all.run_until_told(2);
    BOOST_TEST(calls == 2);
    BOOST_REQUIRE(all.failures.size() == 1U);
    BOOST_TEST((all.failures.front() == nullptr));
    BOOST_TEST(all.peers.back().recv_all().error == 0);
}

BOOST_AUTO_TEST_CASE(the_last_message_ends_the_session_though_the_handler_wants_more)
{
    asio::io_context context;
    served all{context, message([](duet::session&) -> asio::awaitable<bool> { co_return true; })};
    auto const session = all.ending_session();
    session->last_message = true;
    all.serve(session);
    all.run_until_told(1);
    BOOST_TEST(all.answers == 0U);
    BOOST_TEST(all.failures.size() == 1U);
}

// A drain is no failure: the session is closed. Any other error is one, and resets it.
BOOST_AUTO_TEST_CASE(an_error_in_place_of_a_message_ends_the_session_without_a_call)
{
    int calls = 0;
    asio::io_context context;
    served all{context, message(
                            [&](duet::session&) -> asio::awaitable<bool>
                            {
                                ++calls;
                                co_return true;
                            })};
    all.serve(all.ending_session(), duet::errc::draining);
    all.run_until_told(1);
    BOOST_TEST((all.failures.back() == nullptr));
    BOOST_TEST(all.peers.back().recv_all().error == 0);

    all.serve(all.session(), duet::errc::read_timed_out);
    all.run_until_told(2);
    BOOST_TEST(code_of(all.failures.back()) == duet::errc::read_timed_out);
    BOOST_TEST(all.peers.back().recv_all().error == ECONNRESET);

    auto const session = all.session();
    session->aborted = true;
    all.serve(session);
    all.run_until_told(3);
    BOOST_TEST(code_of(all.failures.back()) == duet::errc::aborted);
    BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE(where_no_more_sessions_are_expected_no_coroutine_rests)
{
    asio::io_context context;
    gate leave{context};
    served all{context, conversation(leave.handler())};
    leave.open();
    all.serve(all.ending_session());
    all.run_until_told(1);
    leave.close();
    all.serve(all.ending_session());  // by the first one's coroutine
    all.serve(all.ending_session());
    leave.open();
    all.run_until_told(3);
    BOOST_TEST(!out_of_work(context));  // two rest

    leave.close();
    all.serve(all.ending_session());
    all.pool().expect_none();
    BOOST_TEST(!out_of_work(context));  // one serves
    leave.open();
    all.run_until_told(4);
    BOOST_TEST(out_of_work(context));
    BOOST_TEST(all.lost == 0U);
}

BOOST_AUTO_TEST_CASE(a_cancel_reaches_the_handlers_of_aborted_sessions_alone)
{
    asio::io_context context;
    gate leave{context};
    served all{context, conversation(leave.handler())};
    auto const abort = [](sessions_type::iterator session)
    {
        session->aborted = true;
        session->session.abort();
    };
    auto const first = all.session();
    auto const second = all.session();
    auto const third = all.ending_session();
    for (auto const& each : {first, second, third})
        all.serve(each);
    abort(first);
    abort(second);
    all.pool().cancel_aborted();
    all.run_until_told(2);
    for (auto const& each : all.failures)
        BOOST_TEST(code_of(each) == asio::error::operation_aborted);
    BOOST_TEST(all.live.size() == 1U);

    // A coroutine that was cancelled serves the next session as any other.
    all.serve_without_memory(all.ending_session());
    all.pool().cancel_aborted();
    leave.open();
    all.run_until_told(4);
    BOOST_TEST((all.failures.at(2) == nullptr));
    BOOST_TEST((all.failures.at(3) == nullptr));
    BOOST_TEST(all.lost == 0U);
}

// One coroutine rests, one is in close(), two are in their handlers. The context is not run any more, as that of a
// server's thread. Nobody is told of these sessions: the user may be gone, too.
BOOST_AUTO_TEST_CASE(a_pool_may_be_destroyed_before_its_context)
{
    int ended = 0;
    {
        asio::io_context context;
        gate leave{context};
        served all{context, conversation(
                                [&](duet::session peer) -> asio::awaitable<void>
                                {
                                    struct counted
                                    {
                                        int& count;
                                        ~counted() { ++count; }
                                    } const guard{ended};
                                    co_await leave.passed(std::move(peer));
                                })};
        auto const closing = all.session();
        leave.open();
        for (auto const& each : {all.ending_session(), closing})
            all.serve(each);
        all.run_until_told(1);
        leave.close();
        all.serve(all.ending_session());
        all.serve(all.ending_session());
        BOOST_TEST(ended == 2);
        leave.forget();
        all.destroy_pool();
        BOOST_TEST(all.told() == 1U);
    }
    BOOST_TEST(ended == 4);
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_first_loses_the_session_that_is_served)
{
    std::optional<asio::io_context> context{std::in_place};
    gate leave{*context};
    served all{*context, conversation(leave.handler())};
    leave.open();
    all.serve(all.ending_session());
    all.serve(all.ending_session());
    all.run_until_told(2);
    leave.close();
    all.serve(all.session());
    leave.forget();
    context.reset();
    BOOST_TEST(all.lost == 1U);
}

// The session is told of once, whether it was served, failed or lost, and the next one is served.
BOOST_AUTO_TEST_CASE(memory_may_run_out_at_any_allocation)
{
    long before = 0;
    for (bool failed = true; failed; ++before)
    {
        asio::io_context context;
        auto const answers = [](duet::session peer) -> asio::awaitable<void>
        {
            co_await settle();
            co_await write(peer, "answer");
        };
        served all{context, {.conversation = answers, .message = {}}};
        auto const session = all.ending_session();
        allocations_before_failure = before;
        allocations_to_fail = 1;
        all.pool().serve(session, {});
        while (all.told() == 0)
            run_without_memory(context);
        failed = std::exchange(allocations_to_fail, 0) == 0;
        BOOST_TEST_CONTEXT("allocation " << before)
        {
            BOOST_TEST(all.told() == 1U);
            all.serve(all.ending_session());
            all.run_until_told(2);
            BOOST_TEST((all.lost < 2 && !all.failures.empty() && all.failures.back() == nullptr));
            all.pool().expect_none();
            BOOST_TEST(out_of_work(context));
        }
    }
    BOOST_TEST(before > 5);
}
