// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_SESSIONS_HPP
#define DUET_DETAIL_SERVE_SERVER_SESSIONS_HPP

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/served_session.hpp>
#include <duet/detail/serve/server_state.hpp>
#include <duet/detail/serve/serving_pool.hpp>
#include <duet/detail/time/timer.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The sessions that a server serves on one thread. All functions run on one executor. Only the shard owns this object,
/// and this object may call the shard; handlers that wait in the context hold only weak references.
///
/// A coroutine that has served a session waits for another one. If the handler is called for each message, a session
/// that waits for a message has no coroutine.
template <class Protocol>
class server_sessions final : public std::enable_shared_from_this<server_sessions<Protocol>>,
                              private serving_pool_user<Protocol>
{
public:
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;
    using state_ref = std::shared_ptr<state_type>;

    /// Calls `when_ended` after each session.
    server_sessions(boost::asio::any_io_executor const& executor, std::function<void(state_ref const&)> when_ended)
        : drain_timer_{executor}, when_ended_{std::move(when_ended)}, pool_{executor, *this}
    {
    }

    static std::shared_ptr<server_sessions> make(
        boost::asio::any_io_executor const& executor, std::function<void(state_ref const&)> when_ended)
    {
        auto result = std::make_shared<server_sessions>(executor, std::move(when_ended));
        result->pool_.owned_by(result);
        return result;
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
            state->count_end(peer.report());
            return state->release();
        }
        live_.splice(live_.end(), spare_, spare_.begin());
        auto const live = std::prev(live_.end());
        live->begin(std::move(peer), state, drain_timer_.clock().now());
        if (finishing_)
        {
            live->told = true;
            live->session.request_finish(state->options().drain_grace);
        }
        if (state->on_message() && !live->needs_preparation())
            await_message(live);
        else
            pool_.serve(live, {});
        if (aborting_)
            abort(state);
    }

    /// No more sessions will begin.
    void expect_none() { pool_.expect_none(); }

    /// Ask every session to finish: all at once, or spread over drain_spread. Sessions that begin later are asked at
    /// once.
    void finish(state_ref const& state) noexcept
    {
        finishing_ = true;
        constexpr std::chrono::steady_clock::duration longest = std::chrono::hours{24};  // longer than any drain
        auto const spread = std::clamp(state->options().drain_spread, longest.zero(), longest);
        if (!live_.empty())
            tell_every_ = spread / static_cast<std::int64_t>(live_.size());
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
            live->session.abort();
        }
        if (!any)
            return;
        // Cancel handlers that wait for something else, after the completions that the sessions' end has queued.
        auto const cancel = [weak = this->weak_from_this()]
        {
            if (auto const self = weak.lock())
                self->pool_.cancel_aborted();
        };
        if (!try_post(drain_timer_.get_executor(), cancel))
            pool_.cancel_aborted();
    }

private:
    using served_iterator = typename served_list<Protocol>::iterator;

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
                target->pool_.serve(live_, error);
        }

    private:
        std::weak_ptr<server_sessions> target_;
        served_iterator live_;
    };

    void await_message(served_iterator live) noexcept
    {
        live->last_message = live->session.finish_requested();
        session_access::await_readable(live->session, awaits_message{this->weak_from_this(), live});
    }

    void on_answered(served_iterator live) noexcept override { await_message(live); }

    void on_lost(served_iterator live) noexcept override { ended(live); }

    void on_served(served_iterator live, std::exception_ptr const& failure) noexcept override
    {
        live->served = true;
        auto& counts = live->state->counts;
        auto const report = live->session.report();
        if (failure)
            ++(live->header_due       ? counts.proxy_failures
                : live->handshake_due ? counts.handshake_failures
                                      : counts.handler_failures);
        else
            ++counts.completed;
        if (!failure && !report.clean())
            ++counts.unclean;
        try
        {
            if (auto const& hook = live->state->options().on_session_end)
                hook(end_of(*live, report, failure));
        }
        catch (...)
        {
            // There was no memory to report the end. The session has ended nevertheless.
        }
        ended(live);
    }

    session_end end_of(
        served_session<Protocol>& live, close_report const& report, std::exception_ptr const& failure) const
    {
        auto const connection = session_access::connection(live.session);
        auto const duration = drain_timer_.clock().now() - live.began;
        auto const began = std::chrono::system_clock::now() -
                           std::chrono::duration_cast<std::chrono::system_clock::duration>(duration);
        auto remarks = connection->remarks().take();
        return {connection->describe_peer(), report, failure, connection->peer(), began, duration,
            std::move(remarks.note), remarks.tcp, live.session.post_mortem()};
    }

    void ended(served_iterator live) noexcept
    {
        auto const state = std::move(live->state);
        if (!live->served)
            lost(*state, live->session);
        if (finishing_ && !live->cut)
            ++state->counts.drain_finished;
        state->count_end(live->session.report());
        live->session = {};
        if (spare_.size() < serving_pool<Protocol>::most_resting)
            spare_.splice(spare_.end(), live_, live);
        else
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

    /// Ask those whose time has come, or all that are left, to finish.
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
            live->session.request_finish(state->options().drain_grace);
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
    served_list<Protocol> spare_;  // places of sessions that have ended
    serving_pool<Protocol> pool_;
    std::chrono::steady_clock::duration tell_every_{};
    std::chrono::steady_clock::time_point drain_at_{};
    bool finishing_ = false;
    bool aborting_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
