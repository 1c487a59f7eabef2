// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_CALL_HPP
#define DUET_DETAIL_CONNECT_CONNECT_CALL_HPP

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>

#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/awaiting_coroutine.hpp>
#include <duet/detail/completion/thrown_failure.hpp>
#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What a completion token other than the coroutine itself is told of an exception.
[[gnu::cold]] inline error_code code_of_exception(std::exception_ptr const& failure) noexcept
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (system_error const& error)
    {
        return error.code();
    }
    catch (std::bad_alloc const&)
    {
        return boost::asio::error::no_memory;
    }
    catch (...)
    {
        return boost::asio::error::fault;
    }
}

/// The handler of a coroutine that connects, which passes on an error_code and the session.
template <class Handler, class Session>
class connect_handler
{
    using slot_type = boost::asio::associated_cancellation_slot_t<Handler>;

public:
    explicit connect_handler(Handler handler)
        : handler_{std::move(handler)}, slot_{boost::asio::get_associated_cancellation_slot(handler_)}
    {
        if (!slot_.is_connected())
            return;
        // Coroutines that are spawned heed terminal cancellation alone, so all types become that.
        signal_ = std::make_shared<boost::asio::cancellation_signal>();
        slot_.assign(
            [weak = std::weak_ptr{signal_}](boost::asio::cancellation_type type)
            {
                // None is left if this handler was destroyed without a call, together with its context.
                auto const signal = weak.lock();
                if (signal && type != boost::asio::cancellation_type::none)
                    signal->emit(boost::asio::cancellation_type::terminal);
            });
    }

    boost::asio::cancellation_slot slot() const noexcept
    {
        return signal_ ? signal_->slot() : boost::asio::cancellation_slot{};
    }

    void operator()(std::exception_ptr failure, Session session)
    {
        if (slot_.is_connected())
            slot_.clear();
        error_code error;
        if (failure)
        {
            if constexpr (is_awaiting_coroutine<Handler, void(error_code, Session)>::value)
                error = thrown_failure::carry(std::move(failure));
            else
                error = code_of_exception(failure);
        }
        std::move(handler_)(error, std::move(session));
    }

    Handler const& inner() const noexcept { return handler_; }

private:
    Handler handler_;
    slot_type slot_;
    std::shared_ptr<boost::asio::cancellation_signal> signal_;
};

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
                connect_handler<handler_type, session_type> wrapped{std::forward<decltype(handler)>(handler)};
                auto const slot = wrapped.slot();
                boost::asio::co_spawn(core->executor, std::move(connecting),
                    boost::asio::bind_cancellation_slot(slot, std::move(wrapped)));
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

/// The wrapped handler's executor and allocator are the handler's own.
template <template <class, class> class Associator, class Handler, class Session, class Default>
struct boost::asio::associator<Associator, duet::detail::connect_handler<Handler, Session>, Default>
    : Associator<Handler, Default>
{
    using wrapped = duet::detail::connect_handler<Handler, Session>;

    static auto get(wrapped const& handler) noexcept { return Associator<Handler, Default>::get(handler.inner()); }

    static auto get(wrapped const& handler, Default const& fallback) noexcept
    {
        return Associator<Handler, Default>::get(handler.inner(), fallback);
    }
};

#endif
