// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_SPAWNED_CALL_HPP
#define DUET_DETAIL_COMPLETION_SPAWNED_CALL_HPP

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>

#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <duet/detail/completion/throwing_token.hpp>
#include <duet/detail/completion/thrown_failure.hpp>
#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// Some operations are coroutines, and are awaited as what they are. For other completion tokens the coroutine is
// spawned.

/// What a completion token that does not throw is told of an exception.
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

/// The completion handler of a spawned coroutine: passes on an error_code and the result, on the handler's own executor
/// and in its memory. It has the handler's slot for itself, and passes cancellation on by a signal of its own: what
/// co_spawn() leaves in a slot does not end with the coroutine or its context.
template <class Handler, class Result, class Executor>
class spawned_handler
{
    using slot_type = boost::asio::associated_cancellation_slot_t<Handler>;
    using work_type = std::decay_t<decltype(boost::asio::prefer(
        std::declval<boost::asio::associated_executor_t<Handler, Executor> const&>(),
        boost::asio::execution::outstanding_work.tracked))>;

public:
    spawned_handler(Handler handler, Executor const& executor, boost::asio::cancellation_type_t heeded)
        : handler_{std::move(handler)}, slot_{boost::asio::get_associated_cancellation_slot(handler_)},
          work_{boost::asio::prefer(boost::asio::get_associated_executor(handler_, executor),
              boost::asio::execution::outstanding_work.tracked)}
    {
        if (!slot_.is_connected())
            return;
        // Coroutines that are spawned heed terminal cancellation alone, so what is heeded becomes that.
        signal_ = std::make_shared<boost::asio::cancellation_signal>();
        slot_.assign(
            [weak = std::weak_ptr{signal_}, heeded](boost::asio::cancellation_type_t type)
            {
                // None is left if this handler was destroyed without a call, together with its context.
                auto const signal = weak.lock();
                if (signal && (type & heeded) != boost::asio::cancellation_type::none)
                    signal->emit(boost::asio::cancellation_type::terminal);
            });
    }

    boost::asio::cancellation_slot slot() const noexcept
    {
        return signal_ ? signal_->slot() : boost::asio::cancellation_slot{};
    }

    void operator()(std::exception_ptr failure, Result result)
    {
        if (slot_.is_connected())
            slot_.clear();
        auto const allocator = boost::asio::get_associated_allocator(handler_);
        auto call = [handler = std::move(handler_), failure = std::move(failure), result = std::move(result)]() mutable
        {
            error_code error;
            if (failure)
            {
                if constexpr (throws_failure<Handler, void(error_code, Result)>)
                    error = thrown_failure::carry(std::move(failure));
                else
                    error = code_of_exception(failure);
            }
            std::move(handler)(error, std::move(result));
        };
        boost::asio::dispatch(work_, boost::asio::bind_allocator(allocator, std::move(call)));
    }

private:
    Handler handler_;
    slot_type slot_;
    work_type work_;
    std::shared_ptr<boost::asio::cancellation_signal> signal_;
};

/// Run the coroutine on `executor`, and call `handler(error_code, result)` on the handler's own executor. `heeded`: the
/// types of cancellation that cancel the coroutine.
template <class Executor, class Awaitable, class Handler>
void spawn_call(Executor const& executor, Awaitable call, boost::asio::cancellation_type_t heeded, Handler handler)
{
    spawned_handler<Handler, typename Awaitable::value_type, Executor> done{std::move(handler), executor, heeded};
    auto const slot = done.slot();
    boost::asio::co_spawn(executor, std::move(call), boost::asio::bind_cancellation_slot(slot, std::move(done)));
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
