// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_COROUTINE_CALL_HPP
#define DUET_DETAIL_ENGINE_COROUTINE_CALL_HPP

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>

#include <type_traits>
#include <utility>

#include <duet/detail/completion/spawned_call.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

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

    template <boost::asio::completion_token_for<signature> Token>
    auto operator()(Token&& token) &&
    {
        return boost::asio::async_initiate<Token, signature>(
            [target = std::move(target_)](auto&& handler, awaitable_type call)
            {
                using handler_type = std::decay_t<decltype(handler)>;
                handler_type done{std::forward<decltype(handler)>(handler)};
                using type = boost::asio::cancellation_type;
                if (target)
                    return spawn_call(
                        target->get_executor(), std::move(call), type::terminal | type::partial, std::move(done));
                auto const executor = boost::asio::get_associated_executor(done);
                boost::asio::post(executor,
                    [done = std::move(done)]() mutable { std::move(done)(error_code{errc::closed}, result_type{}); });
            },
            token, static_cast<awaitable_type&&>(*this));
    }

private:
    Reference target_;
    Begin begin_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// A coroutine awaits a coroutine_call as the awaitable that it is, and not as an operation to be started.
template <class Reference, class Begin, class... Arguments>
struct boost::asio::is_async_operation<duet::detail::coroutine_call<Reference, Begin>, Arguments...> : std::false_type
{
};

#endif
