// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVER_SESSIONS_HPP
#define DUET_DETAIL_SERVER_SESSIONS_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <duet/detail/at_end.hpp>
#include <duet/detail/server_state.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The sessions that a server serves on one thread, each from its handler's call to its end. All on one executor. Their
/// shard alone keeps them, and they may call it: what waits in the context only knows of them.
template <class Protocol>
class server_sessions : public std::enable_shared_from_this<server_sessions<Protocol>>
{
public:
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;
    using state_ref = std::shared_ptr<state_type>;

    /// `when_ended` is called after each session.
    server_sessions(boost::asio::any_io_executor executor, std::function<void(state_ref const&)> when_ended)
        : teller_{std::move(executor)}, when_ended_{std::move(when_ended)}
    {
    }

    bool empty() const noexcept { return live_.empty(); }

    /// Serve this one. It has its place among max_sessions.
    void begin(state_ref const& state, session_type peer)
    {
        ++state->counts.accepted;
        try
        {
            live_.emplace_back(session_access::make<session_type>(session_access::connection(peer)), state, ++last_id_);
        }
        catch (std::bad_alloc const&)
        {
            lost(*state, peer);
            return state->release();
        }
        auto const live = std::prev(live_.end());
        if (finishing_)
        {
            live->told = true;
            live->session.request_finish();
        }
        handler_end ending{this->weak_from_this(), live};
        std::optional<boost::asio::awaitable<void>> handling;
        try
        {
            handling.emplace(state->handler()(std::move(peer)));
        }
        catch (...)
        {
            return ending(std::current_exception());
        }
        try
        {
            boost::asio::co_spawn(executor(), std::move(*handling),
                boost::asio::bind_cancellation_slot(live->signal.slot(), std::move(ending)));
        }
        catch (std::bad_alloc const&)
        {
            return;  // its end was told, or will be
        }
        if (aborting_)
            abort(state);
    }

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
            live->session.abort();
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
    struct live_session
    {
        live_session(session_type keeper, state_ref s, std::uint64_t number)
            : session{std::move(keeper)}, state{std::move(s)}, id{number}
        {
        }

        session_type session;  // keeps the connection open until its handler has ended
        state_ref state;
        std::uint64_t id;
        bool aborted = false;
        bool cut = false;  // aborted before it was served to the end
        bool told = false;
        bool handled = false;  // its handler has ended
        bool served = false;   // to the end, whichever it was
        boost::asio::cancellation_signal signal{};
    };

    using live_iterator = typename std::list<live_session>::iterator;

    boost::asio::any_io_executor executor() noexcept { return teller_.get_executor(); }

    /// The completion handler of the coroutine that serves a session. It tells the end by being destroyed, see at_end.
    class handler_end
    {
    public:
        handler_end(std::weak_ptr<server_sessions> target, live_iterator live) noexcept
            : target_{std::move(target)}, live_{live}
        {
        }

        handler_end(handler_end&&) noexcept = default;

        ~handler_end()
        {
            if (auto const sessions = target_.lock())  // a thread's sessions are gone before its context
                returned_ ? sessions->handled(live_, failure_) : sessions->ended(live_);
        }

        void operator()(std::exception_ptr failure) noexcept
        {
            returned_ = true;
            failure_ = std::move(failure);
        }

    private:
        std::weak_ptr<server_sessions> target_;
        live_iterator live_;
        bool returned_ = false;
        std::exception_ptr failure_;
    };

    /// A handler's return is followed by close(), its exception by abort().
    void handled(live_iterator live, std::exception_ptr const& failure) noexcept
    {
        live->handled = true;
        if (failure)
        {
            live->session.abort();
            return served(live, failure);
        }
        at_end closing{[weak = this->weak_from_this(), live](bool closed)
            {
                if (auto const self = weak.lock())
                    closed ? self->served(live, {}) : self->ended(live);
            }};
        live->session.close()(std::move(closing));
    }

    /// It came to its end.
    void served(live_iterator live, std::exception_ptr const& failure) noexcept
    {
        live->served = true;
        auto& counts = live->state->counts;
        auto const report = live->session.report();
        if (failure)
            ++counts.handler_failures;
        else
            ++counts.completed;
        if (!failure && !report.clean())
            ++counts.unclean;
        try
        {
            if (auto const& hook = live->state->options().on_session_end)
                hook({session_type::traits::describe(live->session.remote_endpoint()), report, failure});
        }
        catch (...)
        {
            // No memory to tell it; the session has ended all the same.
        }
        ended(live);
    }

    void ended(live_iterator live) noexcept
    {
        auto const state = live->state;
        if (!live->served)
            lost(*state, live->session);
        if (finishing_ && !live->cut)
            ++state->counts.drain_finished;
        live_.erase(live);
        state->release();
        when_ended_(state);
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
        auto const untold = [](live_session const& live) { return !live.told; };
        for (auto live = std::find_if(live_.begin(), live_.end(), untold); live != live_.end();
             live = std::find_if(live, live_.end(), untold))
        {
            live->told = true;
            live->session.request_finish();
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
    std::list<live_session> live_;
    std::uint64_t last_id_ = 0;
    std::chrono::steady_clock::duration tell_every_{};
    bool finishing_ = false;
    bool aborting_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
