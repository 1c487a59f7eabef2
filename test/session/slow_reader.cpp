// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// P30: a peer that never reads. What the library holds for it is bounded, whatever is sent: bytes that wait lie in the
// buffers of the program alone.

#define BOOST_TEST_MODULE session.slow_reader
#include <duet/relay.hpp>
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <malloc.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;

namespace {

/// In bytes: what operator new has given and has not got back. Asio's frames of coroutines are not among it.
long held = 0;

void* counted(void* memory)
{
    if (!memory)
        throw std::bad_alloc{};
    held += static_cast<long>(::malloc_usable_size(memory));
    return memory;
}

void forget(void* memory) noexcept
{
    if (memory)
        held -= static_cast<long>(::malloc_usable_size(memory));
    std::free(memory);
}

}  // namespace

// Not inlined: g++ 12 would see free() meet what its own operator new has given.
[[gnu::noinline]] void* operator new(std::size_t size)
{
    return counted(std::malloc(size));
}

[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment)
{
    void* memory = nullptr;
    return counted(::posix_memalign(&memory, static_cast<std::size_t>(alignment), size) == 0 ? memory : nullptr);
}

[[gnu::noinline]] void operator delete(void* memory) noexcept
{
    forget(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept
{
    forget(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept
{
    forget(memory);
}

[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept
{
    forget(memory);
}

BOOST_AUTO_TEST_CASE(p30_a_write_that_waits_holds_none_of_its_bytes)
{
    auto const data = pattern(std::size_t{8} << 20U);
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const before = held;
            started<std::size_t> writing{executor, awaited<std::size_t>(s.write(asio::buffer(data)))};
            co_await talk.pause(1h);
            BOOST_TEST(s.bytes_sent() == small_capacity);
            BOOST_TEST(held - before < 64 * 1024);
            s.abort();
            co_await expect_error(writing.result(), errc::aborted);
        });
}

// Each has a place in the queue, whatever its size.
BOOST_AUTO_TEST_CASE(p30_a_write_in_the_queue_costs_a_few_hundred_bytes)
{
    constexpr long count = 10'000;
    auto const data = pattern(std::size_t{1} << 20U);
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            long ended = 0;
            auto const before = held;
            for (long i = 0; i < count; ++i)
                s.write(asio::buffer(data))([&](auto const&...) { ++ended; });
            co_await settle();
            BOOST_TEST(s.bytes_sent() == small_capacity);
            BOOST_TEST(ended == 0);
            BOOST_TEST((held - before) / count < 500);
            s.abort();
            co_await settle();
            BOOST_TEST(ended == count);
        });
}

// A server that answers as it reads stops reading, and the peer cannot send any more.
BOOST_AUTO_TEST_CASE(p30_who_answers_a_peer_that_never_reads_stops_reading)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const echo = [&]() -> asio::awaitable<void>
            {
                std::string buffer(1024, '\0');
                for (;;)
                {
                    auto const size = co_await s.read_some(asio::buffer(buffer));
                    co_await s.write(asio::buffer(buffer.data(), size));
                }
            };
            started<void> echoing{executor, echo()};
            auto const data = pattern(4 * small_capacity);
            std::size_t sent = 0;
            long most = 0;
            auto const before = held;
            for (int i = 0; i < 1000; ++i)
            {
                sent += talk.peer.send_some(data);
                co_await talk.pause(1min);
                most = std::max(most, held - before);
            }
            // Unread by the peer, unread here, and what the handler holds.
            BOOST_TEST(sent <= 2 * small_capacity + 1024);
            BOOST_TEST(s.bytes_received() <= small_capacity + 1024);
            BOOST_TEST(most < static_cast<long>(2 * small_capacity + 64 * 1024));
            s.abort();
            co_await expect_error(echoing.result(), errc::aborted);
        });
}

BOOST_AUTO_TEST_CASE(p30_a_relay_holds_its_buffer_and_no_more)
{
    simulated_time time;
    auto from = duet::testing::memory_stream::pair(time.context.get_executor());
    auto to = duet::testing::memory_stream::pair(time.context.get_executor());
    memory_session first{std::move(from.second)};
    memory_session second{std::move(to.first)};
    second.lowest_layer().behaviour().capacity = small_capacity;
    memory_peer source{std::move(from.first)};
    memory_peer const sink{std::move(to.second)};
    constexpr std::size_t buffer_size = 16 * 1024;
    auto const test = [&]() -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        duet::relay_options options;
        options.buffer_size = buffer_size;
        started<duet::relay_report> relaying{executor, duet::relay(first, second, options)};
        auto const data = pattern(std::size_t{64} * 1024);
        long most = 0;
        auto const before = held;
        for (int i = 0; i < 1000; ++i)
        {
            source.send_some(data);
            co_await time.pause(1s);
            most = std::max(most, held - before);
        }
        BOOST_TEST(second.bytes_sent() == small_capacity);
        BOOST_TEST(first.bytes_received() <= small_capacity + buffer_size);
        BOOST_TEST(most < static_cast<long>(data.size() + small_capacity + buffer_size + 64 * 1024));
        second.abort();
        auto const report = co_await relaying.result();
        BOOST_TEST(!report.forward.finished);
    };
    time.run(test());
}
