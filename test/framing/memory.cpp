// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What frames take of memory: nothing for each message, nothing for what is only announced.

#define BOOST_TEST_MODULE framing.memory
#include <duet/framing.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <string_view>

using namespace duet_test;
using namespace std::string_literals;
using message = std::optional<std::string_view>;

namespace {

std::size_t allocations = 0;
std::size_t largest = 0;

[[gnu::noinline]] void* take(std::size_t size)
{
    ++allocations;
    largest = std::max(largest, size);
    void* const result = std::malloc(size);
    if (!result)
        throw std::bad_alloc{};
    return result;
}

}  // namespace

void* operator new(std::size_t size)
{
    return take(size);
}

void* operator new[](std::size_t size)
{
    return take(size);
}

[[gnu::noinline]] void operator delete(void* memory) noexcept
{
    std::free(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}

[[gnu::noinline]] void operator delete[](void* memory) noexcept
{
    std::free(memory);
}

[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept
{
    std::free(memory);
}

BOOST_AUTO_TEST_CASE(messages_that_are_there_and_their_answers_take_none)
{
    memory_talk talk{std::size_t{1} << 20};
    std::string all;
    for (int i = 0; i < 100; ++i)
        all += "\0\12some words"s;
    all += "\0\1"s;  // one more has begun: nothing waits while this is counted
    talk.peer.send_all(all);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::length_prefix const two{.bytes = 2};
            duet::frame_stream messages{s, two, 65536};
            for (int i = 0; i < 60; ++i)  // the buffer for answers grows
            {
                auto const one = co_await messages.next();
                messages.put(*one);
            }
            co_await messages.flush();
            auto const before = allocations;
            for (int i = 0; i < 8; ++i)
            {
                auto const one = co_await messages.next();
                messages.put(*one);
                auto const another = messages.next_buffered();
                messages.put(*another);
            }
            BOOST_TEST(allocations == before);
        });
}

BOOST_AUTO_TEST_CASE(what_a_prefix_announces_takes_no_memory_until_it_comes)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::length_prefix const four;
            duet::frame_reader messages{s, four, std::size_t{1} << 30};
            started<message> waiting{executor, awaited<message>(messages.next())};
            co_await settle();
            largest = 0;
            talk.peer.send_all("\x30\0\0\0"s + pattern(1000));
            co_await settle();
            BOOST_TEST(!waiting.done());
            BOOST_TEST(largest < 16'384U);
            talk.peer.send_all(pattern(20'000));
            co_await settle();
            BOOST_TEST(largest < 100'000U);
            waiting.cancel();
            co_await expect_error(waiting.result(), asio::error::operation_aborted);
        });
}

BOOST_AUTO_TEST_CASE(what_is_beyond_the_limit_takes_none)
{
    memory_talk talk;
    talk.peer.send_all("\xff\xff\xff\xff\xff\xff\xff\xff"s + pattern(4000));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::length_prefix const eight{.bytes = 8};
            duet::frame_reader messages{s, eight, std::size_t{1} << 30};
            largest = 0;
            co_await expect_error(awaited<message>(messages.next()), duet::errc::limit_exceeded);
            BOOST_TEST(largest < 8192U);
        });
}
