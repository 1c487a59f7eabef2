// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_HANDSHAKE_QUEUE_HPP
#define DUET_DETAIL_ACCEPT_HANDSHAKE_QUEUE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <new>
#include <utility>

#include <duet/acceptor.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/endpoint.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The implementation of an acceptor whose sessions shake hands before they are handed out. While an accept() waits, a
/// coroutine takes connections, and each shakes hands in a coroutine of its own. All functions run on one executor.
template <class Acceptor, class Maker>
class handshake_queue : public std::enable_shared_from_this<handshake_queue<Acceptor, Maker>>
{
public:
    using self = std::shared_ptr<handshake_queue>;
    using executor_type = typename Acceptor::executor_type;
    using session_type = typename Maker::session_type;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    handshake_queue(Acceptor listening, Maker maker, std::size_t most)
        : acceptor_{std::move(listening)}, maker_{std::move(maker)}, most_{std::max<std::size_t>(most, 1)}
    {
    }

    executor_type get_executor() const noexcept { return acceptor_.get_executor(); }

    Acceptor& acceptor() noexcept { return acceptor_; }

    std::uint64_t failures() const noexcept { return failures_; }

    void on_failure(std::function<void(session_error const&)> hook) { on_failure_ = std::move(hook); }

    /// Completes with the next session whose handshake has ended well. It then belongs to `executor`.
    static awaitable<session_type> accept(self queue, executor_type executor)
    {
        for (;;)
        {
            if (!queue->ready_.empty())
            {
                session_type next = std::move(queue->ready_.front());
                queue->ready_.pop_front();
                if (executor == queue->get_executor() || queue->move_to(executor, next))
                    co_return std::move(next);
                continue;
            }
            if (queue->ended_)
                throw session_error{errc::closed, "accept", to_string(queue->acceptor_.local_endpoint()), 0};
            if (queue->failure_ && (queue->shaking_.empty() || queue->acceptor_.is_open()))
                queue->tell_failure();
            waiter waiting{*queue};
            queue->take();
            error_code error;
            boost::asio::use_awaitable_t<executor_type> const token;
            co_await waiting.told.async_wait(boost::asio::redirect_error(token, error));
            if (!waiting.was_told)
                throw session_error{error, "accept", to_string(queue->acceptor_.local_endpoint()), 0};
        }
    }

    /// Nobody accepts any more: reset whoever shakes hands, or waits to be handed out.
    void end() noexcept
    {
        ended_ = true;
        acceptor_access::discard(acceptor_);
        for (auto* const all : {&shaking_, &ready_})
            for (auto& peer : *all)
                peer.abort();
        ready_.clear();
        tell();
    }

private:
    using timer_type = basic_timer<executor_type>;
    using session_iterator = typename std::list<session_type>::iterator;

    /// An accept() that waits. When the last one leaves, no further connection is taken.
    struct waiter
    {
        explicit waiter(handshake_queue& of) : told{of.get_executor()}, queue{of}
        {
            told.expires_at(timer_type::time_point::max());
            queue.waiting_.push_back(this);
        }

        waiter(waiter const&) = delete;
        waiter& operator=(waiter const&) = delete;

        ~waiter()
        {
            queue.waiting_.remove(this);
            if (queue.waiting_.empty() && queue.taking_)
                queue.stop_taking();
        }

        timer_type told;
        handshake_queue& queue;
        bool was_told = false;
    };

    /// Called at the end of a coroutine of the queue. If it is destroyed without a call, Asio has destroyed the
    /// coroutine: for lack of memory to go on with it, or together with the context. `Function` then gets no result.
    template <class Function>
    class end_handler
    {
    public:
        end_handler(self queue, Function function) noexcept : queue_{std::move(queue)}, function_{std::move(function)}
        {
        }

        end_handler(end_handler&&) noexcept = default;

        ~end_handler()
        {
            if (auto const queue = std::move(queue_))
                function_(*queue);
        }

        void operator()(std::exception_ptr const& failure)
        {
            auto const queue = std::move(queue_);
            function_(*queue, failure);
        }

    private:
        self queue_;
        Function function_;
    };

    template <class Function>
    end_handler<Function> at_end(Function function)
    {
        return {this->shared_from_this(), std::move(function)};
    }

    void stop_taking() noexcept
    try
    {
        stop_.emit(boost::asio::cancellation_type::terminal);
    }
    catch (std::bad_alloc const&)
    {
        // It goes on until the queue is full.
    }

    /// False: it has ended, because there is no memory or no socket for it.
    bool move_to(executor_type const& executor, session_type& peer) noexcept
    try
    {
        peer = Maker::move_to(executor, peer, acceptor_access::options(acceptor_).session);
        acceptor_access::tell_accepted(acceptor_, peer);
        return true;
    }
    catch (std::exception const&)
    {
        ++failures_;
        return false;
    }

    /// Let every accept() look.
    void tell() noexcept
    {
        for (auto* const each : waiting_)
        {
            each->was_told = true;
            each->told.cancel();
        }
    }

    [[noreturn]] void tell_failure()
    {
        auto const failure = failure_;
        if (acceptor_.is_open())
            failure_ = nullptr;  // the listener goes on
        std::rethrow_exception(failure);
    }

    bool is_full() const noexcept { return shaking_.size() + ready_.size() >= most_; }

    /// Take connections, unless that is being done.
    void take()
    {
        if (taking_ || failure_ || ended_ || is_full())
            return;
        auto ended = at_end([](handshake_queue& queue, auto const&... failure) { queue.taking_ended(failure...); });
        taking_ = true;  // the handler takes it back, in any case
        boost::asio::co_spawn(get_executor(), take_all(this->shared_from_this()),
            boost::asio::bind_cancellation_slot(stop_.slot(), std::move(ended)));
    }

    static awaitable<void> take_all(self queue)
    {
        while (!queue->is_full())
        {
            session_type peer = co_await acceptor_access::accept(queue->acceptor_, queue->maker_);
            queue->begin(std::move(peer));
        }
    }

    /// Every accept() then takes again, unless there is a reason not to.
    void taking_ended(std::exception_ptr const& failure = nullptr)
    {
        taking_ = false;
        try
        {
            if (failure)
                std::rethrow_exception(failure);
        }
        catch (system_error const& error)
        {
            if (error.code() != condition::cancelled)
                failure_ = failure;
        }
        catch (...)
        {
            failure_ = failure;
        }
        tell();
    }

    void begin(session_type peer)
    {
        shaking_.push_back(std::move(peer));
        auto const at = std::prev(shaking_.end());
        auto ended =
            at_end([at](handshake_queue& queue, auto const&... failure) { queue.shaking_ended(at, failure...); });
        boost::asio::co_spawn(get_executor(), Maker::shake_hands(*at), std::move(ended));
    }

    /// The coroutine of the handshake is gone.
    void shaking_ended(session_iterator at) noexcept
    {
        shaking_.erase(at);
        ++failures_;
        tell();
    }

    void shaking_ended(session_iterator at, std::exception_ptr const& failure)
    {
        if (!failure && !ended_)
        {
            ready_.splice(ready_.end(), shaking_, at);
            return tell();
        }
        shaking_ended(at);
        try
        {
            if (failure)
                std::rethrow_exception(failure);
        }
        catch (session_error const& error)
        {
            if (on_failure_ && !ended_)
                on_failure_(error);
        }
        catch (std::exception const&)
        {
            // No memory for it.
        }
    }

    Acceptor acceptor_;
    Maker maker_;
    std::size_t most_;
    std::list<session_type> shaking_;  // each is referred to by a coroutine
    std::list<session_type> ready_;
    std::list<waiter*> waiting_;
    boost::asio::cancellation_signal stop_;
    std::exception_ptr failure_;  // why no more connections come
    std::function<void(session_error const&)> on_failure_;
    std::uint64_t failures_ = 0;
    bool taking_ = false;
    bool ended_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
