// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVING_POOL_HPP
#define DUET_DETAIL_SERVE_SERVING_POOL_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/completion/end_notifier.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/served_session.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The session was asked to finish, or the client was silent for too long between two messages. A handler that leaves
/// with this error has lost nothing: its session is closed gracefully.
inline bool ends_between_messages(error_code const& error) noexcept
{
    return error == errc::draining || error == errc::next_message_timed_out;
}

/// As above, for what a handler has thrown. A handler whose client finishes where the next message may begin has lost
/// nothing either. But the end of another connection that the handler reads from is no end of its answer.
inline bool ends_between_messages(std::exception_ptr const& failure, connection const& own) noexcept
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (session_error const& error)
    {
        return ends_between_messages(error.code()) ||
               (error.code() == errc::ended && error_origin::is(error, &own) && !own.in_message());
    }
    catch (boost::system::system_error const& error)
    {
        return ends_between_messages(error.code());
    }
    catch (...)
    {
        return false;
    }
}

/// A coroutine that serves sessions one after another.
template <class Protocol>
struct serving_coroutine
{
    /// Serve this session next. `why` is the error that ended the wait for its message, if there was one.
    void take(typename served_list<Protocol>::iterator session, error_code why) noexcept
    {
        live = session;
        cause = why;
        busy = handles = true;
        swept = false;
    }

    /// True: there is a message to serve. False: there will be no further message, and nothing is lost. Throws any
    /// other error that ended the wait for a message.
    bool has_message() const
    {
        if (ends_between_messages(cause))
            return false;
        if (live->aborted && cause == errc::aborted)
            return false;  // it waited for a message, so no handler has failed
        auto const error = !cause && live->aborted ? error_code{errc::aborted} : cause;
        if (error)
            throw session_error{error, "wait_readable", session_access::connection(*live->session)->describe_peer(), 0};
        return true;
    }

    typename served_list<Protocol>::iterator live{};
    error_code cause;
    bool busy = false;      // it has a session to serve
    bool handles = false;   // the session's handler runs
    bool swept = false;     // cancel_aborted() has visited it
    any_completion resume;  // resumes the coroutine; set while it rests

    // Shared with the coroutine, because the coroutine may end after the sessions and this object are gone: its
    // thread's context is destroyed later.
    std::shared_ptr<boost::asio::cancellation_signal> signal = std::make_shared<boost::asio::cancellation_signal>();
};

/// What a serving_pool reports to its user about a session that it serves. The pool no longer uses the session then.
template <class Protocol>
class serving_pool_user
{
public:
    using served_iterator = typename served_list<Protocol>::iterator;

    /// The handler wants the next message.
    virtual void on_answered(served_iterator live) noexcept = 0;

    /// The session was served to its end. `failure` is what its handler threw.
    virtual void on_served(served_iterator live, std::exception_ptr const& failure) noexcept = 0;

    /// The session is not served any further: memory ran out, or the context is destroyed.
    virtual void on_lost(served_iterator live) noexcept = 0;

protected:
    ~serving_pool_user() = default;
};

/// The coroutines that call the handlers of one thread's sessions. A coroutine that has served a session or a message
/// rests until it gets another, because spawning a coroutine costs six allocations and a third of a short session's
/// time.
///
/// All functions run on one executor. Handlers that wait in the context hold only weak references, because the pool may
/// be destroyed before the context.
template <class Protocol>
class serving_pool
{
public:
    using user = serving_pool_user<Protocol>;
    using served_iterator = typename served_list<Protocol>::iterator;
    using session_type = typename served_session<Protocol>::session_type;
    using self_ref = std::shared_ptr<serving_pool>;

    static constexpr std::size_t most_resting = 128;

    serving_pool(boost::asio::any_io_executor executor, user& told) : executor_{std::move(executor)}, user_{told} {}

    serving_pool(serving_pool const&) = delete;
    serving_pool& operator=(serving_pool const&) = delete;

    /// Set the object that contains this pool, which must stay alive while a function of the pool runs. Call it before
    /// the first session.
    void owned_by(std::shared_ptr<void> const& owner) noexcept { self_ = std::shared_ptr<serving_pool>{owner, this}; }

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
        // The session's end is reported elsewhere: by add_coroutine() or by the notifier in spawn().
    }
    catch (...)  // Asio rethrows what an operation throws as it begins: let it leave the context's run() instead
    {
        try_post(executor_, [failure = std::current_exception()] { std::rethrow_exception(failure); });
    }

    /// No more sessions will begin: end the resting coroutines, because they keep the context running.
    void expect_none()
    {
        keeps_coroutines_ = false;
        while (!resting_.empty())
            wake()->resume({}, 0);
    }

    /// Cancel the handlers of the sessions that were aborted.
    void cancel_aborted() noexcept
    {
        for (auto& each : serving_)
            each.swept = false;
        // Those that have been cancelled stand in front. Each may end, and leave the list, at once.
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
                // Its session is reset all the same.
            }
        }
    }

private:
    using coroutine_list = std::list<serving_coroutine<Protocol>>;
    using coroutine_iterator = typename coroutine_list::iterator;

    void spawn(served_iterator live, error_code cause)
    {
        auto const coroutine = add_coroutine(live, cause);
        end_notifier notifier{[weak = self_, coroutine, signal = coroutine->signal]
            {
                if (auto const pool = weak.lock())
                    pool->left(coroutine);
            }};
        boost::asio::co_spawn(executor_, run(self_, coroutine),
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
            user_.on_lost(live);
            throw;
        }
        serving_.back().take(live, cause);
        return std::prev(serving_.end());
    }

    /// Serve sessions one after another. After the handler's last return comes close(), after an exception abort().
    static boost::asio::awaitable<void> run(std::weak_ptr<serving_pool> target, coroutine_iterator self)
    {
        while (self->busy)
        {
            auto const live = self->live;
            bool more = false;
            std::optional<session_type> peer;
            std::exception_ptr failure;
            try
            {
                if (live->needs_preparation())
                {
                    co_await live->prepare();
                    more = live->state->on_message() != nullptr;
                }
                if (live->state->on_conversation())
                    co_await live->converse();
                else if (!more && self->has_message())
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
            if (failure && ends_between_messages(failure, *session_access::connection(*live->session)))
                failure = nullptr;
            // After the peer's FIN a wait for another message would end at once, again and again.
            more = more && !live->last_message && live->session->receive_state() == receive_state::open;
            if (failure && !served_session<Protocol>::state_type::session_maker::tells_why(*live->session))
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
        auto* const context = session_access::plain_context(*live.session);
        return context && context->get_executor().running_in_this_thread();
    }

    /// It has served a session to its end, or, if there is `more`, to the end of a message. Where to rest(); null:
    /// nowhere.
    static self_ref let_go(std::weak_ptr<serving_pool> const& target, coroutine_iterator coroutine, bool more,
        std::exception_ptr const& failure) noexcept
    {
        auto self = target.lock();
        if (!self)
            return self;
        coroutine->busy = false;
        if (more)
            self->user_.on_answered(coroutine->live);
        else
            self->user_.on_served(coroutine->live, failure);
        if (!self->keeps_coroutines_ || self->resting_.size() >= most_resting)
            self.reset();
        return self;
    }

    /// Wait for a session or a message. A coroutine that is resumed with nothing to do has to end.
    class rest
    {
    public:
        rest(self_ref home, coroutine_iterator self) noexcept : home_{std::move(home)}, self_{self} {}

        template <boost::asio::completion_token_for<void()> Token>
        auto operator()(Token&& token) &&
        {
            return boost::asio::async_initiate<Token, void()>(
                [self = self_](auto&& handler, self_ref home)
                {
                    auto resume = [handler = std::forward<decltype(handler)>(handler)](error_code, std::size_t) mutable
                    { std::move(handler)(); };
                    self->resume = any_completion{std::move(resume), home->executor_, true};
                    home->resting_.splice(home->resting_.end(), home->serving_, self);
                },
                token, std::move(home_));
        }

    private:
        self_ref home_;
        coroutine_iterator self_;
    };

    /// The last that came to rest: its memory is the warmest.
    coroutine_iterator wake() noexcept
    {
        serving_.splice(serving_.end(), resting_, std::prev(resting_.end()));
        return std::prev(serving_.end());
    }

    /// A coroutine is gone.
    void left(coroutine_iterator coroutine) noexcept
    {
        if (coroutine->busy)
            user_.on_lost(coroutine->live);
        serving_.erase(coroutine);
    }

    boost::asio::any_io_executor executor_;
    user& user_;
    std::weak_ptr<serving_pool> self_;
    coroutine_list serving_;
    coroutine_list resting_;
    bool keeps_coroutines_ = true;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
