// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_THROWING_TOKEN_HPP
#define DUET_DETAIL_COMPLETION_THROWING_TOKEN_HPP

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/awaiting_coroutine.hpp>
#include <duet/detail/completion/thrown_failure.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// Completion tokens that throw: whoever uses one gets the exception that a coroutine gets which awaits the operation
// directly, not the system_error that Asio would make of its code.
//
// So use_awaitable and use_future, also inside of Asio's bind functions, are replaced: the one by a coroutine that
// awaits the operation, the other by a promise of duet's own.

/// The signature's result: what the handler is passed behind the error code.
template <class Signature>
struct result_of_signature;

template <>
struct result_of_signature<void(error_code)>
{
    using type = void;
};

template <class Result>
struct result_of_signature<void(error_code, Result)>
{
    using type = Result;
};

/// The completion handler behind a std::future. If it is destroyed without a call, the future has a broken_promise.
template <class Result, class Allocator>
class promise_handler
{
public:
    using allocator_type = Allocator;

    explicit promise_handler(Allocator const& allocator)
        : promise_{std::allocator_arg, allocator}, allocator_{allocator}
    {
    }

    template <class... Results>
    void operator()(error_code const& error, Results&&... results)
    {
        if (error)
            promise_.set_exception(thrown_failure::exception_of(error));
        else
            promise_.set_value(std::forward<Results>(results)...);
    }

    std::future<Result> future() { return promise_.get_future(); }

    allocator_type get_allocator() const noexcept { return allocator_; }

private:
    std::promise<Result> promise_;
    [[no_unique_address]] Allocator allocator_;
};

/// The completion token in place of use_future.
template <class Allocator>
struct promise_token
{
    Allocator allocator;
};

/// The completion token in place of use_awaitable.
template <class Executor>
struct coroutine_token
{
};

/// Its coroutine.
template <class Result, class Executor, class Operation>
boost::asio::awaitable<Result, Executor> await_operation(Operation deferred)
{
    if constexpr (std::is_void_v<Result>)
        co_await std::move(deferred);
    else
    {
        auto result = co_await std::move(deferred);
        co_return result;
    }
}

/// True if the handler throws the failure of an operation with this signature, or passes it on as an exception.
template <class Handler, class Signature>
inline constexpr bool throws_failure = is_awaiting_coroutine<Handler, Signature>::value;

template <class Result, class Allocator, class Signature>
inline constexpr bool throws_failure<promise_handler<Result, Allocator>, Signature> = true;

template <class Handler, class Executor, class Signature>
inline constexpr bool throws_failure<boost::asio::executor_binder<Handler, Executor>, Signature> =
    throws_failure<Handler, Signature>;

template <class Handler, class Slot, class Signature>
inline constexpr bool throws_failure<boost::asio::cancellation_slot_binder<Handler, Slot>, Signature> =
    throws_failure<Handler, Signature>;

template <class Handler, class Allocator, class Signature>
inline constexpr bool throws_failure<boost::asio::allocator_binder<Handler, Allocator>, Signature> =
    throws_failure<Handler, Signature>;

/// What replaces a token. Most are not replaced.
template <class Token>
struct token_replacement
{
    static constexpr bool exists = false;
};

template <class Allocator>
struct token_replacement<boost::asio::use_future_t<Allocator>>
{
    static constexpr bool exists = true;

    static auto of(boost::asio::use_future_t<Allocator> const& token)
    {
        return promise_token<Allocator>{token.get_allocator()};
    }
};

template <class Executor>
struct token_replacement<boost::asio::use_awaitable_t<Executor>>
{
    static constexpr bool exists = true;

    static auto of(boost::asio::use_awaitable_t<Executor> const&) { return coroutine_token<Executor>{}; }
};

template <class Token, class Executor>
    requires(token_replacement<Token>::exists)
struct token_replacement<boost::asio::executor_binder<Token, Executor>> : token_replacement<Token>
{
    static auto of(boost::asio::executor_binder<Token, Executor> const& bound)
    {
        return boost::asio::bind_executor(bound.get_executor(), token_replacement<Token>::of(bound.get()));
    }
};

template <class Token, class Slot>
    requires(token_replacement<Token>::exists)
struct token_replacement<boost::asio::cancellation_slot_binder<Token, Slot>> : token_replacement<Token>
{
    static auto of(boost::asio::cancellation_slot_binder<Token, Slot> const& bound)
    {
        return boost::asio::bind_cancellation_slot(
            bound.get_cancellation_slot(), token_replacement<Token>::of(bound.get()));
    }
};

template <class Token, class Allocator>
    requires(token_replacement<Token>::exists)
struct token_replacement<boost::asio::allocator_binder<Token, Allocator>> : token_replacement<Token>
{
    static auto of(boost::asio::allocator_binder<Token, Allocator> const& bound)
    {
        return boost::asio::bind_allocator(bound.get_allocator(), token_replacement<Token>::of(bound.get()));
    }
};

/// Initiate an operation: calls `initiate` with the token, or with what replaces it.
template <class Token, class Initiate>
auto with_token(Token&& token, Initiate initiate)
{
    using replacement = token_replacement<std::remove_cvref_t<Token>>;
    if constexpr (!replacement::exists)
        return initiate(std::forward<Token>(token));
    else
        return initiate(replacement::of(token));
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

template <class Allocator, class... Arguments>
struct boost::asio::async_result<duet::detail::promise_token<Allocator>, void(Arguments...)>
{
    using result_type = typename duet::detail::result_of_signature<void(Arguments...)>::type;
    using return_type = std::future<result_type>;

    template <class Initiation, class Token, class... Initial>
    static return_type initiate(Initiation&& initiation, Token&& token, Initial&&... initial)
    {
        duet::detail::promise_handler<result_type, Allocator> handler{token.allocator};
        auto result = handler.future();
        std::forward<Initiation>(initiation)(std::move(handler), std::forward<Initial>(initial)...);
        return result;
    }
};

template <class Executor, class... Arguments>
struct boost::asio::async_result<duet::detail::coroutine_token<Executor>, void(Arguments...)>
{
    using result_type = typename duet::detail::result_of_signature<void(Arguments...)>::type;
    using return_type = boost::asio::awaitable<result_type, Executor>;

    template <class Initiation, class Token, class... Initial>
    static return_type initiate(Initiation&& initiation, Token&&, Initial&&... initial)
    {
        return duet::detail::await_operation<result_type, Executor>(
            boost::asio::async_initiate<boost::asio::deferred_t const, void(Arguments...)>(
                std::forward<Initiation>(initiation), boost::asio::deferred, std::forward<Initial>(initial)...));
    }
};

#endif
