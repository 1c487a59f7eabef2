// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RESOLVE_RESOLVE_LOOKUP_HPP
#define DUET_DETAIL_RESOLVE_RESOLVE_LOOKUP_HPP

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <duet/detail/resolve/lookup_queue.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The executor's side of one look-up.
///
/// It waits twice on a timer that never expires. The coroutine's wait counts as work for the context, and the
/// coroutine's cancellation slot ends it. The second wait has a `keeper` as its handler, whose destructor abandons the
/// waiter. When the context is destroyed, that destructor runs while Asio shuts down its services. The coroutine
/// itself is destroyed later, together with the context's queue; a thread that posted to that queue then would race
/// with its destruction.
template <class Executor>
class lookup : public std::enable_shared_from_this<lookup<Executor>>
{
public:
    explicit lookup(Executor const& executor) : timer_{executor, std::chrono::steady_clock::time_point::max()} {}

    static boost::asio::awaitable<resolved_endpoints, Executor> run(
        lookup_source source, std::string host, std::string service)
    {
        auto const executor = co_await boost::asio::this_coro::executor;
        auto const self = std::make_shared<lookup>(executor);
        leave const guard{*self};
        self->start(std::move(source), std::move(host), std::move(service));
        boost::asio::use_awaitable_t<Executor> const token;
        error_code error;
        co_await self->timer_.async_wait(boost::asio::redirect_error(token, error));
        self->waiter_->abandon();
        if (!self->result_)
            throw system_error{boost::asio::error::operation_aborted, "resolve"};
        if (self->result_->failure)
            std::rethrow_exception(self->result_->failure);
        co_return self->result_->endpoints;
    }

private:
    struct leave
    {
        lookup& target;

        ~leave()
        {
            if (target.waiter_)
                target.waiter_->abandon();
            target.timer_.cancel();
        }
    };

    class keeper
    {
    public:
        explicit keeper(std::shared_ptr<lookup_waiter> waiter) : waiter_{std::move(waiter)} {}

        keeper(keeper&&) noexcept = default;

        ~keeper()
        {
            if (waiter_)
                waiter_->abandon();
        }

        void operator()(error_code const&) const noexcept {}

    private:
        std::shared_ptr<lookup_waiter> waiter_;
    };

    void start(lookup_source source, std::string host, std::string service)
    {
        waiter_ = std::make_shared<lookup_waiter>(
            [self = this->shared_from_this()](std::shared_ptr<lookup_result const>& result)
            {
                if (result)
                    self->result_ = std::move(result);
                boost::asio::post(self->timer_.get_executor(), [self] { self->timer_.cancel(); });
            });
        timer_.async_wait(keeper{waiter_});
        lookup_queue::get().add(std::move(source), std::move(host), std::move(service), waiter_);
    }

    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        Executor>
        timer_;
    std::shared_ptr<lookup_waiter> waiter_;
    std::shared_ptr<lookup_result const> result_;  // written by the thread, under the waiter's lock
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
