// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_COROUTINE_CALL_HPP
#define DUET_DETAIL_ENGINE_COROUTINE_CALL_HPP

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/awaiting_coroutine.hpp>
#include <duet/detail/completion/thrown_failure.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The error code of an exception of duet, Asio or the standard library's allocator. Rethrows any other.
inline error_code code_of(std::exception_ptr const& failure)
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (boost::system::system_error const& error)
    {
        return error.code();
    }
    catch (std::bad_alloc const&)
    {
        return boost::asio::error::no_memory;
    }
}

/// Converts the result of a spawned coroutine into what an operation with a completion token promises.
template <class Handler, class Result>
struct spawned_handler
{
    void operator()(std::exception_ptr failure, Result result)
    {
        constexpr bool is_coroutine = is_awaiting_coroutine<Handler, void(error_code, Result)>::value;
        error_code error;
        if constexpr (is_coroutine)
            error = failure ? thrown_failure::carry(std::move(failure)) : error_code{};
        else
            error = failure ? code_of(failure) : error_code{};
        std::move(handler)(error, std::move(result));
    }

    Handler handler;
};

/// An operation of a session that is a coroutine of its own, not yet begun: an awaitable that within() can still limit,
/// and that can be called with any completion token. `Begin` makes the coroutine, given the session's connection and
/// the time.
template <class Reference, class Begin>
class [[nodiscard]] coroutine_call : public std::invoke_result_t<Begin const&, Reference const&, deadlines::duration>
{
    using awaitable_type = std::invoke_result_t<Begin const&, Reference const&, deadlines::duration>;
    using result_type = typename awaitable_type::value_type;
    using signature = void(error_code, result_type);

public:
    explicit coroutine_call(Reference target, Begin begin, deadlines::duration limit = {})
        : awaitable_type{begin(target, limit)}, target_{std::move(target)}, begin_{std::move(begin)}
    {
    }

    /// See operation::within().
    coroutine_call within(deadlines::duration limit) &&
    {
        return coroutine_call{std::move(target_), std::move(begin_), limit};
    }

    /// The handler is called on its own executor. Not for Asio's probe: a coroutine awaits the awaitable itself.
    template <class Token>
        requires(!std::is_same_v<std::decay_t<Token>, boost::asio::detail::async_operation_probe>)
    &&boost::asio::completion_token_for<std::decay_t<Token>, signature> auto operator()(Token&& token) &&
    {
        return boost::asio::async_initiate<Token, signature>(
            [target = target_](auto&& handler, awaitable_type call)
            {
                using handler_type = std::decay_t<decltype(handler)>;
                spawned_handler<handler_type, result_type> done{std::forward<decltype(handler)>(handler)};
                if (target)
                    return boost::asio::co_spawn(target->get_executor(), cancellable(std::move(call)), std::move(done));
                auto const executor = boost::asio::get_associated_executor(done.handler);
                boost::asio::post(executor, [done = std::move(done)]() mutable
                    { std::move(done.handler)(error_code{errc::closed}, result_type{}); });
            },
            token, awaitable_type{static_cast<awaitable_type&&>(*this)});
    }

private:
    /// co_spawn() allows a coroutine terminal cancellation only.
    static awaitable_type cancellable(awaitable_type call)
    {
        co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::enable_partial_cancellation());
        co_return co_await std::move(call);
    }

    Reference target_;
    Begin begin_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// The wrapped handler's executor, allocator and cancellation slot are the handler's own.
template <template <class, class> class Associator, class Handler, class Result, class Default>
struct boost::asio::associator<Associator, duet::detail::spawned_handler<Handler, Result>, Default>
    : Associator<Handler, Default>
{
    using wrapped = duet::detail::spawned_handler<Handler, Result>;

    static auto get(wrapped const& done) noexcept { return Associator<Handler, Default>::get(done.handler); }

    static auto get(wrapped const& done, Default const& fallback) noexcept
    {
        return Associator<Handler, Default>::get(done.handler, fallback);
    }
};

#endif
