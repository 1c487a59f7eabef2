// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_WAKEUP_HPP
#define DUET_DETAIL_TIME_WAKEUP_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>

#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The single timer of an operation_owner. It is set to the earliest known deadline. If nothing is due when it expires,
/// because there was progress, it is set again. So an operation that meets its deadline, as nearly all do, touches no
/// timer.
class wakeup
{
public:
    using time_point = coarse_clock::time_point;
    using function = void (*)(operation_owner&);

    static constexpr time_point never = time_point::max();

    /// Calls `told` from the context when the timer expires. `owner` must contain this object.
    wakeup(
        boost::asio::any_io_executor const& executor, context_clock const& time, operation_owner& owner, function told)
        : timer_{executor, time}, owner_{owner}, told_{told}
    {
    }

    /// The time of the next wake-up; `never` if none is set.
    time_point at() const noexcept { return at_; }

    /// Wake up at `when` if that is earlier than the time already set. False: no memory; there may be no wake-up at
    /// all.
    bool set(time_point when) noexcept
    {
        if (when >= at_)
            return true;
        at_ = when;
        auto const begin = [this]
        {
            timer_.expires_at(at_);  // a pending wait completes as cancelled, and is started again
            if (!waiting_)
                wait();
        };
        bool const begun = owner_.attempt(begin);
        if (!begun)
            at_ = never;
        return begun;
    }

    /// Cancel the wake-up.
    void cancel() noexcept
    {
        at_ = never;
        timer_.cancel();
    }

private:
    void wait()
    {
        auto const ended = [this](operation_owner& owner, error_code error)
        {
            waiting_ = false;
            if (error != boost::asio::error::operation_aborted)
            {
                at_ = never;
                told_(owner);
            }
            else if (at_ != never && !owner.attempt([this] { wait(); }))
            {
                at_ = never;
                told_(owner);  // the owner tries to set the timer again, and finds out whether there is memory
            }
        };
        timer_.async_wait(placed_handler{owner_, ended, memory_});
        waiting_ = true;
    }

    timer timer_;
    operation_owner& owner_;
    function told_;
    time_point at_ = never;
    bool waiting_ = false;
    operation_memory<143> memory_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
