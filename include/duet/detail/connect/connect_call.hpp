// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_CALL_HPP
#define DUET_DETAIL_CONNECT_CONNECT_CALL_HPP

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/spawned_call.hpp>
#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A connect, not yet begun: `co_await` it, or call it with any completion token.
///
/// Awaited, it is the connector's coroutine and nothing else. For other tokens that coroutine is spawned.
template <class Core>
class [[nodiscard]] connect_call : public Core::template awaitable<typename Core::session_type>
{
    using session_type = typename Core::session_type;
    using awaitable_type = typename Core::template awaitable<session_type>;
    using signature = void(error_code, session_type);

public:
    connect_call(std::shared_ptr<Core> core, awaitable_type connecting)
        : awaitable_type{std::move(connecting)}, core_{std::move(core)}
    {
    }

    template <boost::asio::completion_token_for<signature> Token>
    auto operator()(Token&& token) &&
    {
        return boost::asio::async_initiate<Token, signature>(
            [core = std::move(core_)](auto&& handler, awaitable_type connecting)
            {
                using handler_type = std::decay_t<decltype(handler)>;
                spawn_call(core->executor, std::move(connecting), boost::asio::cancellation_type::all,
                    handler_type{std::forward<decltype(handler)>(handler)});
            },
            token, static_cast<awaitable_type&&>(*this));
    }

private:
    std::shared_ptr<Core> core_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// A coroutine awaits a connect_call as the awaitable that it is, and not as an operation to be started.
template <class Core, class... Arguments>
struct boost::asio::is_async_operation<duet::detail::connect_call<Core>, Arguments...> : std::false_type
{
};

#endif
