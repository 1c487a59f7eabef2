// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_AWAITING_COROUTINE_HPP
#define DUET_DETAIL_COMPLETION_AWAITING_COROUTINE_HPP

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/executor.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An operation with this completion signature. It is only passed to Asio's traits and never initiated.
template <class Signature>
struct operation_probe
{
    template <boost::asio::completion_token_for<Signature> Token>
    auto operator()(Token&& token) const
    {
        return boost::asio::async_initiate<Token, Signature>([](auto&&) {}, token);
    }
};

/// The awaiter that `co_await` creates for an operation in an `asio::awaitable` with this executor.
template <class Signature, class Executor>
using awaiter_of =
    decltype(std::declval<typename std::coroutine_traits<boost::asio::awaitable<void, Executor>>::promise_type&>()
                 .await_transform(std::declval<operation_probe<Signature>>()));

/// The handler type that such an awaiter passes to the operation. It is a private type of Asio whose template
/// parameters have changed (Boost 1.87 added one), so it is deduced.
template <class Signature, class Executor>
struct awaiting_handler
{
    static_assert(
        requires { typename awaiter_of<Signature, Executor>::handler_type; },
        "duet does not know this version of Boost.Asio: the awaiter of an operation has no member handler_type");

    using type = typename awaiter_of<Signature, Executor>::handler_type;
};

/// True if the handler is the coroutine itself, which awaits an operation with this completion signature.
///
/// Such a handler may be called from within its initiating function, because `asio::awaitable` runs the initiation
/// after the coroutine was suspended. Any other handler must be posted, because its initiating function has not
/// returned yet.
template <class Handler, class Signature>
struct is_awaiting_coroutine : std::false_type
{
};

template <class Handler, class Signature>
    requires requires
    {
        typename Handler::executor_type;
    } &&(boost::asio::execution::is_executor<typename Handler::executor_type>::value) struct is_awaiting_coroutine<
        Handler, Signature>
        : std::is_same<Handler, typename awaiting_handler<Signature, typename Handler::executor_type>::type>
    {
    };

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
