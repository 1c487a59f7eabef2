// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Reads into sequences of buffers: filled in order, with the right number of bytes wherever they stop.

#define BOOST_TEST_MODULE session.read_buffers
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <vector>

using namespace duet_test;
using asio::mutable_buffer;
using duet::condition;
using duet::errc;

namespace {

/// Several places of some sizes, two of which are empty, and their bytes one after the other.
struct places
{
    static constexpr std::size_t size = 12;

    std::string all() const { return first + second + third; }

    std::array<mutable_buffer, 5> array()
    {
        return {asio::buffer(first), mutable_buffer{}, asio::buffer(second), asio::buffer(third), mutable_buffer{}};
    }

    std::string first = std::string(3, '-');
    std::string second = std::string(1, '-');
    std::string third = std::string(8, '-');
};

std::string begun(std::size_t size)
{
    return pattern(size) + std::string(places::size - size, '-');
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_split_of_what_arrives)
{
    for (std::size_t split = 0; split <= places::size; ++split)
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                places into;
                auto const buffers = into.array();
                started<std::size_t> reading{executor, awaited<std::size_t>(s.read(buffers))};
                co_await settle();
                talk.peer.send_all(pattern(places::size).substr(0, split));
                co_await settle();
                BOOST_TEST(into.all() == begun(split));
                BOOST_TEST(reading.done() == (split == places::size));
                talk.peer.send_all(pattern(places::size).substr(split) + "next");
                auto const size = co_await reading.result();
                BOOST_TEST(size == places::size);
                BOOST_TEST(into.all() == pattern(places::size));
                auto const rest = co_await read(s);
                BOOST_TEST(rest == "next");
            });
    }
}

BOOST_AUTO_TEST_CASE(the_peers_end_at_every_split)
{
    for (std::size_t split = 0; split < places::size; ++split)
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                places into;
                auto const buffers = into.array();
                started<std::size_t> reading{executor, awaited<std::size_t>(s.read(buffers))};
                co_await settle();
                talk.peer.send_all(pattern(places::size).substr(0, split));
                talk.peer.shutdown_write();
                auto const end = co_await outcome_of(reading.result());
                BOOST_TEST((end.code == (split == 0 ? errc::ended : errc::truncated)));
                BOOST_TEST(end.bytes == split);
                BOOST_TEST(into.all() == begun(split));
            });
    }
}

BOOST_AUTO_TEST_CASE(a_cancellation_at_every_split_loses_no_byte)
{
    for (std::size_t split = 0; split < places::size; ++split)
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                places into;
                auto const buffers = into.array();
                started<std::size_t> reading{executor, awaited<std::size_t>(s.read(buffers))};
                co_await settle();
                talk.peer.send_all(pattern(places::size).substr(0, split));
                co_await settle();
                reading.cancel();
                auto const end = co_await outcome_of(reading.result());
                BOOST_TEST((end.code == condition::cancelled));
                BOOST_TEST(end.bytes == split);
                // A read into one buffer does not go on in the buffers of the last one.
                std::string rest(places::size - split, '\0');
                talk.peer.send_all(pattern(places::size).substr(split));
                auto const size = co_await s.read(asio::buffer(rest));
                BOOST_TEST(size == places::size - split);
                BOOST_TEST(into.all() == begun(split));
                BOOST_TEST(rest == pattern(places::size).substr(split));
            });
    }
}

BOOST_AUTO_TEST_CASE(any_sequence_of_buffers)
{
    memory_talk talk;
    talk.play({},
        [&](memory_session& s) -> asio::awaitable<void>
        {
            places into;
            auto const array = into.array();
            std::vector<mutable_buffer> const list{array.begin(), array.end()};
            std::span<mutable_buffer const> const span{list};
            auto const check = [&](std::size_t size)
            {
                BOOST_TEST(size == places::size);
                BOOST_TEST(into.all() == pattern(places::size));
                into = {};
            };
            for (int each = 0; each < 4; ++each)
                talk.peer.send_all(pattern(places::size));
            check(co_await s.read(array));
            check(co_await s.read(list));
            check(co_await s.read(span));
            auto named = s.read_or_end(list);  // it may be called several times, and has buffers of its own
            auto const told = co_await named(asio::as_tuple(asio::deferred));
            BOOST_TEST(!std::get<0>(told).failed());
            BOOST_TEST(static_cast<bool>(std::get<1>(told)));
            check(places::size);
            talk.peer.shutdown_write();
            auto const more = co_await std::move(named);
            BOOST_TEST(!more);
        });
}

BOOST_AUTO_TEST_CASE(a_read_of_some_fills_the_first_that_is_not_empty)
{
    memory_talk talk;
    talk.play({},
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            places into;
            std::vector<mutable_buffer> const buffers{
                mutable_buffer{}, asio::buffer(into.first), asio::buffer(into.third)};
            started<std::size_t> waiting{executor, awaited<std::size_t>(s.read_some(buffers))};
            co_await settle();
            talk.peer.send_all(pattern(places::size));
            auto const size = co_await waiting.result();
            BOOST_TEST(size == 3U);
            BOOST_TEST(into.all() == begun(3));
            auto const rest = co_await read(s);
            BOOST_TEST(rest == pattern(places::size).substr(3));
        });
}

BOOST_AUTO_TEST_CASE(without_room_it_is_refused)
{
    memory_talk talk;
    talk.play({},
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::vector<mutable_buffer> const none;
            std::array<mutable_buffer, 2> const empty{};
            co_await expect_error(awaited<std::size_t>(s.read(none)), asio::error::invalid_argument);
            co_await expect_error(awaited<std::size_t>(s.read(empty)), asio::error::invalid_argument);
            co_await expect_error(awaited<std::size_t>(s.read_some(none)), asio::error::invalid_argument);
        });
}

BOOST_AUTO_TEST_CASE(a_deadline_counts_for_all_of_them)
{
    memory_talk talk;
    talk.play({},
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            places into;
            auto const buffers = into.array();
            auto const from = talk.now();
            auto limited = s.read(buffers).within(std::chrono::seconds{10});
            started<std::size_t> reading{executor, awaited<std::size_t>(std::move(limited))};
            co_await talk.pause(std::chrono::seconds{8});
            talk.peer.send_all(pattern(places::size).substr(0, 5));
            auto const end = co_await outcome_of(reading.result());
            BOOST_TEST((end.code == errc::call_timed_out));
            BOOST_TEST(end.bytes == 5U);
            BOOST_TEST((talk.now() - from >= std::chrono::seconds{10}));
            BOOST_TEST((talk.now() - from < std::chrono::seconds{12}));
        });
}
