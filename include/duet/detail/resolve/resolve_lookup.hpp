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
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <duet/error.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

using resolved_endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

/// A function that resolves a name, and may block for a long time.
using blocking_lookup = std::function<resolved_endpoints(std::string const& host, std::string const& service)>;

/// getaddrinfo. Blocks. Throws system_error with Asio's codes for its errors. See check_name() for what it must not
/// get.
DUET_DECL resolved_endpoints look_up_by_system(std::string const& host, std::string const& service);

/// The result of a look-up.
struct lookup_result
{
    resolved_endpoints endpoints{};
    std::exception_ptr failure{};
};

/// The only connection from the thread of a look-up to the object that waits for the result. After abandon(), the
/// thread uses nothing of that object: no executor, whose context may be gone, and no timer.
class lookup_channel
{
public:
    using receiver = std::function<void(lookup_result&)>;

    explicit lookup_channel(receiver to) : receiver_{std::move(to)} {}

    /// Called on the look-up's thread. It calls the receiver under the lock, so that abandon() waits for that call to
    /// end.
    void deliver(lookup_result& result)
    {
        std::lock_guard const lock{mutex_};
        if (receiver_)
            receiver_(result);
    }

    void abandon() noexcept
    {
        receiver dropped;
        std::lock_guard const lock{mutex_};
        dropped.swap(receiver_);
    }

private:
    std::mutex mutex_;
    receiver receiver_;
};

/// Start a thread that calls `lookup`, delivers the result and ends. The thread is detached, because getaddrinfo cannot
/// be interrupted and takes up to half a minute if the name servers do not answer.
DUET_DECL void start_lookup_thread(
    blocking_lookup lookup, std::string host, std::string service, std::shared_ptr<lookup_channel> channel);

/// The executor's side of one look-up.
///
/// It waits twice on a timer that never expires. The coroutine's wait counts as work for the context, and the
/// coroutine's cancellation slot ends it. The second wait has a `keeper` as its handler, whose destructor abandons the
/// channel. When the context is destroyed, that destructor runs while Asio shuts down its services. The coroutine
/// itself is destroyed later, together with the context's queue; a thread that posted to that queue then would race
/// with its destruction.
template <class Executor>
class lookup : public std::enable_shared_from_this<lookup<Executor>>
{
public:
    explicit lookup(Executor const& executor) : timer_{executor, std::chrono::steady_clock::time_point::max()} {}

    static boost::asio::awaitable<resolved_endpoints, Executor> run(
        blocking_lookup function, std::string host, std::string service)
    {
        auto const executor = co_await boost::asio::this_coro::executor;
        auto const self = std::make_shared<lookup>(executor);
        leave const guard{*self};
        self->start(std::move(function), std::move(host), std::move(service));
        boost::asio::use_awaitable_t<Executor> const token;
        error_code error;
        co_await self->timer_.async_wait(boost::asio::redirect_error(token, error));
        self->channel_->abandon();
        if (!self->result_)
            throw system_error{boost::asio::error::operation_aborted, "resolve"};
        if (self->result_->failure)
            std::rethrow_exception(self->result_->failure);
        co_return std::move(self->result_->endpoints);
    }

private:
    struct leave
    {
        lookup& target;

        ~leave()
        {
            if (target.channel_)
                target.channel_->abandon();
            target.timer_.cancel();
        }
    };

    class keeper
    {
    public:
        explicit keeper(std::shared_ptr<lookup_channel> channel) : channel_{std::move(channel)} {}

        keeper(keeper&&) noexcept = default;

        ~keeper()
        {
            if (channel_)
                channel_->abandon();
        }

        void operator()(error_code const&) const noexcept {}

    private:
        std::shared_ptr<lookup_channel> channel_;
    };

    void start(blocking_lookup function, std::string host, std::string service)
    {
        channel_ = std::make_shared<lookup_channel>(
            [self = this->shared_from_this()](lookup_result& result)
            {
                if (!self->result_)
                    self->result_.emplace(std::move(result));
                boost::asio::post(self->timer_.get_executor(), [self] { self->timer_.cancel(); });
            });
        timer_.async_wait(keeper{channel_});
        start_lookup_thread(std::move(function), std::move(host), std::move(service), channel_);
    }

    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        Executor>
        timer_;
    std::shared_ptr<lookup_channel> channel_;
    std::optional<lookup_result> result_;  // written by the thread, under the channel's lock
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/resolve/resolve_lookup.ipp>
#endif

#endif
