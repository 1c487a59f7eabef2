// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_TIMER_HPP
#define DUET_DETAIL_TIME_TIMER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
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
inline namespace v0 {
namespace detail {

/// A timer on the clock of its context. One wait at a time.
class timer
{
public:
    using time_point = coarse_clock::time_point;

    timer(boost::asio::any_io_executor const& executor, context_clock const& time)
        : system_{executor}, time_{time.manual()}, manual_{time_ ? std::make_unique<manual_time::waiting>() : nullptr}
    {
    }

    timer(timer const&) = delete;
    timer& operator=(timer const&) = delete;

    ~timer()
    {
        if (manual_)
            cancel();  // the other one does so itself
    }

    /// A wait under way ends with operation_aborted.
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

    /// `handler` is called with (error_code), from the context.
    template <class Handler>
    void async_wait(Handler&& handler)
    {
        if (!manual_)
            return system_.async_wait(std::forward<Handler>(handler));
        auto executor = system_.get_executor();
        auto told = [executor, inner = std::forward<Handler>(handler)](error_code error, std::size_t) mutable
        { boost::asio::post(executor, [inner = std::move(inner), error]() mutable { inner(error); }); };
        manual_->done = any_completion{std::move(told), executor, false};
        time_->wait(*manual_);
    }

    void cancel() noexcept
    {
        try
        {
            if (!manual_)
                system_.cancel();
            else if (manual_->waits)
                time_->tell(*manual_, boost::asio::error::operation_aborted);
        }
        catch (boost::system::system_error const&)
        {
            // Then it wakes up in vain, once.
        }
    }

private:
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        boost::asio::any_io_executor>
        system_;
    manual_time* time_;
    std::unique_ptr<manual_time::waiting> manual_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
