// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A conversation of two sessions that is interrupted at each of its moments: cancelled at every await point (P41), and
// out of memory at every allocation. Nothing hangs, and nothing is left.

#define BOOST_TEST_MODULE session.interrupted
#include <duet/session.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
using asio::cancellation_type;

namespace {

asio::awaitable<void> ask(duet::session s)
{
    std::string line;
    for (int i = 0; i < 3; ++i)
    {
        co_await write(s, "question " + std::to_string(i) + "\n");
        auto const size = co_await s.read_until(line, "\n", 100);
        line.erase(0, size);
    }
    auto const much = pattern(100'000);
    co_await s.write(asio::buffer(much));
    co_await s.shutdown_send();
    co_await s.delivered();
    std::string rest;
    co_await s.read_all(rest, 1'000'000);
    co_await s.wait_peer_gone();
    co_await s.close();
}

asio::awaitable<void> answer(duet::session s)
{
    std::string data(4096, '\0');
    for (;;)
    {
        bool const readable = co_await s.wait_readable();
        if (!readable)
            break;
        auto const size = co_await s.read_some(asio::buffer(data));
        if (size == 0)
            break;
        co_await s.write(asio::buffer(data.data(), size));
    }
    co_await s.close();
}

// The conversation of ask() and answer() on one thread. True: it ended before it was cancelled.
bool converse_and_cancel(std::size_t after, bool cancel_the_asking)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    auto pair = connected_pair(raw_address::v4(0), small_window);
    asio::cancellation_signal signal;
    int ended = 0;
    bool failed = false;
    auto const on_end = [&](std::exception_ptr const& failure)
    {
        ++ended;
        try
        {
            if (failure)
                std::rethrow_exception(failure);
        }
        catch (boost::system::system_error const&)
        {
            failed = true;  // the conversation was cut; anything else comes out of run()
        }
    };
    duet::session_options const options = stalling({.close = 5s});
    auto asking = ask(adopt(pair.client, context.get_executor(), options));
    auto answering = answer(adopt(pair.server, context.get_executor(), options));
    if (cancel_the_asking)
    {
        asio::co_spawn(context, std::move(asking), asio::bind_cancellation_slot(signal.slot(), on_end));
        asio::co_spawn(context, std::move(answering), on_end);
    }
    else
    {
        asio::co_spawn(context, std::move(asking), on_end);
        asio::co_spawn(context, std::move(answering), asio::bind_cancellation_slot(signal.slot(), on_end));
    }
    auto const guard = guard_clock::now() + run_guard;
    std::size_t turns = 0;
    while (turns < after && ended < 2 && guard_clock::now() < guard)
        turns += context.run_one_for(1s);
    bool const over = ended == 2;
    signal.emit(cancellation_type::terminal);
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST_INFO("work is left");
    BOOST_TEST(context.stopped());
    BOOST_TEST(ended == 2);
    BOOST_TEST((over ? !failed : true));
    return over;
}

}  // namespace

BOOST_AUTO_TEST_CASE(cancelled_at_every_await_point)
{
    for (bool const asking : {true, false})
    {
        std::size_t turns = 0;
        for (;; ++turns)
        {
            bool over = false;
            BOOST_TEST_CONTEXT("after " << turns << " turns")
            {
                over = converse_and_cancel(turns, asking);
            }
            if (over)
                break;
            BOOST_REQUIRE(turns < 5000);
        }
        BOOST_TEST(turns > 20U);
    }
}

// ---- Memory that runs out
// ------------------------------------------------------------------------------------------------

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)

namespace {

// Which allocation is to fail; negative: none.
long until_failure = -1;
bool has_failed = false;

bool fails_now()
{
    if (until_failure < 0 || until_failure-- > 0)
        return false;
    has_failed = true;
    return true;
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size)
{
    if (void* const memory = fails_now() ? nullptr : std::malloc(size))
        return memory;
    throw std::bad_alloc{};
}

[[gnu::noinline]] void operator delete(void* memory) noexcept
{
    std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}

// Asio's own: for its operations and for coroutine frames.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size)
{
    void* memory = nullptr;
    if (!fails_now() && ::posix_memalign(&memory, std::max(alignment, sizeof(void*)), size) == 0)
        return memory;
    return nullptr;
}

// The n-th allocation fails. What then happens is Asio's rule: the exception comes out of run(), or out of the
// coroutine, and what was being begun is destroyed. Nothing crashes, hangs or leaks.
BOOST_AUTO_TEST_CASE(every_allocation_may_fail)
{
    for (long n = 0;; ++n)
    {
        BOOST_TEST_CONTEXT("allocation " << n)
        {
            no_leaked_descriptors const descriptors;
            asio::io_context context;
            auto pair = connected_pair(raw_address::v4(0), small_window);
            auto const on_end = [](std::exception_ptr const&) {};
            asio::co_spawn(
                context, ask(adopt(pair.client, context.get_executor(), stalling({.close = 100ms}))), on_end);
            asio::co_spawn(
                context, answer(adopt(pair.server, context.get_executor(), stalling({.close = 100ms}))), on_end);
            has_failed = false;
            until_failure = n;
            bool out = false;
            while (!out)
            {
                try
                {
                    context.run_for(run_guard);
                    out = true;
                }
                catch (std::bad_alloc const&)
                {
                }
            }
            until_failure = -1;
            BOOST_TEST_INFO("it hangs");
            BOOST_TEST(context.stopped());
        }
        if (!has_failed)
        {
            BOOST_TEST(n > 10);
            break;
        }
    }
}

#endif
