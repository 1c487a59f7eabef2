// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Functions for a session that another thread posts.

#define BOOST_TEST_MODULE session.remote
#include <duet/remote.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::close_reason;
using duet::errc;

namespace {

using remote = duet::remote<duet::session>;

static_assert(std::is_same_v<decltype(duet::remote{std::declval<duet::session&>()}), remote>);
static_assert(std::is_nothrow_copy_constructible_v<remote> && std::is_nothrow_default_constructible_v<remote>);

/// What comes of a function that this thread posts, and waits for on a context of its own.
template <class Function>
auto answer_of(remote const& to, Function const& function)
{
    using result = std::invoke_result_t<Function, duet::session&>;
    struct answer
    {
        boost::system::error_code code{};
        detail::result_slot<result> slot{};
    };
    answer given;
    asio::io_context here;
    auto const ask = [&]() -> asio::awaitable<void>
    {
        try
        {
            if constexpr (std::is_void_v<result>)
            {
                co_await to.post(function, asio::use_awaitable);
            }
            else
            {
                auto value = co_await to.post(function, asio::use_awaitable);
                given.slot.value.emplace(std::move(value));
            }
        }
        catch (duet::session_error const& error)
        {
            given.code = error.code();
        }
    };
    run(here, ask());
    return given;
}

void nothing(duet::session&) {}

}  // namespace

BOOST_AUTO_TEST_CASE(a_remote_of_nothing_posts_nothing)
{
    bool called = false;
    auto const call = [&](duet::session&) { called = true; };
    remote const none;
    BOOST_TEST(!none.post(call));
    BOOST_TEST(answer_of(none, call).code == errc::closed);
    duet::session const empty;
    BOOST_TEST(!duet::remote{empty}.post(call));
    BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(a_function_of_another_thread_runs_on_the_sessions_executor)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const here = std::this_thread::get_id();
            duet::remote const other{s};
            std::thread::id ran_on;
            std::size_t sent = 0;
            auto const use = [&]
            {
                auto const answer = [&](duet::session& mine)
                {
                    ran_on = std::this_thread::get_id();
                    auto const line = std::make_shared<std::string>("hello");
                    mine.write(asio::buffer(*line))([line](duet::error_code, std::size_t) {});
                    return mine.bytes_sent();
                };
                sent = answer_of(other, answer).slot.take();
            };
            co_await in_thread(use);
            BOOST_TEST((ran_on == here));
            BOOST_TEST(sent == 5u);
            BOOST_TEST(talk.peer.recv_exactly(5) == "hello");
        });
}

// Not even on the session's own thread.
BOOST_AUTO_TEST_CASE(nothing_runs_within_post_and_the_order_is_kept)
{
    tcp_talk talk;
    talk.play(
        [](duet::session& s) -> asio::awaitable<void>
        {
            std::string order;
            duet::remote const own{s};
            for (char const letter : {'a', 'b', 'c'})
                BOOST_TEST(own.post([&order, letter](duet::session&) { order += letter; }));
            BOOST_TEST(order.empty());
            co_await settle();
            BOOST_TEST(order == "abc");
        });
}

BOOST_AUTO_TEST_CASE(it_follows_a_moved_session)
{
    tcp_talk talk;
    talk.play(
        [](duet::session& s) -> asio::awaitable<void>
        {
            duet::remote const other{s};
            auto moved = std::move(s);
            BOOST_TEST(other.post([](duet::session& mine) { mine.abort(); }));
            co_await settle();
            BOOST_TEST(moved.close_reason() == close_reason::aborted);
        });
}

// A session that has ended is there as long as its object is.
BOOST_AUTO_TEST_CASE(it_tells_that_the_session_is_gone)
{
    tcp_talk talk;
    remote other;
    auto const guard = std::make_shared<int>(0);
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            other = remote{s};
            s.abort();
            bool valid = false;
            BOOST_TEST(other.post([&](duet::session& mine) { valid = mine.error() == errc::aborted; }));
            co_await settle();
            BOOST_TEST(valid);
            BOOST_TEST(other.post([guard](duet::session&) { BOOST_ERROR("the session is gone"); }));
        });
    BOOST_TEST(guard.use_count() == 1);
    BOOST_TEST(!other.post([guard](duet::session&) {}));
    BOOST_TEST(guard.use_count() == 1);
    BOOST_TEST(answer_of(other, nothing).code == errc::closed);
}

BOOST_AUTO_TEST_CASE(a_call_that_the_end_overtakes_is_told)
{
    tcp_talk talk;
    asio::io_context elsewhere;
    boost::system::error_code told;
    auto const ask = [&](remote other) -> asio::awaitable<void>
    {
        auto const never = [](duet::session&) { BOOST_ERROR("the session is gone"); };
        told = co_await error_of(awaited<void>(other.post(never, asio::deferred)));
    };
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            asio::co_spawn(elsewhere, ask(remote{s}), asio::detached);
            elsewhere.poll();
            co_return;
        });
    elsewhere.restart();
    elsewhere.run();
    BOOST_TEST(told == errc::closed);
}

// Operations keep the connection for a moment, but nobody has a session object any more.
BOOST_AUTO_TEST_CASE(a_session_that_was_destroyed_among_its_operations_is_gone)
{
    tcp_talk talk;
    bool called = false;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::remote const other{s};
            started<std::string> reading{executor, read(s)};
            co_await settle();
            BOOST_TEST(other.post([&](duet::session&) { called = true; }));
            s = duet::session{};
            co_await expect_error(reading.result(), errc::closed);
        });
    BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(the_function_may_keep_the_session)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            std::optional<duet::session> kept;
            duet::remote{s}.post([&](duet::session& mine) { kept.emplace(std::move(mine)); });
            co_await settle();
            s = duet::session{};
            BOOST_REQUIRE(kept);
            talk.peer.send_all("still here");
            auto const heard = co_await read(*kept);
            BOOST_TEST(heard == "still here");
        });
}

BOOST_AUTO_TEST_CASE(an_exception_aborts_the_session)
{
    tcp_talk talk;
    talk.play(
        [](duet::session& s) -> asio::awaitable<void>
        {
            duet::remote{s}.post([](duet::session&) { throw std::runtime_error{"no"}; });
            co_await settle();
            BOOST_TEST(s.close_reason() == close_reason::aborted);
        });
}

BOOST_AUTO_TEST_CASE(an_exception_goes_to_whoever_waits_for_it)
{
    tcp_talk talk;
    talk.play(
        [](duet::session& s) -> asio::awaitable<void>
        {
            std::string text;
            duet::remote const own{s};
            auto const fail = [](duet::session&) -> int { throw std::runtime_error{"no"}; };
            try
            {
                co_await own.post(fail, asio::use_awaitable);
            }
            catch (std::runtime_error const& error)
            {
                text = error.what();
            }
            BOOST_TEST(text == "no");
            BOOST_TEST(s.close_reason() == close_reason::none);
        });
}

// As between two threads of a server.
BOOST_AUTO_TEST_CASE(a_coroutine_of_another_context_goes_on_at_home)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const theirs = std::this_thread::get_id();
            remote const other{s};
            auto const ask = [&]() -> asio::awaitable<void>
            {
                auto const home = std::this_thread::get_id();
                BOOST_TEST((home != theirs));
                auto const look = [](duet::session&) { return std::this_thread::get_id(); };
                auto const ran_on = co_await other.post(look, asio::use_awaitable);
                BOOST_TEST((ran_on == theirs));
                BOOST_TEST((std::this_thread::get_id() == home));
            };
            auto const elsewhere = [&] { run(ask()); };
            co_await in_thread(elsewhere);
        });
}

BOOST_AUTO_TEST_CASE(it_may_outlive_the_context)
{
    remote kept;
    asio::io_context elsewhere;
    boost::system::error_code told;
    auto const guard = std::make_shared<int>(0);
    auto const use = [guard](duet::session&) { BOOST_ERROR("nobody runs the context"); };
    auto const ask = [&](remote other) -> asio::awaitable<void>
    { told = co_await error_of(awaited<void>(other.post(use, asio::deferred))); };
    {
        asio::io_context context;
        auto pair = connected_pair(raw_address::v4(0));
        auto const session = adopt<duet::session>(pair.server, asio::make_strand(context));
        kept = remote{session};
        BOOST_TEST(kept.post(use));
        asio::co_spawn(elsewhere, ask(kept), asio::detached);
        elsewhere.poll();
    }
    elsewhere.run();
    BOOST_TEST(told == errc::closed);
    BOOST_TEST(!kept.post(use));
    BOOST_TEST(guard.use_count() == 2);
}

// The session ends and dies, and its context, among the calls. (ThreadSanitizer is the judge.)
BOOST_AUTO_TEST_CASE(many_threads_race_with_the_end_of_the_session)
{
    for (int round = 0; round < 20; ++round)
    {
        std::vector<std::jthread> threads;
        std::atomic<int> refused = 0;
        tcp_talk talk;
        talk.play(
            [&](duet::session& s) -> asio::awaitable<void>
            {
                int count = 0;  // of the session's own thread
                for (int i = 0; i < 4; ++i)
                    threads.emplace_back(
                        [&refused, other = remote{s}, shared = std::make_shared<int>(0)]
                        {
                            while (other.post([shared](duet::session& mine) { *shared += mine.valid() ? 1 : 0; }))
                                std::this_thread::yield();
                            ++refused;
                        });
                while (count < 10)
                    co_await duet::remote{s}.post([&](duet::session&) { ++count; }, asio::use_awaitable);
            });
        threads.clear();
        BOOST_TEST(refused == 4);
    }
}
