// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVER_SHARD_HPP
#define DUET_DETAIL_SERVER_SHARD_HPP

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <atomic>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <duet/detail/server_state.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// One thread's part of a server: a listener, the loop that accepts from it, and the sessions that live here. All of it
/// on one executor, but for unpark().
template <class Protocol>
class server_shard : public std::enable_shared_from_this<server_shard<Protocol>>
{
public:
    using state_type = server_state<Protocol>;
    using acceptor_type = basic_acceptor<Protocol>;
    using session_type = typename acceptor_type::session_type;
    using state_ref = std::shared_ptr<state_type>;

    server_shard(acceptor_type acceptor)
        : acceptor_{std::move(acceptor)}, gate_{acceptor_.get_executor()}, teller_{acceptor_.get_executor()}
    {
    }

    acceptor_type& acceptor() noexcept { return acceptor_; }

    boost::asio::any_io_executor executor() const noexcept { return acceptor_.get_executor(); }

    void start(state_ref const& state)
    {
        parked_ = false;
        at_end ending{
            this->weak_from_this(), state, [](server_shard& self, state_ref const& s) { self.loop_ended(s); }};
        boost::asio::co_spawn(executor(), accept_loop(state, *this), std::move(ending));
    }

    /// Stop listening, serve what is queued, and ask every session to finish.
    void begin_drain(state_ref const& state) noexcept
    {
        if (std::exchange(draining_, true))
            return;
        acceptor_.close();
        gate_.cancel();
        if (!live_.empty())
            tell_every_ = state->options().drain_spread / static_cast<std::int64_t>(live_.size());
        tell_sessions(state);
        check_drained(state);
    }

    /// Stop listening, and reset every session.
    void abort(state_ref const& state) noexcept
    {
        begin_drain(state);
        teller_.cancel();
        aborting_ = true;
        // Those that were aborted stand in front. Each may end, and leave the list, at once.
        while (!live_.empty() && !live_.back().aborted)
        {
            auto const live = std::prev(live_.end());
            live_.splice(live_.begin(), live_, live);
            auto const id = live->id;
            live->aborted = true;
            ++state->counts.drain_aborted;
            live->session.abort();
            // For a handler that waits for something else than its session; behind what the session's end tells it.
            if (!try_post(executor(), [state, this, id] { cancel(id); }))
                cancel(id);
        }
    }

    /// A place may be free again. Any thread.
    void unpark(state_ref state)
    {
        if (parked_.exchange(false))
            try_post(executor(), [state = std::move(state), this] { gate_.cancel(); });
    }

    /// Neither accepting nor serving any more.
    bool idle() const noexcept { return !accepting_ && live_.empty(); }

    /// Call `then` when a drain or an abort has come to its end here.
    void when_idle(std::function<void()> then) { when_idle_ = std::move(then); }

private:
    struct live_session
    {
        live_session(session_type keeper, std::uint64_t number) : session{std::move(keeper)}, id{number} {}

        session_type session;  // keeps the connection open until its handler has ended
        std::uint64_t id;
        bool aborted = false;
        bool told = false;
        bool served = false;  // to the end, whichever it was
        boost::asio::cancellation_signal signal{};
    };

    /// A coroutine's completion handler that tells its end by being destroyed. So no end is missed where memory runs
    /// out: the coroutine is then destroyed in the middle, and its handler never called.
    template <class Function>
    class at_end
    {
    public:
        at_end(std::weak_ptr<server_shard> shard, state_ref state, Function function)
            : shard_{std::move(shard)}, state_{std::move(state)}, function_{std::move(function)}
        {
        }

        at_end(at_end&&) noexcept = default;

        ~at_end()
        {
            if (auto const shard = shard_.lock())
                function_(*shard, state_);
        }

        void operator()(std::exception_ptr const&) const noexcept {}

    private:
        std::weak_ptr<server_shard> shard_;  // a thread's shard is gone before its context
        state_ref state_;
        Function function_;
    };

    using live_iterator = typename std::list<live_session>::iterator;

    /// Until the listener is closed or fails, or memory runs out.
    static boost::asio::awaitable<void> accept_loop(state_ref state, server_shard& shard)
    {
        try
        {
            co_await accept_all(state, shard);
            shard.accepting_ = false;
        }
        catch (std::bad_alloc const&)
        {
            // It begins again.
        }
        catch (...)
        {
            shard.accepting_ = false;
            state->listener_failed(std::current_exception());
        }
    }

    static boost::asio::awaitable<void> accept_all(state_ref state, server_shard& shard)
    {
        bool const waits = state->options().at_limit == limit_policy::wait;
        for (;;)
        {
            // Waiting before the accept leaves the client in the kernel's queue. The place itself is taken after it:
            // one held while no client comes would be missing on the other threads.
            // A drain takes in who is queued all the same.
            while (waits && !shard.draining_ && !state->has_place())
                co_await wait_for_place(state, shard);
            std::optional<session_type> peer;
            try
            {
                peer.emplace(co_await shard.acceptor_.accept());
            }
            catch (session_error const& error)
            {
                if (error.code() != errc::closed)
                    throw;
            }
            shard.publish(*state);
            if (!peer)
                co_return;
            bool place = state->acquire();
            while (!place && waits)
            {
                co_await wait_for_place(state, shard);
                place = state->acquire();
            }
            if (place)
                shard.begin(state, std::move(*peer));
            else
                shard.shed(*state, *peer);
        }
    }

    /// Wait until a place may be free, or a drain begins. No longer than a second: where memory runs out, nobody tells.
    static boost::asio::awaitable<void> wait_for_place(state_ref state, server_shard& shard)
    {
        boost::asio::use_awaitable_t<> const token;
        error_code ignored;
        // Told first, looked at again then: a place given back in between must not be missed.
        shard.parked_ = true;
        if (!state->has_place())
        {
            shard.gate_.expires_after(std::chrono::seconds{1});
            co_await shard.gate_.async_wait(boost::asio::redirect_error(token, ignored));
        }
        shard.parked_ = false;
    }

    /// The loop that accepts is gone. If memory was what it lacked, it begins again in a while.
    void loop_ended(state_ref const& state) noexcept
    {
        if (aborting_)
            accepting_ = false;
        if (!accepting_)
            return check_drained(state);
        ++state->counts.resource_failures;
        try
        {
            gate_.expires_after(std::chrono::milliseconds{100});
            gate_.async_wait(
                [state, this](error_code const&)
                {
                    try
                    {
                        start(state);
                    }
                    catch (std::bad_alloc const&)
                    {
                        // Its end was told, and it is tried again.
                    }
                });
        }
        catch (std::exception const&)
        {
            accepting_ = false;
            state->listener_failed(std::current_exception());
            check_drained(state);
        }
    }

    void shed(state_type& state, session_type& peer) noexcept
    {
        ++state.counts.shed;
        peer.abort();
    }

    void begin(state_ref const& state, session_type peer)
    {
        ++state->counts.accepted;
        try
        {
            live_.emplace_back(session_access::make<session_type>(session_access::connection(peer)), ++last_id_);
        }
        catch (std::bad_alloc const&)
        {
            lost(state, peer);
            return state->release();
        }
        auto const live = std::prev(live_.end());
        if (draining_)
        {
            live->told = true;
            live->session.request_finish();
        }
        at_end ending{
            this->weak_from_this(), state, [live](server_shard& self, state_ref const& s) { self.ended(s, live); }};
        try
        {
            boost::asio::co_spawn(executor(), serve(state, *live, std::move(peer)),
                boost::asio::bind_cancellation_slot(live->signal.slot(), std::move(ending)));
        }
        catch (std::bad_alloc const&)
        {
            return;  // its end was told, or will be
        }
        if (aborting_)
            abort(state);
    }

    /// There was no memory to serve this one, or to serve it any further: reset, so that it does not look answered.
    void lost(state_ref const& state, session_type& peer) noexcept
    {
        ++state->counts.resource_failures;
        ++state->counts.handler_failures;
        peer.abort();
    }

    void ended(state_ref const& state, live_iterator live) noexcept
    {
        if (!live->served)
            lost(state, live->session);
        if (draining_ && !live->aborted)
            ++state->counts.drain_finished;
        live_.erase(live);
        state->release();
        check_drained(state);
    }

    void cancel(std::uint64_t id)
    {
        for (auto& each : live_)
            if (each.id == id)
                return each.signal.emit(boost::asio::cancellation_type::terminal);
    }

    /// One session: the handler's return is followed by close(), its exception by abort().
    static boost::asio::awaitable<void> serve(state_ref state, live_session& live, session_type peer)
    {
        std::exception_ptr failure;
        auto& keeper = live.session;
        try
        {
            co_await state->handler()(std::move(peer));
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        try
        {
            // A drain that runs out of time cancels the handler; the end of the session is not the handler's.
            co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
            if (!failure)
                co_await keeper.close();
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        if (failure)
            keeper.abort();
        live.served = true;
        auto const report = keeper.report();
        if (failure)
            ++state->counts.handler_failures;
        else
            ++state->counts.completed;
        if (!failure && !report.clean())
            ++state->counts.unclean;
        if (auto const& hook = state->options().on_session_end)
            hook({session_type::traits::describe(keeper.remote_endpoint()), report, failure});
    }

    /// Ask the sessions to finish: all at once, or one after the other over drain_spread.
    void tell_sessions(state_ref const& state) noexcept
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
                [state, this](error_code const& error)
                {
                    if (!error)
                        tell_sessions(state);
                });
        }
        catch (std::exception const&)  // no memory to spread it
        {
            tell_every_ = {};
            tell_sessions(state);
        }
    }

    void check_drained(state_ref const& state) noexcept
    {
        if (!draining_ || !idle() || std::exchange(drained_, true))
            return;
        state->shard_drained();
        if (when_idle_)
            when_idle_();
    }

    void publish(state_type& state) noexcept
    {
        auto const& now = acceptor_.counters();
        state.counts.connection_failures += now.connection_failures - published_.connection_failures;
        state.counts.resource_failures += now.resource_failures - published_.resource_failures;
        published_ = now;
    }

    acceptor_type acceptor_;
    boost::asio::steady_timer gate_;
    boost::asio::steady_timer teller_;
    std::list<live_session> live_;
    acceptor_counters published_;
    std::function<void()> when_idle_;
    std::uint64_t last_id_ = 0;
    std::chrono::steady_clock::duration tell_every_{};
    std::atomic<bool> parked_{false};
    bool accepting_ = true;
    bool draining_ = false;
    bool aborting_ = false;
    bool drained_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
