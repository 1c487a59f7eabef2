// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_COROUTINE_CALL_HPP
#define DUET_DETAIL_COMPLETION_COROUTINE_CALL_HPP

#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <type_traits>
#include <utility>

#include <duet/detail/completion/spawned_call.hpp>
#include <duet/detail/completion/throwing_token.hpp>
#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An operation that is a coroutine, not yet begun: `co_await` it, or call it with any completion token.
///
/// Awaited, it is the coroutine and nothing else. For other tokens the coroutine is spawned on the executor of `Owner`,
/// which the coroutine keeps alive. Cancellation of any type cancels it.
template <class Awaitable, class Owner>
class [[nodiscard]] coroutine_call : public Awaitable
{
    using result_type = typename Awaitable::value_type;
    using signature = void(error_code, result_type);

public:
    coroutine_call(Awaitable coroutine, Owner& owner) noexcept : Awaitable{std::move(coroutine)}, owner_{&owner} {}

    template <boost::asio::completion_token_for<signature> Token>
    auto operator()(Token&& token) &&
    {
        auto const initiate = [this]<class Used>(Used&& used)
        {
            return boost::asio::async_initiate<Used, signature>(
                [executor = owner_->get_executor()](auto&& handler, Awaitable call)
                {
                    using handler_type = std::decay_t<decltype(handler)>;
                    spawn_call(executor, std::move(call), boost::asio::cancellation_type::all,
                        handler_type{std::forward<decltype(handler)>(handler)});
                },
                used, static_cast<Awaitable&&>(*this));
        };
        return with_token(std::forward<Token>(token), initiate);
    }

private:
    Owner* owner_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// A coroutine awaits a coroutine_call as the awaitable that it is, and not as an operation to be started.
template <class Awaitable, class Owner, class... Arguments>
struct boost::asio::is_async_operation<duet::detail::coroutine_call<Awaitable, Owner>, Arguments...> : std::false_type
{
};

#endif
