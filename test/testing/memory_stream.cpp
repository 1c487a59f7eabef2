// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sessions on a stream in memory: what TCP does at the end of a connection, without a kernel and without time.

#define BOOST_TEST_MODULE testing.memory_stream
#include <duet/session.hpp>
#include <duet/testing/manual_clock.hpp>
#include <duet/testing/memory_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::error_code;
using duet::testing::memory_session;
using duet::testing::memory_stream;

namespace {

duet::session_options options()
{
    duet::session_options result;
    result.deadlines.half_closed = 10s;
    result.deadlines.close = 5s;
    result.deadlines.close_total = 30s;
    return result;
}

struct fixture
{
    /// Run to the end of everything, or until all wait for time.
    template <class... Operations>
    void play(Operations... operations)
    {
        std::exception_ptr failure;
        int running = 0;
        auto const ended = [&](std::exception_ptr const& thrown)
        {
            --running;
            if (thrown && !failure)
                failure = thrown;
        };
        (asio::co_spawn(context, (++running, std::move(operations)), ended), ...);
        clock.run_ready();
        BOOST_TEST(running == 0);
        if (failure)
            std::rethrow_exception(failure);
    }

    asio::io_context context;
    duet::testing::manual_clock clock{context};
    std::pair<memory_stream, memory_stream> ends{memory_stream::pair(context.get_executor())};
    duet::testing::memory_behaviour& near = ends.first.behaviour();
    duet::testing::memory_behaviour& far = ends.second.behaviour();
    memory_session a{std::move(ends.first), options()};
    memory_session b{std::move(ends.second), options()};
};

asio::awaitable<std::string> read_all(memory_session& s)
{
    std::string all = co_await s.read_all(1024 * 1024);
    co_return all;
}

asio::awaitable<void> echo(memory_session& s)
{
    std::array<char, 64> buffer{};
    for (;;)
    {
        std::size_t const size = co_await s.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await s.write(asio::buffer(buffer, size));
    }
    co_await s.close();
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_half_close_gets_its_answer_and_both_ends_are_clean, fixture)
{
    std::string answer;
    std::optional<duet::close_report> report;
    auto const asks = [&]() -> asio::awaitable<void>
    {
        std::string const request(300, 'x');
        co_await a.write(asio::buffer(request));
        co_await a.shutdown_send();
        answer = co_await read_all(a);
        report = co_await a.close();
    };
    play(asks(), echo(b));
    BOOST_TEST(answer == std::string(300, 'x'));
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST((report->reason == close_reason::clean));
    BOOST_TEST((b.close_reason() == close_reason::clean));
}

BOOST_FIXTURE_TEST_CASE(short_reads_and_writes_lose_nothing, fixture)
{
    for (std::size_t const most : {1U, 2U, 3U, 7U})
    {
        near.most_per_write = near.most_per_read = far.most_per_read = most;
        far.most_per_write = most + 1;
        near.capacity = far.capacity = 8;
        std::string sent;
        for (int i = 0; i < 100; ++i)
            sent += std::to_string(i);
        std::string got(sent.size(), '\0');
        auto const writes = [&]() -> asio::awaitable<void> { co_await a.write(asio::buffer(sent)); };
        auto const reads = [&]() -> asio::awaitable<void> { co_await b.read(asio::buffer(got)); };
        play(writes(), reads());
        BOOST_TEST(got == sent);
    }
}

BOOST_FIXTURE_TEST_CASE(fin_is_ordered_behind_a_write_that_waits, fixture)
{
    near.capacity = 10;
    std::string const sent(1000, 'y');
    std::string got;
    auto const writes = [&]() -> asio::awaitable<void> { co_await a.write(asio::buffer(sent)); };
    auto const finishes = [&]() -> asio::awaitable<void> { co_await a.shutdown_send(); };
    auto const reads = [&]() -> asio::awaitable<void> { got = co_await read_all(b); };
    play(writes(), finishes(), reads());
    BOOST_TEST(got == sent);
}

BOOST_FIXTURE_TEST_CASE(a_reset_is_told_after_the_bytes_before_it, fixture)
{
    std::string got;
    error_code end;
    auto const aborts = [&]() -> asio::awaitable<void>
    {
        co_await b.write(asio::buffer("last", 4));
        b.abort();
    };
    auto const reads = [&]() -> asio::awaitable<void>
    {
        try
        {
            co_await a.read_all(got, 1000);
        }
        catch (duet::session_error const& error)
        {
            end = error.code();
        }
    };
    play(aborts(), reads());
    BOOST_TEST(got == "last");
    BOOST_TEST((end == condition::reset));
    BOOST_TEST((a.close_reason() == close_reason::peer_reset));
}

BOOST_FIXTURE_TEST_CASE(an_end_that_is_dropped_with_unread_input_resets, fixture)
{
    auto const writes = [&]() -> asio::awaitable<void> { co_await a.write(asio::buffer("unread", 6)); };
    play(writes());
    {
        auto const dropped = std::move(b);
    }
    BOOST_TEST(a.lowest_layer().unacknowledged() == 6U);
    error_code end;
    auto const reads = [&]() -> asio::awaitable<void>
    {
        std::array<char, 10> buffer{};
        try
        {
            co_await a.read_some(asio::buffer(buffer));
        }
        catch (duet::session_error const& error)
        {
            end = error.code();
        }
    };
    play(reads());
    BOOST_TEST((end == condition::reset));
}

BOOST_FIXTURE_TEST_CASE(close_discards_what_still_comes, fixture)
{
    std::optional<duet::close_report> report;
    auto const closes = [&]() -> asio::awaitable<void> { report = co_await a.close(); };
    auto const talks = [&]() -> asio::awaitable<void>
    {
        co_await b.write(asio::buffer("too late", 8));
        std::string const rest = co_await read_all(b);
        BOOST_TEST(rest == "");
        co_await b.close();
    };
    play(closes(), talks());
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST((report->reason == close_reason::discarded_input));
    BOOST_TEST(report->bytes_discarded == 8U);
}

BOOST_FIXTURE_TEST_CASE(a_peer_that_vanishes_ends_close_by_its_deadline, fixture)
{
    std::optional<duet::close_report> report;
    a.lowest_layer().vanish();
    auto const closes = [&]() -> asio::awaitable<void> { report = co_await a.close(); };
    asio::co_spawn(context, closes(), asio::detached);
    clock.advance(4s);
    BOOST_TEST(!report.has_value());
    clock.advance(2s);
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST((report->reason == close_reason::timed_out));
    BOOST_TEST(report->bytes_unacknowledged == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_slow_reader_is_not_given_up_while_it_reads, fixture)
{
    near.capacity = 1000;
    auto const writes = [&]() -> asio::awaitable<void>
    {
        std::string const all(1000, 'z');
        co_await a.write(asio::buffer(all));
    };
    play(writes());
    std::optional<duet::close_report> report;
    auto const closes = [&]() -> asio::awaitable<void> { report = co_await a.close(); };
    asio::co_spawn(context, closes(), asio::detached);
    std::array<char, 100> buffer{};
    for (int i = 0; i < 6; ++i)
    {
        auto const reads = [&]() -> asio::awaitable<void> { co_await b.read(asio::buffer(buffer)); };
        clock.advance(4s);
        BOOST_TEST(!report.has_value());
        asio::co_spawn(context, reads(), asio::detached);
        clock.run_ready();
    }
    clock.advance(6s);
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST((report->reason == close_reason::timed_out));
}

BOOST_FIXTURE_TEST_CASE(the_half_closed_deadline_needs_no_time, fixture)
{
    error_code end;
    auto const reads = [&]() -> asio::awaitable<void>
    {
        std::array<char, 10> buffer{};
        co_await a.shutdown_send();
        try
        {
            co_await a.read_some(asio::buffer(buffer));
        }
        catch (duet::session_error const& error)
        {
            end = error.code();
        }
    };
    asio::co_spawn(context, reads(), asio::detached);
    clock.advance(10s);
    BOOST_TEST(!end);
    clock.advance(1s);
    BOOST_TEST(end == error_code{errc::half_closed_timed_out});
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_the_sessions_with_it)
{
    auto alive = std::make_shared<int>(1);
    std::weak_ptr<int> const watch = alive;
    {
        asio::io_context context;
        auto ends = memory_stream::pair(context.get_executor());
        auto const reads = [](memory_session own, std::shared_ptr<int>) -> asio::awaitable<void>
        {
            std::array<char, 10> buffer{};
            co_await own.read_some(asio::buffer(buffer));
        };
        asio::co_spawn(context, reads(memory_session{std::move(ends.first)}, std::move(alive)), asio::detached);
        context.poll();
        BOOST_TEST(!watch.expired());
    }
    BOOST_TEST(watch.expired());
}
