// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PROBE_CALLEES_HPP
#define DUET_TEST_PROBE_CALLEES_HPP

// What the compiler probe awaits: functions and an operation object, all with arguments and results whose lives are
// counted.

#include "support/coro.hpp"
#include "support/tracked.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

namespace duet_test {

struct trivial_options
{
    int x = 1;
    int y = 2;
};

struct rich_options  // what must not stand in an awaited call
{
    int x = 1;
    tracked y{2};
};

struct error_and_value
{
    boost::system::error_code error;
    tracked value{0};
};

// The callees suspend, so that temporaries of the caller have to outlive it.
inline asio::awaitable<int> take_reference(tracked const& argument)
{
    co_await settle();
    co_return argument.value;
}

inline asio::awaitable<int> take_value(tracked argument)
{
    co_await settle();
    co_return argument.value;
}

inline asio::awaitable<int> take_default(int const first, tracked second = tracked{20})
{
    co_await settle();
    co_return first + second.value;
}

inline asio::awaitable<int> take_trivial(trivial_options options)
{
    co_await settle();
    co_return options.x + options.y;
}

inline asio::awaitable<int> take_rich(rich_options options)
{
    co_await settle();
    co_return options.x + options.y.value;
}

template <typename Function>
asio::awaitable<int> call(Function function)
{
    co_await settle();
    co_return function();
}

inline asio::awaitable<int> number(int const value)
{
    co_await settle();
    co_return value;
}

inline asio::awaitable<tracked> make_tracked(int const value)
{
    co_await settle();
    tracked result{value};
    co_return result;
}

inline asio::awaitable<std::unique_ptr<tracked>> make_unique_tracked(int const value)
{
    co_await settle();
    co_return std::make_unique<tracked>(value);
}

inline asio::awaitable<error_and_value> make_error_and_value(int const value)
{
    co_await settle();
    error_and_value result{{}, tracked{value}};
    co_return result;
}

inline asio::awaitable<void> fail(int const depth)
{
    tracked const local{depth};
    if (depth != 0)
        co_await fail(depth - 1);
    co_await settle();
    throw std::runtime_error{"from the depth"};
}

inline void set_failure(boost::system::error_code& failure)
{
    failure = asio::error::invalid_argument;
}

inline void set_failure(std::exception_ptr& failure)
{
    failure = std::make_exception_ptr(boost::system::system_error{asio::error::invalid_argument});
}

// An operation as a session has it: an object not yet begun that takes any completion token, so that an awaitable
// awaits it without a coroutine in between. Completes with the subject's value, or fails when that is negative.
template <typename Failure>
class operation
{
public:
    using signature = void(Failure, std::size_t);

    operation(asio::any_io_executor executor, tracked subject)
        : executor_{std::move(executor)}, subject_{std::move(subject)}
    {
    }

    template <asio::completion_token_for<signature> Token>
    auto operator()(Token&& token)
    {
        return asio::async_initiate<Token, signature>(
            [](auto&& handler, asio::any_io_executor const& executor, tracked subject)
            {
                Failure failure{};
                if (subject.value < 0)
                    set_failure(failure);
                auto const result = static_cast<std::size_t>(subject.value);
                auto complete = [done = std::forward<decltype(handler)>(handler), failure, result]() mutable
                { std::move(done)(failure, result); };
                asio::post(executor, std::move(complete));
            },
            token, executor_, std::move(subject_));
    }

private:
    asio::any_io_executor executor_;
    tracked subject_;
};
static_assert(asio::is_async_operation<operation<boost::system::error_code>>::value);
static_assert(asio::is_async_operation<operation<std::exception_ptr>>::value);

}  // namespace duet_test

#endif
