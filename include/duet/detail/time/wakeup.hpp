// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_WAKEUP_HPP
#define DUET_DETAIL_TIME_WAKEUP_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/detail/time/wakeup_queue.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The single time at which an owner wants to be called next. It is in the queue of its context, or has a timer of its
/// own if the context has no queue. While a time is set, the context has work and the owner stays alive.
class wakeup : public queued_wakeup
{
public:
    /// Calls the owner's on_wakeup() from the context when the time has come. `owner` must contain this object.
    /// `plain`: plain_context_of() the owner's executor.
    wakeup(context_clock const& time, boost::asio::io_context* plain, operation_owner& owner) noexcept
        : queued_wakeup{owner}
    {
        auto* const queue = wakeup_queue::of(plain);
        queued_ = queue && queue->clock().manual() == time.manual();  // a test may bring its clock after the queue
        if (queued_)
            queue_ = queue;
    }

    ~wakeup()
    {
        if (!queued_)
            delete own_;
    }

    /// Wake up at `when` if that is earlier than the time already set. False: no memory; there may be no wake-up at
    /// all. `executor` and `time` are always the same ones: a timer of its own needs them.
    bool set(time_point when, boost::asio::any_io_executor const& executor, context_clock const& time) noexcept
    {
        if (when >= at_)
            return true;
        if (queued_)
            return queue_->set(*this, when);
        at_ = when;
        bool const begun = owner_.attempt([&] { start_timer(executor, time); });
        if (!begun)
            at_ = never;
        return begun;
    }

    /// Cancel the wake-up. This may release the last reference to the owner.
    void cancel() noexcept
    {
        if (queued_)
            return queue_->cancel(*this);
        at_ = never;
        if (own_)
            own_->timer_.cancel();
    }

private:
    struct own_timer
    {
        own_timer(boost::asio::any_io_executor const& executor, context_clock const& time) : timer_{executor, time} {}

        timer timer_;
        bool waiting_ = false;
        operation_memory<143> memory_;
    };

    void start_timer(boost::asio::any_io_executor const& executor, context_clock const& time)
    {
        if (!own_)
            own_ = new own_timer{executor, time};
        own_->timer_.expires_at(at_);  // a pending wait completes as cancelled, and is started again
        if (!own_->waiting_)
            wait();
    }

    void wait()
    {
        auto const ended = [this](operation_owner& owner, error_code error)
        {
            own_->waiting_ = false;
            if (error != boost::asio::error::operation_aborted)
            {
                at_ = never;
                owner.on_wakeup();
            }
            else if (at_ != never && !owner.attempt([this] { wait(); }))
            {
                at_ = never;
                owner.on_wakeup();  // the owner tries to set the timer again, and finds out whether there is memory
            }
        };
        own_->timer_.async_wait(placed_handler{owner_, ended, own_->memory_});
        own_->waiting_ = true;
    }

    bool queued_;
    union
    {
        wakeup_queue* queue_;
        own_timer* own_ = nullptr;  // if it is not queued; null: not needed yet
    };
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
