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
class server_shard
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

    void start(state_ref state)
    {
        boost::asio::co_spawn(executor(), accept_loop(state, *this),
            [state, this](std::exception_ptr failure)
            {
                accepting_ = false;
                if (failure)
                    state->listener_failed(failure);
                check_drained(state);
            });
    }

    /// Stop listening, serve what is queued, and ask every session to finish.
    void begin_drain(state_ref const& state) noexcept
    {
        if (std::exchange(draining_, true))
            return;
        acceptor_.close();
        gate_.cancel();
        tell_sessions(state);
        check_drained(state);
    }

    /// Stop listening, and reset every session.
    void abort(state_ref const& state) noexcept
    {
        begin_drain(state);
        teller_.cancel();
        for (auto& live : live_)
        {
            if (std::exchange(live.aborted, true))
                continue;
            ++state->counts.drain_aborted;
            live.session.abort();
            // For a handler that waits for something else than its session.
            boost::asio::post(executor(),
                [state, this, id = live.id]
                {
                    for (auto& each : live_)
                        if (each.id == id)
                            return each.signal.emit(boost::asio::cancellation_type::terminal);
                });
        }
        aborting_ = true;
    }

    /// A place may be free again. Any thread.
    void unpark(state_ref state)
    {
        if (parked_.exchange(false))
            boost::asio::post(executor(), [state = std::move(state), this] { gate_.cancel(); });
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
        boost::asio::cancellation_signal signal{};
    };

    using live_iterator = typename std::list<live_session>::iterator;

    static boost::asio::awaitable<void> accept_loop(state_ref state, server_shard& shard)
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
            bool exhausted = false;
            try
            {
                peer.emplace(co_await shard.acceptor_.accept());
            }
            catch (std::bad_alloc const&)
            {
                exhausted = true;
            }
            catch (session_error const& error)
            {
                if (error.code() != errc::closed)
                    throw;
            }
            shard.publish(*state);
            if (exhausted)
            {
                ++state->counts.resource_failures;
                co_await shard.pause(std::chrono::milliseconds{100});
                continue;
            }
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

    /// Wait until a place may be free, or a drain begins.
    static boost::asio::awaitable<void> wait_for_place(state_ref state, server_shard& shard)
    {
        // Told first, looked at again then: a place given back in between must not be missed.
        shard.parked_ = true;
        if (!state->has_place())
            co_await shard.pause(std::chrono::steady_clock::duration::max());
        shard.parked_ = false;
    }

    /// Wait, until gate_ is cancelled at the latest.
    boost::asio::awaitable<void> pause(std::chrono::steady_clock::duration time)
    {
        boost::asio::use_awaitable_t<> const token;
        error_code ignored;
        if (time == time.max())
            gate_.expires_at(std::chrono::steady_clock::time_point::max());
        else
            gate_.expires_after(time);
        co_await gate_.async_wait(boost::asio::redirect_error(token, ignored));
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
            return refuse(state, peer);
        }
        auto const live = std::prev(live_.end());
        if (draining_)
        {
            live->told = true;
            live->session.request_finish();
        }
        try
        {
            boost::asio::co_spawn(executor(), serve(state, live->session, std::move(peer)),
                boost::asio::bind_cancellation_slot(
                    live->signal.slot(), [state, this, live](std::exception_ptr) { ended(state, live); }));
        }
        catch (std::bad_alloc const&)
        {
            refuse(state, live->session);
            live_.erase(live);
            return;
        }
        if (aborting_)
            abort(state);
    }

    /// No memory to serve this one: reset, so that it does not look answered.
    void refuse(state_ref const& state, session_type& peer) noexcept
    {
        ++state->counts.resource_failures;
        ++state->counts.handler_failures;
        peer.abort();
        state->release();
    }

    void ended(state_ref const& state, live_iterator live)
    {
        if (draining_ && !live->aborted)
            ++state->counts.drain_finished;
        live_.erase(live);
        state->release();
        check_drained(state);
    }

    /// One session: the handler's return is followed by close(), its exception by abort().
    static boost::asio::awaitable<void> serve(state_ref state, session_type& keeper, session_type peer)
    {
        std::exception_ptr failure;
        try
        {
            co_await state->handler()(std::move(peer));
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        // A drain that runs out of time cancels the handler; the end of the session is not the handler's.
        co_await boost::asio::this_coro::reset_cancellation_state(boost::asio::disable_cancellation());
        if (failure)
            keeper.abort();
        else
            co_await keeper.close();
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
    void tell_sessions(state_ref const& state)
    {
        auto const spread = state->options().drain_spread;
        auto const untold = [](live_session const& live) { return !live.told; };
        if (tell_every_ == tell_every_.zero() && !live_.empty())
            tell_every_ = spread / static_cast<std::int64_t>(live_.size());
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
        teller_.expires_after(tell_every_);
        teller_.async_wait(
            [state, this](error_code const& error)
            {
                if (!error)
                    tell_sessions(state);
            });
    }

    void check_drained(state_ref const& state)
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
