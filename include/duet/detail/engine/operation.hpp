// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_OPERATION_HPP
#define DUET_DETAIL_ENGINE_OPERATION_HPP

#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>

#include <exception>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/completion/awaiting_coroutine.hpp>
#include <duet/detail/completion/throwing_token.hpp>
#include <duet/detail/completion/thrown_failure.hpp>
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/empty_session.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The completion signature of an operation of the coroutine interface.
template <class Result>
struct completion_of
{
    using signature = void(error_code, Result);
};

template <>
struct completion_of<void>
{
    using signature = void(error_code);
};

/// The exception that the coroutine interface throws: a session_error, or std::bad_alloc if there is no memory for one.
[[gnu::cold]] inline std::exception_ptr exception_of(
    connection& target, char const* name, error_code const& error, std::size_t size) noexcept
{
    try
    {
        session_error result{error, name, target.describe_peer(), size};
        error_origin::set(result, &target);
        return std::make_exception_ptr(std::move(result));
    }
    catch (...)
    {
        return std::current_exception();
    }
}

/// Converts (error_code, size) into the result that the coroutine interface promises. `Result` decides which errors
/// count as values (the peer's FIN is 0) and what the result is.
template <class Handler, class Result>
class result_handler
{
    using result_type = typename Result::type;

public:
    result_handler(Handler handler, connection* target, char const* name)
        : handler_{std::move(handler)}, connection_{target}, name_{name}
    {
    }

    void operator()(error_code error, std::size_t size)
    {
        deliver(std::move(handler_), *connection_, name_, error, size);
    }

    /// As operator(), but for a handler that is not wrapped.
    static void deliver(Handler&& handler, connection& target, char const* name, error_code error, std::size_t size)
    {
        // Compute this before calling the handler, which may destroy the connection.
        auto failure = failure_of(target, name, error, size);
        if constexpr (std::is_void_v<result_type>)
            std::move(handler)(tell(std::move(failure)));
        else
        {
            auto result = Result::result(target, error, size);
            std::move(handler)(tell(std::move(failure)), std::move(result));
        }
    }

    /// For a session that has no connection.
    static void refuse(operation_owner const& target, char const* name, Handler&& handler)
    {
        if constexpr (std::is_void_v<result_type>)
            refuse_empty<throws>(target, name, std::move(handler));
        else
            refuse_empty<throws, result_type>(target, name, std::move(handler));
    }

    /// As operator(), in two steps. This function runs on the session's executor; the function that it returns runs on
    /// the handler's executor, when the connection may already be gone.
    auto settle(error_code error, std::size_t size)
    {
        if constexpr (std::is_void_v<result_type>)
            return [handler = std::move(handler_), failure = failure_of(*connection_, name_, error, size)]() mutable
            { std::move(handler)(tell(std::move(failure))); };
        else
            return [handler = std::move(handler_), failure = failure_of(*connection_, name_, error, size),
                       result = Result::result(*connection_, error, size)]() mutable
            { std::move(handler)(tell(std::move(failure)), std::move(result)); };
    }

    Handler const& inner() const noexcept { return handler_; }

private:
    static constexpr bool throws = throws_failure<Handler, typename completion_of<result_type>::signature>;

    using failure_type = std::conditional_t<throws, std::exception_ptr, error_code>;

    [[gnu::always_inline]] static failure_type failure_of(
        connection& target, char const* name, error_code const& error, std::size_t size)
    {
        if (!error && !target.observed()) [[likely]]
            return {};
        return failure_or_told(target, name, error, size);
    }

    /// Tell the observer, if there is one, and return the failure, if it is one.
    [[gnu::noinline]] static failure_type failure_or_told(
        connection& target, char const* name, error_code const& error, std::size_t size)
    {
        if (target.observed())
            name = target.tell_result(name, error ? seen(error) : error, size);
        auto const failure = error ? told(error) : error;
        if (!failure)
            return {};
        if constexpr (throws)
            return exception_of(target, name, failure, size);
        else
            return failure;
    }

    /// What the program is told of an error.
    static error_code told(error_code error)
    {
        if (Result::is_value(error))
            return {};
        if constexpr (requires { Result::told(error); })
            return Result::told(error);
        else
            return error;
    }

    /// What an observer is told of it.
    static error_code seen(error_code error)
    {
        if constexpr (requires { Result::seen(error); })
            return Result::seen(error);
        else
            return told(error);
    }

    static error_code tell(failure_type failure)
    {
        if constexpr (throws)
            return failure ? thrown_failure::carry(std::move(failure)) : error_code{};
        else
            return failure;
    }

    Handler handler_;
    connection* connection_;
    char const* name_;
};

/// A base of an operation. Specialized for those that an awaiter looks for: see frame_awaiter.hpp.
template <class Start>
struct operation_mark
{
};

/// One operation of a session, not yet begun: `co_await` it, or call it with any completion token.
///
/// Awaited in an `asio::awaitable`, it begins without a coroutine frame of its own. `Start` is one of
/// initiation.hpp.
template <class Result, class Start>
class [[nodiscard]] operation : public operation_mark<Start>
{
    using result_type = typename Result::type;
    using signature = typename completion_of<result_type>::signature;

public:
    template <class... Arguments>
    operation(operation_target target, char const* name, std::in_place_t, Arguments const&... arguments)
        : target_{std::move(target)}, name_{name}, start_{arguments...}
    {
    }

    operation(operation_target target, char const* name, Start start)
        : target_{std::move(target)}, name_{name}, start_{std::move(start)}
    {
    }

    /// Limit this call: it fails with errc::call_timed_out when it has taken so long in all, with or without progress,
    /// and leaves behind what a terminal cancellation does. The session's own deadlines count besides. Zero is no
    /// limit.
    operation within(deadlines::duration limit) &&
    {
        start_.within(limit);
        return std::move(*this);
    }

    /// For a read in a race: wait until it need not wait, or tell why it failed.
    auto wait_for_input() const
    {
        return operation<bytes_and_error, waiting_to_read>{target_, name_, start_.wait_for_input()};
    }

    /// True for an operation of an empty session.
    bool will_be_refused() const noexcept { return target_->stands_in(); }

    /// True if its result is there, and nothing else has to be done, or told to anybody, than to take it by
    /// result_now().
    bool need_not_begin() const noexcept
    {
        if (target_->stands_in())
            return false;
        auto const& target = static_cast<connection const&>(*target_);
        return !target.observed() && start_.need_not_begin(target);
    }

    result_type result_now() { return start_.result_now(static_cast<connection&>(*target_)); }

    /// Throw what the operation throws for this error, if it is one.
    void throw_if_failed(error_code const& error) const
    {
        if (error)
            std::rethrow_exception(exception_of(static_cast<connection&>(*target_), name_, error, 0));
    }

    /// Calling a named operation copies it, so that it may be started again.
    template <boost::asio::completion_token_for<signature> Token>
    auto operator()(Token&& token) const& requires std::is_copy_constructible_v<Start>
    {
        return operation{*this}(std::forward<Token>(token));
    }

    template <boost::asio::completion_token_for<signature> Token>
    auto operator()(Token&& token) &&
    {
        auto const initiate = [this]<class Used>(Used&& used)
        { return std::move(*this).begin_with(std::forward<Used>(used)); };
        return with_token(std::forward<Token>(token), initiate);
    }

private:
    template <class Token>
    auto begin_with(Token&& token) &&
    {
        return boost::asio::async_initiate<Token, signature>(
            // Keep a capture here: g++ 12 treats an empty initiation inside bind_executor as uninitialized memory.
            [name = name_](auto&& handler, operation_target owner, Start start)
            {
                using handler_type = std::decay_t<decltype(handler)>;
                using wrapped = result_handler<handler_type, Result>;
                if (owner->stands_in()) [[unlikely]]
                    return wrapped::refuse(*owner, name, handler_type{std::forward<decltype(handler)>(handler)});
                auto& target = static_cast<connection&>(*owner);
                constexpr bool is_coroutine = is_awaiting_coroutine<handler_type, signature>::value;
                auto const* called = name;
                if (target.observed()) [[unlikely]]
                    called = tell_operation(target, start, name, is_coroutine && may_nest());
                auto const known = start.at_once(target);
                if constexpr (is_coroutine)
                {
                    if (known && may_nest())
                    {
                        inline_level const level;
                        return wrapped::deliver(
                            std::forward<decltype(handler)>(handler), target, called, known->error, known->size);
                    }
                }
                begin<wrapped, is_coroutine>(
                    target, start, known, std::forward<decltype(handler)>(handler), &target, called);
            },
            token, std::move(target_), std::move(start_));
    }

    operation_target target_;
    char const* name_;
    Start start_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// The wrapped handler's executor, allocator and cancellation slot are the handler's own.
template <template <class, class> class Associator, class Handler, class Result, class Default>
struct boost::asio::associator<Associator, duet::detail::result_handler<Handler, Result>, Default>
    : Associator<Handler, Default>
{
    using wrapped = duet::detail::result_handler<Handler, Result>;

    static auto get(wrapped const& handler) noexcept { return Associator<Handler, Default>::get(handler.inner()); }

    static auto get(wrapped const& handler, Default const& fallback) noexcept
    {
        return Associator<Handler, Default>::get(handler.inner(), fallback);
    }
};

#endif
