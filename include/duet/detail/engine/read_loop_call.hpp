// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_READ_LOOP_CALL_HPP
#define DUET_DETAIL_ENGINE_READ_LOOP_CALL_HPP

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <type_traits>
#include <utility>

#include <duet/detail/completion/spawned_call.hpp>
#include <duet/detail/completion/throwing_token.hpp>
#include <duet/detail/engine/empty_session.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An operation of a session that is a coroutine of its own, not yet begun: an awaitable that within() can still limit,
/// and that can be called with any completion token. `Begin` makes the coroutine, given the session's connection and
/// the time.
template <class Connection, class Begin>
class [[nodiscard]] read_loop_call
    : public std::invoke_result_t<Begin const&, owner_ref<Connection> const&, deadlines::duration>
{
    using reference = owner_ref<Connection>;
    using awaitable_type = std::invoke_result_t<Begin const&, reference const&, deadlines::duration>;
    using result_type = typename awaitable_type::value_type;
    using signature = void(error_code, result_type);

public:
    read_loop_call(operation_target target, char const* name, Begin begin, deadlines::duration limit = {})
        : awaitable_type{begin(connection_of(target), limit)}, target_{std::move(target)}, name_{name}, begin_{
                                                                                                            std::move(
                                                                                                                begin)}
    {
    }

    /// See operation::within().
    read_loop_call within(deadlines::duration limit) &&
    {
        return read_loop_call{std::move(target_), name_, std::move(begin_), limit};
    }

    template <boost::asio::completion_token_for<signature> Token>
    auto operator()(Token&& token) &&
    {
        auto const initiate = [this]<class Used>(Used&& used)
        {
            return boost::asio::async_initiate<Used, signature>(
                [target = std::move(target_), name = name_](auto&& handler, awaitable_type call)
                {
                    using handler_type = std::decay_t<decltype(handler)>;
                    handler_type done{std::forward<decltype(handler)>(handler)};
                    using type = boost::asio::cancellation_type;
                    if (target->stands_in())
                        return refuse_empty<throws_failure<handler_type, signature>, result_type>(
                            *target, name, std::move(done));
                    spawn_call(connection_of(target)->get_executor(), std::move(call), type::terminal | type::partial,
                        std::move(done));
                },
                used, static_cast<awaitable_type&&>(*this));
        };
        return with_token(std::forward<Token>(token), initiate);
    }

private:
    /// Null if the session is empty.
    static reference connection_of(operation_target const& target) noexcept
    {
        return target->stands_in() ? reference{} : reference{static_cast<Connection*>(target.get())};
    }

    operation_target target_;
    char const* name_;
    Begin begin_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// A coroutine awaits a read_loop_call as the awaitable that it is, and not as an operation to be started.
template <class Connection, class Begin, class... Arguments>
struct boost::asio::is_async_operation<duet::detail::read_loop_call<Connection, Begin>, Arguments...> : std::false_type
{
};

#endif
