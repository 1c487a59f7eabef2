// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A conversation of two sessions that is out of memory at every allocation, those of Asio and of the reactor for its
// sockets among them. Nothing hangs, and nothing is left.

#define BOOST_TEST_MODULE session.out_of_memory
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/long_conversation.hpp"
#include "session/session_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>

using namespace duet_test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(with_enough_of_it_the_conversation_ends)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    auto pair = connected_pair(raw_address::v4(0), small_window);
    run_all(context, {}, ask(adopt(pair.client, context.get_executor(), stalling())),
        answer(adopt(pair.server, context.get_executor(), stalling())));
}

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
