// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SHARD_HPP
#define DUET_DETAIL_SERVE_SERVER_SHARD_HPP

#include <boost/asio/co_spawn.hpp>

#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <duet/detail/completion/end_notifier.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/server_sessions.hpp>
#include <duet/detail/serve/server_state.hpp>
#include <duet/detail/time/timer.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// One thread's or one strand's part of a server: a listener, the loop that accepts from it, and its sessions. All
/// functions except unpark(), queue(), ended() and end_by() run on one executor.
template <class Protocol>
class server_shard : public std::enable_shared_from_this<server_shard<Protocol>>
{
public:
    using state_type = server_state<Protocol>;
    using acceptor_type = typename state_type::acceptor_type;
    using session_type = typename state_type::session_type;
    using state_ref = std::shared_ptr<state_type>;

    /// `own_queue`: its listener is no copy of another one. `strand`: what its executor is of, if it is of one.
    explicit server_shard(acceptor_type acceptor, bool own_queue = true, shard_strand strand = {})
        : acceptor_{std::move(acceptor)}, strand_{std::move(strand)}, gate_{acceptor_.get_executor()},
          queue_of_{own_queue ? acceptor_access::descriptor(acceptor_) : -1}
    {
        auto when_ended = [this](state_ref const& state) { check_drained(state); };
        sessions_ = server_sessions<Protocol>::make(acceptor_.get_executor(), std::move(when_ended));
    }

    acceptor_type& acceptor() noexcept { return acceptor_; }

    boost::asio::any_io_executor executor() const noexcept { return acceptor_.get_executor(); }

    void start(state_ref const& state)
    {
        parked_ = false;
        accepting_ = true;
        end_notifier notifier{[weak = this->weak_from_this(), state]
            {
                if (auto const self = weak.lock())  // the shard of a thread is destroyed before its context
                    self->loop_ended(state);
            }};
        boost::asio::co_spawn(executor(), accept_loop(state, *this), std::move(notifier));
    }

    /// Stop listening, serve the clients that are queued, and ask every session to finish.
    void begin_drain(state_ref const& state) noexcept
    {
        if (std::exchange(draining_, true))
            return;
        queue_of_ = -1;
        acceptor_.close();
        gate_.cancel();
        sessions_->finish(state);
        check_drained(state);
    }

    /// Stop listening, and reset every session.
    void abort(state_ref const& state) noexcept
    {
        begin_drain(state);
        acceptor_access::discard(acceptor_);
        aborting_ = true;
        sessions_->abort(state);
    }

    /// abort(), on any thread, while the strand stands still. False: not yet, because the strand has been busy with one
    /// function until `until`. Once it has returned true, it does nothing.
    bool end_by(state_ref const& state, std::chrono::steady_clock::time_point until)
    {
        auto const end = [&]
        {
            if (state->shards().front().get() == this)
                state->ignore_hooks();
            abort(state);
            never_ran_ = !ran_;
        };
        return ends_ = ends_ || strand_.stop_for(end, until);
    }

    shard_strand const& strand() const noexcept { return strand_; }

    /// After end_by(): no handler runs, and none will. Callable from any thread.
    bool ended() const noexcept { return drained_ || never_ran_; }

    /// A place among max_sessions may be free again. Callable from any thread.
    void unpark(state_ref state)
    {
        if (parked_.exchange(false))
            try_post(executor(), [state = std::move(state), this] { gate_.cancel(); });
    }

    /// The queue of its own listener, while it accepts; `error` is then set or cleared. Callable from any thread. If
    /// the listener has just been closed, the descriptor may be another one, which is only asked whether it listens.
    listen_queue queue(error_code& error) const noexcept
    {
        int const descriptor = queue_of_;
        return descriptor >= 0 ? kernel_queue_of(descriptor, error) : listen_queue{};
    }

    /// True if it neither accepts nor serves any more.
    bool idle() const noexcept { return !accepting_ && sessions_->empty(); }

    /// Call `then` when a drain or an abort has ended on this shard.
    void when_idle(std::function<void()> then) { when_idle_ = std::move(then); }

private:
    /// Accept until the listener is closed or fails, or memory runs out.
    static boost::asio::awaitable<void> accept_loop(state_ref state, server_shard& shard)
    {
        try
        {
            co_await accept_all(state, shard);
            shard.accepting_ = false;
        }
        catch (std::bad_alloc const&)
        {
            // loop_ended() starts the loop again.
        }
        catch (...)
        {
            shard.accepting_ = false;
            shard.queue_of_ = -1;
            state->listener_failed(std::current_exception());
        }
    }

    static boost::asio::awaitable<void> accept_all(state_ref state, server_shard& shard)
    {
        if (!std::exchange(shard.ran_, true) && shard.strand_ && shard.aborting_)
            co_return;  // end_by() has promised it
        if (state->shards().front().get() == &shard)
            state->runs_here();
        // With a limit on sessions, a client must stay in the kernel's queue until its turn.
        if (state->options().max_sessions != 0)
            acceptor_access::take_one_at_a_time(shard.acceptor_);
        bool const waits = state->options().at_limit == limit_policy::wait;
        for (;;)
        {
            // Wait for a place before accepting, so that the client stays in the kernel's queue. Take the place only
            // after accepting: a place held while no client comes would be missing on the other threads. During a
            // drain, accept all queued clients.
            while (waits && !shard.draining_ && !state->has_place())
                co_await wait_for_place(state, shard);
            auto peer = acceptor_access::take_queued(shard.acceptor_, state->sessions());
            if (!peer)
            {
                try
                {
                    peer.emplace(co_await acceptor_access::accept(shard.acceptor_, state->sessions()));
                }
                catch (session_error const& error)
                {
                    if (error.code() != errc::closed)
                        throw;
                }
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
                shard.sessions_->begin(state, std::move(*peer));
            else
                shard.shed(*state, *peer);
        }
    }

    /// Wait until a place may be free or a drain begins, for at most one second: if memory runs out, nothing ends the
    /// wait.
    static boost::asio::awaitable<void> wait_for_place(state_ref state, server_shard& shard)
    {
        boost::asio::use_awaitable_t<> const token;
        error_code ignored;
        // Set parked_ before checking again, so that a place that is freed in between is not missed.
        shard.parked_ = true;
        if (!state->has_place())
        {
            shard.gate_.expires_after(std::chrono::seconds{1});
            co_await shard.gate_.async_wait(boost::asio::redirect_error(token, ignored));
        }
        shard.parked_ = false;
    }

    /// The accepting loop has ended. If it ended for lack of memory, start it again after 100 ms.
    void loop_ended(state_ref const& state) noexcept
    {
        if (aborting_)
            accepting_ = false;
        if (!accepting_)
        {
            sessions_->expect_none();
            return check_drained(state);
        }
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
                        // The end_notifier in start() has already called loop_ended(), which tries again.
                    }
                });
        }
        catch (std::exception const&)
        {
            accepting_ = false;
            sessions_->expect_none();
            state->listener_failed(std::current_exception());
            check_drained(state);
        }
    }

    void shed(state_type& state, session_type& peer) noexcept
    {
        ++state.counts.shed;
        peer.abort();
    }

    void check_drained(state_ref const& state) noexcept
    {
        if (!draining_ || !idle() || drained_.exchange(true))
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
    shard_strand strand_;
    timer gate_;
    std::shared_ptr<server_sessions<Protocol>> sessions_;
    acceptor_counters published_;
    std::function<void()> when_idle_;
    std::atomic<bool> parked_{false};
    std::atomic<int> queue_of_;  // the descriptor to ask for the length of the queue; -1: none
    bool accepting_ = false;
    bool draining_ = false;
    bool aborting_ = false;
    bool ran_ = false;   // the loop has begun
    bool ends_ = false;  // end_by() has ended it
    std::atomic<bool> drained_{false};
    std::atomic<bool> never_ran_{false};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
