// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVER_SESSIONS_HPP
#define DUET_DETAIL_SERVER_SESSIONS_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <utility>

#include <duet/detail/any_completion.hpp>
#include <duet/detail/at_end.hpp>
#include <duet/detail/idle_coroutines.hpp>
#include <duet/detail/live_session.hpp>
#include <duet/detail/server_state.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The sessions that a server serves on one thread, each from its handler's call to its end. All on one executor. Their
/// shard alone keeps them, and they may call it: what waits in the context only knows of them.
///
/// A coroutine that has served one waits for another.
template <class Protocol>
class server_sessions : public std::enable_shared_from_this<server_sessions<Protocol>>
{
public:
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;
    using state_ref = std::shared_ptr<state_type>;

    /// `when_ended` is called after each session.
    server_sessions(boost::asio::any_io_executor executor, std::function<void(state_ref const&)> when_ended)
        : teller_{executor}, when_ended_{std::move(when_ended)}, coroutines_{std::move(executor)}
    {
    }

    bool empty() const noexcept { return live_.empty(); }

    /// Serve this one. It has its place among max_sessions.
    void begin(state_ref const& state, session_type peer)
    {
        ++state->counts.accepted;
        any_completion resume;
        if (coroutines_.empty())
        {
            try
            {
                live_.emplace_back();
            }
            catch (std::bad_alloc const&)
            {
                lost(*state, peer);
                return state->release();
            }
        }
        else
        {
            auto idle = coroutines_.take();
            live_.splice(live_.end(), idle_, idle.work);
            resume = std::move(idle.resume);
        }
        auto const live = std::prev(live_.end());
        live->begin(std::move(peer), state, ++last_id_);
        if (finishing_)
        {
            live->told = true;
            live->session->request_finish();
        }
        try
        {
            if (resume)
                resume({}, 0);
            else
                spawn(live);
        }
        catch (std::bad_alloc const&)
        {
            return;  // its end was told, or will be
        }
        if (aborting_)
            abort(state);
    }

    /// No session will come any more: what would serve it keeps the context running.
    void expect_none() { coroutines_.end(); }

    /// Ask every session to finish: all at once, or one after the other over drain_spread. Those that begin later are
    /// asked at once.
    void finish(state_ref const& state) noexcept
    {
        finishing_ = true;
        if (!live_.empty())
            tell_every_ = state->options().drain_spread / static_cast<std::int64_t>(live_.size());
        tell(state);
    }

    /// Reset every session and cancel its handler, now and later.
    void abort(state_ref const& state) noexcept
    {
        teller_.cancel();
        aborting_ = true;
        // Those that were aborted stand in front. Each may end, and leave the list, at once.
        while (!live_.empty() && !live_.back().aborted)
        {
            auto const live = std::prev(live_.end());
            live_.splice(live_.begin(), live_, live);
            auto const id = live->id;
            live->aborted = true;
            live->cut = !live->served;
            if (live->cut)
                ++state->counts.drain_aborted;
            live->session->abort();
            // For a handler that waits for something else than its session; behind what the session's end tells it.
            auto const cancel_handler = [weak = this->weak_from_this(), id]
            {
                if (auto const self = weak.lock())
                    self->cancel(id);
            };
            if (!try_post(executor(), cancel_handler))
                cancel(id);
        }
    }

private:
    using live_list = std::list<live_session<Protocol>>;
    using live_iterator = typename live_list::iterator;

    boost::asio::any_io_executor executor() noexcept { return teller_.get_executor(); }

    void spawn(live_iterator live)
    {
        at_end ending{[weak = this->weak_from_this(), live]
            {
                if (auto const self = weak.lock())  // a thread's sessions are gone before its context
                    self->left(live);
            }};
        boost::asio::co_spawn(executor(), serve(this->weak_from_this(), live),
            boost::asio::bind_cancellation_slot(live->signal.slot(), std::move(ending)));
    }

    /// Call the handler for a session, and for the next: its return is followed by close(), its exception by abort().
    static boost::asio::awaitable<void> serve(std::weak_ptr<server_sessions> target, live_iterator live)
    {
        while (live->session)
        {
            std::exception_ptr failure;
            try
            {
                co_await live->handle();
            }
            catch (...)
            {
                failure = std::current_exception();
            }
            live->handled = true;
            // What the handler, or its cancellation, has left.
            co_await boost::asio::this_coro::reset_cancellation_state();
            co_await boost::asio::this_coro::throw_if_cancelled(true);
            if (failure)
                live->session->abort();
            else
                co_await session_access::close(*live->session);
            auto* const others = tell_served(target, live, failure);
            if (!others)
                co_return;
            co_await others->wait(live);
        }
    }

    /// Where to wait for another session; null: nowhere.
    static idle_coroutines<live_iterator>* tell_served(
        std::weak_ptr<server_sessions> const& target, live_iterator live, std::exception_ptr const& failure) noexcept
    {
        auto const self = target.lock();
        if (!self)
            return nullptr;
        self->served(live, failure);
        return self->coroutines_.has_room() ? &self->coroutines_ : nullptr;
    }

    /// It came to its end.
    void served(live_iterator live, std::exception_ptr const& failure) noexcept
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
            // No memory to tell it; the session has ended all the same.
        }
        ended(live);
    }

    void ended(live_iterator live) noexcept
    {
        auto const state = std::move(live->state);
        if (!live->served)
            lost(*state, *live->session);
        if (finishing_ && !live->cut)
            ++state->counts.drain_finished;
        live->session.reset();
        idle_.splice(idle_.end(), live_, live);
        state->release();
        when_ended_(state);
    }

    /// Its coroutine is gone.
    void left(live_iterator live) noexcept
    {
        if (live->session)
            ended(live);
        idle_.erase(live);
    }

    /// There was no memory to serve this one, or to serve it any further: reset, so that it does not look answered.
    static void lost(state_type& state, session_type& peer) noexcept
    {
        ++state.counts.resource_failures;
        ++state.counts.handler_failures;
        peer.abort();
    }

    void cancel(std::uint64_t id)
    {
        for (auto& each : live_)
            if (each.id == id && !each.handled)
                return each.signal.emit(boost::asio::cancellation_type::terminal);
    }

    /// Ask the next session, or all that are left, to finish.
    void tell(state_ref const& state) noexcept
    {
        auto const untold = [](live_session<Protocol> const& live) { return !live.told; };
        for (auto live = std::find_if(live_.begin(), live_.end(), untold); live != live_.end();
             live = std::find_if(live, live_.end(), untold))
        {
            live->told = true;
            live->session->request_finish();
            if (tell_every_ > tell_every_.zero())
                break;
        }
        if (std::none_of(live_.begin(), live_.end(), untold))
            return;
        try
        {
            teller_.expires_after(tell_every_);
            teller_.async_wait(
                [state, weak = this->weak_from_this()](error_code const& error)
                {
                    auto const self = weak.lock();
                    if (self && !error)
                        self->tell(state);
                });
        }
        catch (std::exception const&)  // no memory to spread it
        {
            tell_every_ = {};
            tell(state);
        }
    }

    boost::asio::steady_timer teller_;
    std::function<void(state_ref const&)> when_ended_;
    live_list live_;
    live_list idle_;  // without a session: their coroutines wait for one, or are about to end
    idle_coroutines<live_iterator> coroutines_;
    std::uint64_t last_id_ = 0;
    std::chrono::steady_clock::duration tell_every_{};
    bool finishing_ = false;
    bool aborting_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
