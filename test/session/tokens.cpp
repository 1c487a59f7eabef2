// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Completion tokens that throw: each gets the exception that a co_await of the operation throws.

#define BOOST_TEST_MODULE session.tokens
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

using namespace duet_test;
using duet::errc;

namespace {

template <class T>
asio::awaitable<T> value_of(memory_talk& talk, std::future<T> future)
{
    co_await talk.until([&] { return future.wait_for(std::chrono::seconds{0}) == std::future_status::ready; });
    co_return future.get();
}

/// Everything that an operation may be called with and that throws. `begin` makes the operation.
template <class Begin>
asio::awaitable<void> check_failures(memory_talk& talk, Begin begin, errc expected, std::string name, std::string text)
{
    auto const executor = talk.context.get_executor();
    auto const check = [&](outcome const& told)
    {
        BOOST_TEST((told.code == expected));
        BOOST_TEST(told.operation == name);
        BOOST_TEST(told.text == text);
    };
    auto awaited_result = begin()(asio::use_awaitable);
    check(co_await outcome_of(std::move(awaited_result)));
    auto on_executor = begin()(asio::bind_executor(executor, asio::use_awaitable));
    check(co_await outcome_of(std::move(on_executor)));
    auto with_allocator = begin()(asio::bind_allocator(std::allocator<char>{}, asio::use_awaitable));
    check(co_await outcome_of(std::move(with_allocator)));
    asio::cancellation_signal signal;
    auto with_slot = begin()(asio::bind_cancellation_slot(signal.slot(), asio::use_awaitable));
    check(co_await outcome_of(std::move(with_slot)));

    auto future = begin()(asio::use_future);
    check(co_await outcome_of(value_of(talk, std::move(future))));
    auto future_on_executor = begin()(asio::bind_executor(executor, asio::use_future));
    check(co_await outcome_of(value_of(talk, std::move(future_on_executor))));
    auto future_with_slot = begin()(asio::bind_cancellation_slot(signal.slot(), asio::use_future));
    check(co_await outcome_of(value_of(talk, std::move(future_with_slot))));
    auto future_with_allocator = begin()(asio::bind_allocator(std::allocator<char>{}, asio::use_future));
    check(co_await outcome_of(value_of(talk, std::move(future_with_allocator))));

    using deferred_type = decltype(begin()(asio::deferred));
    using value = std::remove_cvref_t<decltype(begin()(asio::use_future).get())>;
    deferred_type deferred = begin()(asio::deferred);
    check(co_await outcome_of(awaited<value>(std::move(deferred))));

    // These do not throw: they are told the code.
    auto const told = co_await begin()(asio::as_tuple(asio::use_awaitable));
    BOOST_TEST((std::get<0>(told) == expected));
}

}  // namespace

BOOST_AUTO_TEST_CASE(tokens_that_throw_get_the_operation_and_the_peer)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 8> bytes{};
            std::string text;
            auto const buffer = asio::buffer(bytes);
            s.abort();
            auto const e = errc::aborted;
            auto const check = [&](auto begin, std::string name)
            {
                std::string const says = name + " memory:b: " + make_error_code(e).message();
                return check_failures(talk, std::move(begin), e, name, says);
            };
            co_await check([&] { return s.read_some(buffer); }, "read_some");
            co_await check([&] { return s.read(buffer); }, "read");
            co_await check([&] { return s.read_or_end(buffer); }, "read_or_end");
            co_await check([&] { return s.wait_readable(); }, "wait_readable");
            co_await check([&] { return s.write(buffer); }, "write");
            co_await check([&] { return s.shutdown_send(); }, "shutdown_send");
            co_await check([&] { return s.delivered(); }, "delivered");
            co_await check([&] { return s.wait_finish_requested(); }, "wait_finish_requested");
            co_await check([&] { return s.read_until(text, "\n", 100); }, "read_until");
            co_await check([&] { return s.read_all(text, 100); }, "read_all");
            co_await check([&] { return s.read_all(100); }, "read_all");
        });
}

BOOST_AUTO_TEST_CASE(of_an_empty_session)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& full) -> asio::awaitable<void>
        {
            std::array<char, 8> bytes{};
            std::string text;
            auto const buffer = asio::buffer(bytes);
            auto const moved = std::move(full);
            auto const check = [&](auto begin, std::string name)
            {
                std::string const says = name + " an empty session: " + make_error_code(errc::closed).message();
                return check_failures(talk, std::move(begin), errc::closed, name, says);
            };
            auto& s = full;
            co_await check([&] { return s.read_some(buffer); }, "read_some");
            co_await check([&] { return s.close(); }, "close");
            co_await check([&] { return s.wait_peer_gone(); }, "wait_peer_gone");
            co_await check([&] { return s.delivered(); }, "delivered");
            co_await check([&] { return s.read_until(text, "\n", 100); }, "read_until");
            co_await check([&] { return s.read_all(100); }, "read_all");
        });
}

/// Calls every kind of operation of an empty session with handlers that have no executor of their own.
template <class Call>
void each_operation(memory_session& s, Call call)
{
    static std::array<char, 8> bytes{};
    static std::string text;
    auto const buffer = asio::buffer(bytes);
    call([&](auto handler) { s.read_some(buffer)(handler); });
    call([&](auto handler) { s.close()(handler); });
    call([&](auto handler) { s.shutdown_send()(handler); });
    call([&](auto handler) { s.write(buffer)(handler); });
    call([&](auto handler) { s.read_until(text, "\n", 100)(handler); });
    call([&](auto handler) { s.async_read_some(buffer, handler); });
    call([&](auto handler) { s.async_write_some(buffer, handler); });
}

// On the thread that runs its context, and no other.
BOOST_AUTO_TEST_CASE(a_moved_from_session_calls_handlers_on_its_executor)
{
    memory_talk talk;
    auto const strand = asio::make_strand(talk.context);
    auto ends = duet::testing::memory_stream::pair(strand);
    memory_session plain = talk.make();
    memory_session on_strand{std::move(ends.first)};
    memory_session const others[] = {std::move(plain), std::move(on_strand)};
    int called = 0;
    int begun = 0;
    auto const call = [&](auto begin)
    {
        ++begun;
        bool const stranded = begun > 7;
        begin(
            [&, stranded](duet::error_code error, auto const&...)
            {
                ++called;
                BOOST_TEST((error == errc::closed));
                BOOST_TEST(talk.context.get_executor().running_in_this_thread());
                BOOST_TEST((!stranded || strand.running_in_this_thread()));
            });
    };
    each_operation(plain, call);
    each_operation(on_strand, call);
    BOOST_TEST(begun == 14);
    BOOST_TEST(called == 0);
    talk.context.poll();
    BOOST_TEST(called == 14);
}

// Whatever becomes of it, the executor that it keeps is freed once.
BOOST_AUTO_TEST_CASE(a_moved_from_session_is_moved_again_and_assigned_to)
{
    memory_talk talk;
    auto const strand = asio::make_strand(talk.context);
    asio::any_io_executor const its = strand;
    auto ends = duet::testing::memory_stream::pair(strand);
    memory_session first{std::move(ends.first)};
    memory_session second{std::move(first)};
    memory_session third{std::move(first)};
    BOOST_TEST((third.get_executor() == its));
    BOOST_TEST((third.receive_state() != duet::receive_state::open));
    third = std::move(second);
    BOOST_TEST((third.receive_state() == duet::receive_state::open));
    BOOST_TEST((second.get_executor() == its));
    second = memory_session{};
    BOOST_TEST(!second.get_executor());
    second = std::move(third);
    third = talk.make();
    BOOST_TEST((third.get_executor() == asio::any_io_executor{talk.context.get_executor()}));
    BOOST_TEST((second.receive_state() == duet::receive_state::open));
}

// There is no thread that they could be called on.
BOOST_AUTO_TEST_CASE(a_session_without_an_executor_refuses_handlers_without_one)
{
    memory_session nobody;
    int refused = 0;
    int called = 0;
    auto const call = [&](auto begin)
    {
        auto const is_closed = [](duet::session_error const& error) { return error.code() == errc::closed; };
        BOOST_CHECK_EXCEPTION(
            begin([&](duet::error_code, auto const&...) { ++called; }), duet::session_error, is_closed);
        ++refused;
    };
    each_operation(nobody, call);
    BOOST_TEST(refused == 7);
    BOOST_TEST(called == 0);

    auto future = nobody.shutdown_send()(asio::use_future);
    BOOST_REQUIRE((future.wait_for(std::chrono::seconds{0}) == std::future_status::ready));
    BOOST_CHECK_THROW(future.get(), duet::session_error);

    // Those with one are called there.
    asio::io_context context;
    each_operation(nobody,
        [&](auto begin)
        {
            begin(asio::bind_executor(context, [&](duet::error_code error, auto const&...)
                { called += error == errc::closed && context.get_executor().running_in_this_thread() ? 1 : 0; }));
        });
    BOOST_TEST(called == 0);
    context.run();
    BOOST_TEST(called == 7);
}

// The failure is that of an operation which has to wait, too.
BOOST_AUTO_TEST_CASE(of_an_operation_that_waits)
{
    memory_talk talk;
    talk.play(with({.read = std::chrono::seconds{1}}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 8> bytes{};
            talk.peer.send_all("abc");
            auto future = s.read(asio::buffer(bytes))(asio::use_future);
            auto const told = co_await outcome_of(value_of(talk, std::move(future)));
            BOOST_TEST((told.code == errc::read_timed_out));
            BOOST_TEST(told.operation == "read");
            BOOST_TEST(told.bytes == 3U);
            auto again = s.read(asio::buffer(bytes))(asio::use_awaitable);
            auto const same = co_await outcome_of(std::move(again));
            BOOST_TEST((same.code == errc::read_timed_out));
            BOOST_TEST(same.operation == "read");
        });
}

BOOST_AUTO_TEST_CASE(a_future_has_the_value)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 8> bytes{};
            auto waiting = s.read_some(asio::buffer(bytes))(asio::use_future);
            talk.peer.send_all("hello");
            auto const size = co_await value_of(talk, std::move(waiting));
            BOOST_TEST(size == 5U);
            co_await value_of(talk, s.shutdown_send()(asio::use_future));
            talk.peer.close();
            auto const report = co_await value_of(talk, s.close()(asio::use_future));
            BOOST_TEST((report.reason == duet::close_reason::clean));
        });
}

// As with Asio's own promise: nobody waits for ever.
BOOST_AUTO_TEST_CASE(a_future_whose_context_is_gone)
{
    std::array<char, 8> bytes{};
    std::future<std::size_t> waiting;
    {
        memory_talk talk;
        auto const s = std::make_unique<memory_session>(talk.make());
        waiting = s->read_some(asio::buffer(bytes))(asio::use_future);
    }
    BOOST_CHECK_THROW(waiting.get(), std::exception);
}
