// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_TOLD_WAIT_HPP
#define DUET_DETAIL_TIME_TOLD_WAIT_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>

#include <duet/detail/time/timer.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// How a told_wait has ended.
enum class wait_end : std::uint8_t
{
    told,
    late,       ///< its time passed
    cancelled,  ///< the waiting coroutine was cancelled
};

/// A coroutine waits here until another one tells it to go on. One wait at a time, on one executor.
template <class Executor>
class told_wait
{
public:
    using time_point = typename basic_timer<Executor>::time_point;

    explicit told_wait(Executor const& executor) : timer_{executor} {}

    /// The coroutine goes on later, from the executor. It may be told before it waits.
    void tell() noexcept
    {
        told_ = true;
        timer_.cancel();
    }

    bool told() const noexcept { return told_; }

    time_point now() const noexcept { return timer_.clock().now(); }

    /// Wait until told, or until `by`; time_point::max() is no limit. To be told wins against the others.
    boost::asio::awaitable<wait_end, Executor> wait(time_point by)
    {
        if (told_)
            co_return wait_end::told;
        // Ask first: the next co_await would throw another error than that of the operation.
        auto const state = co_await boost::asio::this_coro::cancellation_state;
        if (state.cancelled() != boost::asio::cancellation_type::none)
            co_return wait_end::cancelled;
        error_code interrupted;
        timer_.expires_at(by);
        boost::asio::use_awaitable_t<Executor> const token;
        co_await timer_.async_wait(boost::asio::redirect_error(token, interrupted));
        if (told_)
            co_return wait_end::told;
        co_return interrupted ? wait_end::cancelled : wait_end::late;
    }

private:
    basic_timer<Executor> timer_;
    bool told_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
