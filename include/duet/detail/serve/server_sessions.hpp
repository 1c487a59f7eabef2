// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SESSIONS_HPP
#define DUET_DETAIL_SERVE_SERVER_SESSIONS_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/completion/end_notifier.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/served_session.hpp>
#include <duet/detail/serve/server_state.hpp>
#include <duet/detail/time/timer.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The sessions that a server serves on one thread. All functions run on one executor. Only the shard owns this object,
/// and this object may call the shard; handlers that wait in the context hold only weak references.
///
/// A coroutine that has served a session waits for another one. If the handler is called for each message, a session
/// that waits for a message has no coroutine.
template <class Protocol>
class server_sessions : public std::enable_shared_from_this<server_sessions<Protocol>>
{
public:
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;
    using state_ref = std::shared_ptr<state_type>;

    /// Calls `when_ended` after each session.
    server_sessions(boost::asio::any_io_executor executor, std::function<void(state_ref const&)> when_ended)
        : drain_timer_{std::move(executor)}, when_ended_{std::move(when_ended)}
    {
    }

    bool empty() const noexcept { return live_.empty(); }

    /// Serve this session. It must already have its place among max_sessions.
    void begin(state_ref const& state, session_type peer)
    {
        ++state->counts.accepted;
        try
        {
            if (spare_.empty())
                spare_.emplace_back();
        }
        catch (std::bad_alloc const&)
        {
            lost(*state, peer);
            return state->release();
        }
        live_.splice(live_.end(), spare_, spare_.begin());
        auto const live = std::prev(live_.end());
        live->begin(std::move(peer), state);
        if (finishing_)
        {
            live->told = true;
            live->session->request_finish();
        }
        if (state->on_message())
            await_message(live);
        else
            serve(live, {});
        if (aborting_)
            abort(state);
    }

    /// No more sessions will begin: end the resting coroutines, because they keep the context running.
    void expect_none()
    {
        keeps_coroutines_ = false;
        while (!resting_.empty())
            wake()->resume({}, 0);
    }

    /// Ask every session to finish: all at once, or spread over drain_spread. Sessions that begin later are asked at
    /// once.
    void finish(state_ref const& state) noexcept
    {
        finishing_ = true;
        if (!live_.empty())
            tell_every_ = state->options().drain_spread / static_cast<std::int64_t>(live_.size());
        drain_at_ = drain_timer_.clock().now();
        tell(state);
    }

    /// Reset every session and cancel its handler. This also applies to sessions that begin later.
    void abort(state_ref const& state) noexcept
    {
        drain_timer_.cancel();
        aborting_ = true;
        bool any = false;
        // Move each session to the front before aborting it: it may end, and leave the list, during the call.
        while (!live_.empty() && !live_.back().aborted)
        {
            auto const live = std::prev(live_.end());
            live_.splice(live_.begin(), live_, live);
            any = live->aborted = true;
            live->cut = !live->served;
            if (live->cut)
                ++state->counts.drain_aborted;
            live->session->abort();
        }
        if (!any)
            return;
        // Cancel handlers that wait for something else, after the completions that the sessions' end has queued.
        auto const cancel = [weak = this->weak_from_this()]
        {
            if (auto const self = weak.lock())
                self->cancel_handlers();
        };
        if (!try_post(executor(), cancel))
            cancel_handlers();
    }

private:
    using served_iterator = typename served_list<Protocol>::iterator;
    using coroutine_list = std::list<serving_coroutine<Protocol>>;
    using coroutine_iterator = typename coroutine_list::iterator;

    static constexpr std::size_t most_resting = 128;

    /// The handler that waits for a session's next message, in place of a coroutine. If it is destroyed without a call,
    /// the session ends, because nothing waits for it any more.
    class awaits_message
    {
    public:
        awaits_message(std::weak_ptr<server_sessions> target, served_iterator live) noexcept
            : target_{std::move(target)}, live_{live}
        {
        }

        awaits_message(awaits_message&&) noexcept = default;

        ~awaits_message()
        {
            if (auto const target = target_.lock())
                target->ended(live_);
        }

        void operator()(error_code error, std::size_t)
        {
            if (auto const target = std::exchange(target_, {}).lock())
                target->serve(live_, error);
        }

    private:
        std::weak_ptr<server_sessions> target_;
        served_iterator live_;
    };

    boost::asio::any_io_executor executor() noexcept { return drain_timer_.get_executor(); }

    /// Serve the session with a resting coroutine or, if there is none, a new one.
    void serve(served_iterator live, error_code cause) noexcept
    try
    {
        if (resting_.empty())
            return spawn(live, cause);
        auto const coroutine = wake();
        coroutine->take(live, cause);
        coroutine->resume({}, 0);
    }
    catch (std::bad_alloc const&)
    {
        // The session's end is counted elsewhere: by add_coroutine() or by the notifier in spawn().
    }
    catch (...)  // Asio rethrows what an operation throws as it begins: let it leave the context's run() instead
    {
        try_post(executor(), [failure = std::current_exception()] { std::rethrow_exception(failure); });
    }

    void spawn(served_iterator live, error_code cause)
    {
        auto const coroutine = add_coroutine(live, cause);
        end_notifier notifier{[weak = this->weak_from_this(), coroutine, signal = coroutine->signal]
            {
                if (auto const self = weak.lock())  // the sessions of a thread end before its context
                    self->left(coroutine);
            }};
        boost::asio::co_spawn(executor(), run(this->weak_from_this(), coroutine),
            boost::asio::bind_cancellation_slot(coroutine->signal->slot(), std::move(notifier)));
    }

    coroutine_iterator add_coroutine(served_iterator live, error_code cause)
    {
        try
        {
            serving_.emplace_back();
        }
        catch (std::bad_alloc const&)
        {
            ended(live);
            throw;
        }
        serving_.back().take(live, cause);
        return std::prev(serving_.end());
    }

    /// Serve sessions one after another. After the handler's last return comes close(), after an exception abort().
    static boost::asio::awaitable<void> run(std::weak_ptr<server_sessions> target, coroutine_iterator self)
    {
        while (self->busy)
        {
            auto const live = self->live;
            bool more = false;
            std::optional<session_type> peer;
            std::exception_ptr failure;
            try
            {
                if (live->state->on_conversation())
                    co_await live->converse();
                else if (self->has_message())
                {
                    peer.emplace(live->handle());
                    more = co_await live->answer(*peer);
                }
            }
            catch (...)
            {
                failure = std::current_exception();
            }
            // The handler may have changed the coroutine's cancellation state, or ended on another executor's thread.
            co_await boost::asio::this_coro::throw_if_cancelled(false);
            if (!runs_here(*live))
                co_await boost::asio::dispatch(boost::asio::deferred);
            peer.reset();
            self->handles = false;
            co_await boost::asio::this_coro::reset_cancellation_state();
            co_await boost::asio::this_coro::throw_if_cancelled(true);
            more = more && !live->last_message;
            if (failure)
                live->session->abort();
            else if (!more)
                co_await session_access::close(*live->session);
            auto home = let_go(target, self, more, std::exchange(failure, nullptr));
            if (!home)
                co_return;
            co_await rest{std::move(home), self};
        }
    }

    static bool runs_here(served_session<Protocol>& live) noexcept
    {
        using context_executor = boost::asio::io_context::executor_type;
        boost::asio::any_io_executor const executor{live.session->get_executor()};
        auto const* const of_context = executor.template target<context_executor>();
        return of_context && of_context->running_in_this_thread();
    }

    /// The coroutine has served a session to its end or, if there is `more`, a message to its end. Returns where it can
    /// rest; null: it has to end.
    static std::shared_ptr<server_sessions> let_go(std::weak_ptr<server_sessions> const& target,
        coroutine_iterator coroutine, bool more, std::exception_ptr const& failure) noexcept
    {
        auto self = target.lock();
        if (!self)
            return self;
        coroutine->busy = false;
        if (more)
            self->await_message(coroutine->live);
        else
            self->served(coroutine->live, failure);
        if (!self->keeps_coroutines_ || self->resting_.size() >= most_resting)
            self.reset();
        return self;
    }

    /// Wait for a session or a message: spawning a coroutine costs six allocations and a third of the time of a short
    /// session. A coroutine that is resumed without a session must end.
    class rest
    {
    public:
        rest(std::shared_ptr<server_sessions> home, coroutine_iterator self) noexcept
            : home_{std::move(home)}, self_{self}
        {
        }

        template <boost::asio::completion_token_for<void()> Token>
        auto operator()(Token&& token) &&
        {
            return boost::asio::async_initiate<Token, void()>(
                [self = self_](auto&& handler, std::shared_ptr<server_sessions> home)
                {
                    auto resume = [handler = std::forward<decltype(handler)>(handler)](error_code, std::size_t) mutable
                    { std::move(handler)(); };
                    self->resume = any_completion{std::move(resume), home->executor(), true};
                    home->resting_.splice(home->resting_.end(), home->serving_, self);
                },
                token, std::move(home_));
        }

    private:
        std::shared_ptr<server_sessions> home_;
        coroutine_iterator self_;
    };

    /// Wake the coroutine that rested last, because its memory is most likely still in the cache.
    coroutine_iterator wake() noexcept
    {
        serving_.splice(serving_.end(), resting_, std::prev(resting_.end()));
        return std::prev(serving_.end());
    }

    void await_message(served_iterator live) noexcept
    {
        live->last_message = live->session->finish_requested();
        session_access::await_readable(*live->session, awaits_message{this->weak_from_this(), live});
    }

    /// The session was served to its end: count it and report it.
    void served(served_iterator live, std::exception_ptr const& failure) noexcept
    {
        live->served = true;
        auto& counts = live->state->counts;
        auto const report = live->session->report();
        if (failure)
            ++counts.handler_failures;
        else
            ++counts.completed;
        if (!failure && !report.clean())
            ++counts.unclean;
        try
        {
            if (auto const& hook = live->state->options().on_session_end)
                hook({session_type::traits::describe(live->session->remote_endpoint()), report, failure});
        }
        catch (...)
        {
            // There was no memory to report the end. The session has ended nevertheless.
        }
        ended(live);
    }

    void ended(served_iterator live) noexcept
    {
        auto const state = std::move(live->state);
        if (!live->served)
            lost(*state, *live->session);
        if (finishing_ && !live->cut)
            ++state->counts.drain_finished;
        live->session.reset();
        if (spare_.size() < most_resting)
            spare_.splice(spare_.end(), live_, live);
        else
            live_.erase(live);
        state->release();
        when_ended_(state);
    }

    /// A coroutine has ended or was destroyed.
    void left(coroutine_iterator coroutine) noexcept
    {
        if (coroutine->busy)
            ended(coroutine->live);
        serving_.erase(coroutine);
    }

    /// There is no memory to serve this session, or to go on serving it. Reset it, so that it does not look answered.
    static void lost(state_type& state, session_type& peer) noexcept
    {
        ++state.counts.resource_failures;
        ++state.counts.handler_failures;
        peer.abort();
    }

    /// Cancel the handlers of the aborted sessions.
    void cancel_handlers() noexcept
    {
        for (auto& each : serving_)
            each.swept = false;
        // Move each coroutine to the front before cancelling it: it may end, and leave the list, during the call.
        while (!serving_.empty() && !serving_.back().swept)
        {
            auto const coroutine = std::prev(serving_.end());
            serving_.splice(serving_.begin(), serving_, coroutine);
            coroutine->swept = true;
            if (!coroutine->handles || !coroutine->live->aborted)
                continue;
            try
            {
                coroutine->signal->emit(boost::asio::cancellation_type::terminal);
            }
            catch (std::bad_alloc const&)
            {
                // There was no memory to cancel the handler. Its session was reset nevertheless.
            }
        }
    }

    /// Ask the sessions whose time has come to finish; without a spread, all that are left.
    void tell(state_ref const& state) noexcept
    {
        auto const now = drain_timer_.clock().now();
        auto const any = [this] { return !live_.empty() && !live_.front().told; };
        for (; any() && (drain_at_ <= now || tell_every_ == tell_every_.zero()); drain_at_ += tell_every_)
        {
            // Move each session to the back before asking it: it may end, and leave the list, during the call.
            auto const live = live_.begin();
            live_.splice(live_.end(), live_, live);
            live->told = true;
            live->session->request_finish();
        }
        if (!any())
            return;
        try
        {
            drain_timer_.expires_at(drain_at_);
            drain_timer_.async_wait(
                [state, weak = this->weak_from_this()](error_code const& error)
                {
                    auto const self = weak.lock();
                    if (self && !error)
                        self->tell(state);
                });
        }
        catch (std::exception const&)  // no memory for the timer: ask the rest at once
        {
            tell_every_ = {};
            tell(state);
        }
    }

    timer drain_timer_;
    std::function<void(state_ref const&)> when_ended_;
    served_list<Protocol> live_;
    served_list<Protocol> spare_;  // list nodes of ended sessions, for reuse
    coroutine_list serving_;
    coroutine_list resting_;
    bool keeps_coroutines_ = true;
    std::chrono::steady_clock::duration tell_every_{};
    std::chrono::steady_clock::time_point drain_at_{};
    bool finishing_ = false;
    bool aborting_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
