// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Child tasks: whoever began them waits for them, whatever happens.

#define BOOST_TEST_MODULE completion.tasks
#include <duet/tasks.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::tasks_end;

namespace {

/// What happened, in its order.
using story = std::string;

asio::awaitable<void> note_after(simulated_time& time, std::chrono::seconds when, story& told, char what)
{
    co_await time.pause(when);
    told += what;
}

/// Ends only by being cancelled, and takes a while for it.
asio::awaitable<void> never(simulated_time& time, story& told, char what)
{
    try
    {
        co_await time.pause(1h);
    }
    catch (boost::system::system_error const&)
    {
        told += what;
        throw;
    }
}

asio::awaitable<void> fail_after(simulated_time& time, std::chrono::seconds when, char const* text)
{
    co_await time.pause(when);
    throw std::runtime_error{text};
}

/// What it throws; empty: nothing.
template <class T>
asio::awaitable<std::string> thrown_by(asio::awaitable<T> body)
{
    std::string text;
    try
    {
        co_await std::move(body);
    }
    catch (boost::system::system_error const& error)
    {
        text = error.code() == condition::cancelled ? "cancelled" : error.what();
    }
    catch (std::exception const& error)
    {
        text = error.what();
    }
    co_return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_body_without_tasks_returns_its_result)
{
    auto const value = [](duet::tasks& tasks) -> asio::awaitable<std::unique_ptr<int>>
    {
        BOOST_TEST(tasks.running() == 0u);
        co_return std::make_unique<int>(7);
    };
    auto const ask = [&]() -> asio::awaitable<void>
    {
        auto const got = co_await duet::with_tasks(value);
        BOOST_TEST(*got == 7);
    };
    run(ask);
}

BOOST_AUTO_TEST_CASE(the_end_waits_for_the_tasks)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(note_after(time, 2s, told, 'b'));
        tasks.begin(note_after(time, 1s, told, 'a'));
        BOOST_TEST(tasks.running() == 2u);
        told += '0';
        co_return;
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        co_await duet::with_tasks(body);
        told += '!';
    };
    auto const begun = time.now();
    time.run(scope());
    BOOST_TEST(told == "0ab!");
    BOOST_TEST((time.now() == begun + 2s));
}

BOOST_AUTO_TEST_CASE(the_end_cancels_the_tasks_and_waits_for_them)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<int>
    {
        tasks.begin(never(time, told, 'a'));
        tasks.begin(never(time, told, 'b'));
        co_await time.pause(1s);
        told += '0';
        co_return 3;
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const got = co_await duet::with_tasks(body, tasks_end::cancel);
        BOOST_TEST(got == 3);
        told += '!';
    };
    time.run(scope());
    BOOST_TEST((told == "0ab!" || told == "0ba!"));
}

// A lambda's captures live as long as its coroutine.
BOOST_AUTO_TEST_CASE(tasks_begin_tasks_and_a_function_lives_as_long_as_its_task)
{
    simulated_time time;
    story told;
    auto const counted = std::make_shared<int>(0);
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        auto const first = [&time, &told, &tasks, counted]() -> asio::awaitable<void>
        {
            co_await time.pause(1s);
            tasks.begin(note_after(time, 1s, told, 'b'));
            ++*counted;
            told += 'a';
        };
        tasks.begin(first);
        co_return;
    };
    time.run(duet::with_tasks(body));
    BOOST_TEST(told == "ab");
    BOOST_TEST(*counted == 1);
    BOOST_TEST(counted.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(a_failure_cancels_the_others_and_comes_out)
{
    simulated_time time;
    story told;
    std::vector<std::exception_ptr> failures;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(never(time, told, 'a'));
        tasks.begin(fail_after(time, 1s, "no"));
        co_await never(time, told, '0');  // the body, too
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const text = co_await thrown_by(duet::with_tasks(body, tasks_end::wait, &failures));
        BOOST_TEST(text == "no");
    };
    auto const begun = time.now();
    time.run(scope());
    BOOST_TEST((told == "a0" || told == "0a"));
    BOOST_TEST((time.now() == begun + 1s));
    BOOST_TEST(failures.size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_bodys_failure_cancels_the_tasks_and_comes_out)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<int>
    {
        tasks.begin(never(time, told, 'a'));
        co_await fail_after(time, 1s, "no");
        co_return 0;
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const text = co_await thrown_by(duet::with_tasks(body));
        BOOST_TEST(text == "no");
        told += '!';
    };
    time.run(scope());
    BOOST_TEST(told == "a!");
}

BOOST_AUTO_TEST_CASE(no_failure_is_lost)
{
    simulated_time time;
    std::vector<std::exception_ptr> failures;
    auto const fails_when_cancelled = [&]() -> asio::awaitable<void>
    {
        story ignored;
        auto const text = co_await thrown_by(never(time, ignored, 'x'));
        throw std::runtime_error{"second, " + text};
    };
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(fails_when_cancelled);
        co_await fail_after(time, 1s, "first");
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const text = co_await thrown_by(duet::with_tasks(body, tasks_end::cancel, &failures));
        BOOST_TEST(text == "first");
    };
    time.run(scope());
    BOOST_REQUIRE(failures.size() == 2u);
    BOOST_CHECK_EXCEPTION(std::rethrow_exception(failures[1]), std::runtime_error,
        [](auto const& error) { return error.what() == std::string{"second, cancelled"}; });
}

BOOST_AUTO_TEST_CASE(a_task_that_was_cancelled_by_others_has_failed)
{
    simulated_time time;
    auto const cancelled = []() -> asio::awaitable<void>
    {
        throw boost::system::system_error{asio::error::operation_aborted};
        co_return;
    };
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(cancelled);
        co_return;
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const text = co_await thrown_by(duet::with_tasks(body));
        BOOST_TEST(text == "cancelled");
    };
    time.run(scope());
}

// In the body, and when only the tasks are left.
BOOST_AUTO_TEST_CASE(cancellation_from_outside_reaches_all_and_waits_for_them)
{
    for (bool const in_body : {true, false})
    {
        simulated_time time;
        story told;
        auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
        {
            tasks.begin(never(time, told, 'a'));
            tasks.begin(never(time, told, 'a'));
            if (in_body)
                co_await never(time, told, '0');
        };
        auto const scope = [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<void> waiting{executor, duet::with_tasks(body)};
            co_await time.pause(1s);
            BOOST_TEST(told.empty());
            waiting.cancel();
            co_await expect_error(waiting.result(), condition::cancelled);
            BOOST_TEST(told.size() == (in_body ? 3u : 2u));
        };
        time.run(scope());
    }
}

// Although the body has cancelled its tasks itself, and theirs is no failure.
BOOST_AUTO_TEST_CASE(a_cancelled_body_has_failed)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<int>
    {
        tasks.cancel();
        co_await never(time, told, '0');
        co_return 5;
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        started<int> waiting{executor, duet::with_tasks(body)};
        co_await settle();
        waiting.cancel();
        co_await expect_error(waiting.result(), condition::cancelled);
        BOOST_TEST(told == "0");
    };
    time.run(scope());
}

// What they do about it is theirs.
BOOST_AUTO_TEST_CASE(a_body_may_end_well_when_it_is_cancelled)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks&) -> asio::awaitable<int>
    {
        auto const text = co_await thrown_by(never(time, told, '0'));
        BOOST_TEST(text == "cancelled");
        co_return 5;
    };
    auto const scope = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        started<int> waiting{executor, duet::with_tasks(body)};
        co_await settle();
        waiting.cancel();
        auto const got = co_await waiting.result();
        BOOST_TEST(got == 5);
    };
    time.run(scope());
}

BOOST_AUTO_TEST_CASE(tasks_that_begin_after_the_cancellation_are_cancelled)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.cancel();
        tasks.begin(never(time, told, 'a'));
        co_await time.pause(1s);
        told += '0';
    };
    time.run(duet::with_tasks(body));
    BOOST_TEST(told == "a0");
}

BOOST_AUTO_TEST_CASE(a_task_may_cancel_all_and_itself)
{
    simulated_time time;
    story told;
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        auto const ends_all = [&]() -> asio::awaitable<void>
        {
            co_await time.pause(1s);
            tasks.cancel();
            co_await never(time, told, 'b');
        };
        tasks.begin(never(time, told, 'a'));
        co_await asio::post(asio::use_awaitable);
        tasks.begin(ends_all);
    };
    time.run(duet::with_tasks(body));
    BOOST_TEST(told == "a");  // the other one's next co_await throws at once
}

// As a handler would use it: prices go out by themselves while requests are answered.
BOOST_AUTO_TEST_CASE(a_session_with_a_task_of_its_own)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const ticks = [&]() -> asio::awaitable<void>
            {
                for (;;)
                {
                    co_await talk.pause(1s);
                    co_await write(s, "tick ");
                }
            };
            auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
            {
                tasks.begin(ticks);
                for (;;)
                {
                    auto const heard = co_await read(s);
                    if (heard.empty())
                        break;
                    co_await write(s, heard);
                }
            };
            auto const executor = co_await asio::this_coro::executor;
            started<void> serving{executor, duet::with_tasks(body, tasks_end::cancel)};
            co_await talk.pause(2500ms);
            talk.peer.send_all("hello ");
            co_await talk.pause(1s);
            talk.peer.shutdown_write();
            co_await serving.result();
            co_await shutdown_send(s);
            BOOST_TEST(talk.peer.recv_all().data == "tick tick hello tick ");
        });
}

// The session's failure ends the task that uses it, and the exception is the handler's.
BOOST_AUTO_TEST_CASE(a_reset_ends_body_and_task)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            story told;
            auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
            {
                tasks.begin(never(talk.time, told, 'a'));
                co_await read(s);
            };
            auto const executor = co_await asio::this_coro::executor;
            started<void> serving{executor, duet::with_tasks(body)};
            co_await talk.pause(1s);
            talk.peer.reset();
            co_await expect_error(serving.result(), condition::reset);
            BOOST_TEST(told == "a");
        });
}

BOOST_AUTO_TEST_CASE(a_task_that_fails_at_once_ends_a_body_that_has_not_waited)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            s.abort();
            auto const say = [&]() -> asio::awaitable<void> { co_await s.write("x"); };
            auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
            {
                tasks.begin(say());
                co_await talk.pause(1s);
            };
            co_await expect_error(duet::with_tasks(body), condition::closed);
        });
}

BOOST_AUTO_TEST_CASE(a_task_that_fails_at_once_ends_others_that_have_not_waited)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            s.abort();
            int after = 0;
            auto const say = [&]() -> asio::awaitable<void> { co_await s.write("x"); };
            auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
            {
                auto const begin_one = [&]() -> asio::awaitable<void>
                {
                    tasks.begin(say());
                    ++after;
                    co_return;  // it ends without a wait
                };
                tasks.begin(begin_one());
                tasks.begin(begin_one());
                ++after;
                co_await talk.pause(1s);
                ++after;
            };
            co_await expect_error(duet::with_tasks(body), condition::closed);
            BOOST_TEST(after == 3);
        });
}

BOOST_AUTO_TEST_CASE(a_context_may_be_destroyed_meanwhile)
{
    auto const counted = std::make_shared<int>(0);
    {
        asio::io_context context;
        auto const wait = [](std::shared_ptr<int>) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            asio::steady_timer timer{executor, std::chrono::hours{1}};
            co_await timer.async_wait(asio::use_awaitable);
        };
        auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
        {
            tasks.begin(wait(counted));
            tasks.begin(wait(counted));
            co_await wait(counted);
        };
        asio::co_spawn(context, duet::with_tasks(body), asio::detached);
        context.poll();
        BOOST_TEST(counted.use_count() == 4);
    }
    BOOST_TEST(counted.use_count() == 1);
}
