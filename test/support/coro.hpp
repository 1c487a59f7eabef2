// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CORO_HPP
#define DUET_TEST_CORO_HPP

#include "support/wait.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/test_tools.hpp>

#include <chrono>
#include <concepts>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

// Running coroutines in tests. Whatever a test's coroutine throws comes out of run(): a swallowed exception would turn
// a failed BOOST_REQUIRE green.
//
// What may stand in a co_await on g++ 12 is in the project's notes on compilers: named objects, std::move(named),
// lambdas that capture by reference. run() and run_all() themselves are not awaited, so their arguments are free.

namespace duet_test {

namespace asio = boost::asio;

// What is still to be done on the context when the test's body has ended. A session that was closed or destroyed leaves
// nothing, so work that never ends is a leak.
enum class leftover_work
{
    must_end,  // run on until there is none; work that does not end within the guard fails the test
    dropped    // leave it on the context
};

struct run_options
{
    std::chrono::seconds guard = run_guard;
    leftover_work leftover = leftover_work::must_end;
};

namespace detail {

// Runs until the predicate holds. No timer of the guard's is on the context: it would be work itself.
template <typename Predicate>
void run_until(asio::io_context& context, std::chrono::seconds const guard, Predicate const& ended)
{
    auto const deadline = guard_clock::now() + guard;
    context.restart();
    while (!ended())
    {
        if (context.run_one_until(deadline) != 0)
            continue;
        if (guard_clock::now() >= deadline)
            throw hang{"a coroutine of the test has not ended"};
        throw std::logic_error{"a coroutine of the test waits for something that can no longer come: no work is left"};
    }
}

inline void run_leftover(asio::io_context& context, run_options const& options)
{
    if (options.leftover == leftover_work::dropped)
        return;
    context.restart();
    context.run_until(guard_clock::now() + options.guard);
    if (!context.stopped())
        throw hang{"the test's body has ended, but work is left on its io_context"};
}

// A result that need not be default-constructible, as that of co_spawn must be.
template <typename T>
struct result_slot
{
    std::optional<T> value;

    T take() { return std::move(*value); }
};

template <>
struct result_slot<void>
{
    void take() {}
};

template <typename T>
asio::awaitable<void> store_result(asio::awaitable<T> body, result_slot<T>& slot)
{
    if constexpr (std::is_void_v<T>)
    {
        co_await std::move(body);
    }
    else
    {
        T value = co_await std::move(body);
        slot.value.emplace(std::move(value));
    }
}

// Shared with the coroutines' completion handlers: after a hang they outlive the call of run_all, and so must the
// signals, in which Asio keeps their cancellation state.
struct group : std::enable_shared_from_this<group>
{
    std::size_t running = 0;
    std::exception_ptr first_failure;
    std::deque<asio::cancellation_signal> signals;

    void ended(std::exception_ptr const& failure)
    {
        --running;
        if (!failure || first_failure)
            return;
        first_failure = failure;
        for (auto& each : signals)
            each.emit(asio::cancellation_type::terminal);
    }

    void start(asio::io_context& context, asio::awaitable<void> body)
    {
        ++running;
        auto& signal = signals.emplace_back();
        auto handler = [self = shared_from_this()](std::exception_ptr const& failure) { self->ended(failure); };
        asio::co_spawn(context, std::move(body), asio::bind_cancellation_slot(signal.slot(), std::move(handler)));
    }
};

}  // namespace detail

// Runs coroutines at the same time, to their ends. When one throws, the others are cancelled, and once they have ended
// its exception comes out of here.
template <std::same_as<asio::awaitable<void>>... Bodies>
void run_all(asio::io_context& context, run_options const& options, Bodies... bodies)
{
    auto const group = std::make_shared<detail::group>();
    (group->start(context, std::move(bodies)), ...);
    try
    {
        detail::run_until(context, options.guard, [&] { return group->running == 0; });
    }
    catch (hang const&)
    {
        if (!group->first_failure)
            throw;  // else the failure explains the hang
    }
    if (group->first_failure)
        std::rethrow_exception(group->first_failure);
    detail::run_leftover(context, options);
}

template <std::same_as<asio::awaitable<void>>... Bodies>
void run_all(Bodies... bodies)
{
    asio::io_context context;
    run_all(context, run_options{}, std::move(bodies)...);
}

// Runs one coroutine to its end and returns its result or throws its exception.
template <typename T>
T run(asio::io_context& context, asio::awaitable<T> body, run_options const& options = {})
{
    detail::result_slot<T> slot;
    run_all(context, options, detail::store_result(std::move(body), slot));
    return slot.take();
}

template <typename T>
T run(asio::awaitable<T> body, run_options const& options = {})
{
    asio::io_context context;
    return run(context, std::move(body), options);
}

// run([&]() -> asio::awaitable<void> { ... }): the lambda lives until its coroutine has ended.
template <std::invocable Body>
auto run(Body&& body, run_options const& options = {})
{
    asio::io_context context;
    return run(context, std::invoke(body), options);
}

// The error a coroutine fails with, or success. Any exception but system_error comes through.
template <typename T>
asio::awaitable<boost::system::error_code> error_of(asio::awaitable<T> body)
{
    boost::system::error_code result;
    try
    {
        co_await std::move(body);
    }
    catch (boost::system::system_error const& error)
    {
        result = error.code();
    }
    co_return result;
}

// Checks that a coroutine fails with the error: an error_code, error_condition, or an enumerator of either.
template <typename T, typename Error>
asio::awaitable<void> expect_error(asio::awaitable<T> body, Error const expected)
{
    using is_code = std::is_convertible<Error, boost::system::error_code>;
    using comparable = std::conditional_t<is_code::value, boost::system::error_code, boost::system::error_condition>;
    comparable const wanted{expected};
    auto const error = co_await error_of(std::move(body));
    BOOST_CHECK_MESSAGE(
        error == wanted, "the coroutine ended with '" << error.message() << "', expected '" << wanted.message() << "'");
}

// Lets everything that is ready run: a coroutine just spawned gets to its first wait.
inline asio::awaitable<void> settle()
{
    auto const executor = co_await asio::this_coro::executor;
    for (int turn = 0; turn < 8; ++turn)
        co_await asio::post(executor, asio::use_awaitable);
}

// eventually() for coroutines: the io_context goes on running between the looks.
template <typename Predicate>
asio::awaitable<void> until(Predicate predicate, std::string_view const what)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor};
    auto const deadline = guard_clock::now() + eventually_guard;
    for (;;)
    {
        if (std::invoke(predicate))
            co_return;
        if (guard_clock::now() >= deadline)
            throw hang{"never became true: " + std::string{what}};
        timer.expires_after(std::chrono::milliseconds{1});
        co_await timer.async_wait(asio::use_awaitable);
    }
}

}  // namespace duet_test

#endif
