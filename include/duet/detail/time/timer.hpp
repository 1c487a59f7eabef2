// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_TIMER_HPP
#define DUET_DETAIL_TIME_TIMER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

#include <duet/detail/time/context_clock.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A timer on the clock of its context: Asio's, or a manual clock that a test advances. One wait at a time.
template <class Executor>
class basic_timer
{
public:
    using time_point = coarse_clock::time_point;
    using duration = coarse_clock::duration;

    explicit basic_timer(Executor const& executor) : basic_timer{executor, context_clock{executor}} {}

    basic_timer(Executor const& executor, context_clock const& clock) : system_{executor}, clock_{clock}
    {
        if (clock_.manual())
            manual_ = std::make_unique<manual_time::waiting>();
    }

    basic_timer(basic_timer const&) = delete;
    basic_timer& operator=(basic_timer const&) = delete;

    ~basic_timer()
    {
        if (manual_)
            cancel();  // a system timer cancels its wait in its own destructor
    }

    Executor get_executor() noexcept { return system_.get_executor(); }

    context_clock const& clock() const noexcept { return clock_; }

    /// Set the time. A pending wait ends with operation_aborted.
    void expires_at(time_point when)
    {
        if (!manual_)
        {
            system_.expires_at(when);
            return;
        }
        cancel();
        manual_->at = when;
    }

    void expires_after(duration time)
    {
        auto const now = clock_.now();
        expires_at(time < time_point::max() - now ? now + time : time_point::max());
    }

    /// Completes with (error_code). Cancellation of any type ends the wait with operation_aborted.
    template <boost::asio::completion_token_for<void(error_code)> Token>
    auto async_wait(Token&& token)
    {
        return boost::asio::async_initiate<Token, void(error_code)>([](auto&& handler, basic_timer* self)
            { self->begin_wait(std::forward<decltype(handler)>(handler)); },
            token, this);
    }

    void cancel() noexcept
    {
        try
        {
            if (!manual_)
                system_.cancel();
            else if (manual_->waits)
                clock_.manual()->tell(*manual_, boost::asio::error::operation_aborted);
        }
        catch (boost::system::system_error const&)
        {
            // The timer then wakes up once without need.
        }
    }

private:
    template <class Handler>
    void begin_wait(Handler&& handler)
    {
        if (!manual_)
            return system_.async_wait(std::forward<Handler>(handler));
        auto const executor = boost::asio::get_associated_executor(handler, system_.get_executor());
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        auto told = [executor, slot, inner = std::forward<Handler>(handler)](error_code error, std::size_t) mutable
        {
            if (slot.is_connected())
                slot.clear();
            boost::asio::post(executor, [inner = std::move(inner), error]() mutable { std::move(inner)(error); });
        };
        manual_->done = any_completion{std::move(told), boost::asio::any_io_executor{system_.get_executor()}, false};
        if (slot.is_connected())
            slot.assign([this](boost::asio::cancellation_type type) { cancel_if(type); });
        clock_.manual()->wait(*manual_);
    }

    void cancel_if(boost::asio::cancellation_type type) noexcept
    {
        if (type != boost::asio::cancellation_type::none)
            cancel();
    }

    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        Executor>
        system_;
    context_clock clock_;
    std::unique_ptr<manual_time::waiting> manual_;  // null on the system's clock
};

using timer = basic_timer<boost::asio::any_io_executor>;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
