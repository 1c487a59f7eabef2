// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVING_POOL_HPP
#define DUET_DETAIL_SERVE_SERVING_POOL_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

#include <duet/detail/completion/coroutine_start.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/served_session.hpp>
#include <duet/detail/serve/serving_coroutine.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

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
/// rests until it gets another, because starting a coroutine costs three allocations. Its frame is as small as it can
/// be: what comes after the handler is done without it.
///
/// All functions run on one executor. Handlers that wait in the context hold only weak references, because the pool may
/// be destroyed before the context.
template <class Protocol>
class serving_pool
{
public:
    using user = serving_pool_user<Protocol>;
    using served_iterator = typename served_list<Protocol>::iterator;

    static constexpr std::size_t most_resting = 128;

    serving_pool(boost::asio::any_io_executor executor, user& told) : executor_{std::move(executor)}, user_{told} {}

    serving_pool(serving_pool const&) = delete;
    serving_pool& operator=(serving_pool const&) = delete;

    /// Those that serve end with their context.
    ~serving_pool()
    {
        while (!resting_.empty())
        {
            auto& last = resting_.back();
            resting_.pop_back();
            last.drop();
        }
    }

    /// Set the object that contains this pool, which must stay alive while a function of the pool runs. Call it before
    /// the first session.
    void owned_by(std::shared_ptr<void> const& owner) noexcept { self_ = std::shared_ptr<serving_pool>{owner, this}; }

    /// Serve the session with a resting coroutine or, if there is none, a new one.
    void serve(served_iterator live, error_code cause) noexcept
    try
    {
        if (resting_.empty())
            return spawn(live, cause);
        auto& each = wake();
        each.take(live, cause);
        each.resume();
    }
    catch (std::bad_alloc const&)
    {
        // The session's end is reported elsewhere: by make() or by left().
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
            wake().resume();
    }

    /// Cancel the handlers of the sessions that were aborted.
    void cancel_aborted() noexcept
    {
        for (auto& each : serving_)
            each.swept = false;
        // Those that have been cancelled stand in front. Each may end, and leave the list, at once.
        while (!serving_.empty() && !serving_.back().swept)
        {
            auto& each = serving_.back();
            serving_.splice(serving_.begin(), serving_, serving_.iterator_to(each));
            each.swept = true;
            if (!each.handles || !each.live->aborted)
                continue;
            try
            {
                each.signal.emit(boost::asio::cancellation_type::terminal);
            }
            catch (std::bad_alloc const&)
            {
                // Its session is reset all the same.
            }
        }
    }

private:
    using coroutine = serving_coroutine<Protocol>;

    friend serving_home<Protocol>;

    void spawn(served_iterator live, error_code cause)
    {
        auto owner = make(live);
        auto* const made = owner.get();
        made->take(live, cause);
        serving_.push_back(*made);
        owner_of_coroutine owned{std::move(owner)};
        // Asio keeps the memory of two frames for the next coroutines, also for smaller ones. While these have it, the
        // new coroutine, which may stay for hours, gets memory of its own size, and the next accept() what it had.
        auto const one = frame_in_between();
        auto const other = frame_in_between();
        start_coroutine(executor_, made->signal.slot(), &serving_pool::run, std::move(owned));
    }

    static boost::asio::awaitable<void> frame_in_between() { co_return; }

    std::unique_ptr<coroutine> make(served_iterator live)
    {
        try
        {
            boost::intrusive_ptr<serving_home<Protocol>> home{home_};
            if (!home)
            {
                home.reset(new serving_home<Protocol>{self_, executor_});
                home_ = home.get();
            }
            return std::make_unique<coroutine>(std::move(home));
        }
        catch (std::bad_alloc const&)
        {
            user_.on_lost(live);
            throw;
        }
    }

    /// Owns a coroutine's other data. The coroutine's frame owns it, so that the end is noticed even if memory runs
    /// out: the coroutine is then destroyed before it ends. As long as the coroutine exists, so does this, even if the
    /// pool is gone: its context may be destroyed later.
    class owner_of_coroutine
    {
    public:
        explicit owner_of_coroutine(std::unique_ptr<coroutine> owned) noexcept : owned_{std::move(owned)} {}

        owner_of_coroutine(owner_of_coroutine&&) noexcept = default;

        ~owner_of_coroutine()
        {
            if (!owned_)
                return;
            if (auto const pool = owned_->home->pool.lock())
                pool->left(*owned_);
        }

        coroutine* operator->() const noexcept { return owned_.get(); }

        coroutine& operator*() const noexcept { return *owned_; }

    private:
        std::unique_ptr<coroutine> owned_;
    };

    void left(coroutine& ended) noexcept
    {
        serving_.erase(serving_.iterator_to(ended));
        if (ended.busy)
            user_.on_lost(ended.live);
    }

    /// Serve sessions one after another.
    static started_coroutine run(owner_of_coroutine owner)
    try
    {
        while (owner->busy)
        {
            try
            {
                if (owner->live->needs_preparation())
                {
                    co_await owner->live->prepare();
                    owner->more = owner->live->state->on_message() != nullptr;
                }
                if (owner->live->state->on_conversation())
                    co_await owner->live->converse();
                else if (owner->begins_message())
                    owner->more = co_await owner->live->answer(owner->peer);
            }
            catch (...)
            {
                owner->failure = std::current_exception();
            }
            // The handler may have changed the coroutine's cancellation state.
            co_await boost::asio::this_coro::throw_if_cancelled(false);
            co_await rest{*owner};
            co_await boost::asio::this_coro::reset_cancellation_state();
            co_await boost::asio::this_coro::throw_if_cancelled(true);
        }
    }
    catch (...)
    {
        // There is no memory for it to go on: left() reports the end of its session.
    }

    /// Wait for a session or a message. A coroutine that is resumed with nothing to do has to end.
    class rest
    {
    public:
        explicit rest(coroutine& self) noexcept : self_{&self} {}

        template <boost::asio::completion_token_for<void()> Token>
        auto operator()(Token&& token) const
        {
            return boost::asio::async_initiate<Token, void()>([self = self_](auto&& handler)
                { handler_ended(*self, std::forward<decltype(handler)>(handler)); },
                token);
        }

    private:
        coroutine* self_;
    };

    // ---- After the handler: its coroutine rests already ------------------------------------------------------------

    /// The handler may have ended on another executor's thread.
    template <class Resume>
    static void handler_ended(coroutine& self, Resume&& resume)
    {
        auto* const context = session_access::plain_context(self.live->session);
        if (context && context->get_executor().running_in_this_thread())
        {
            self.rests(std::forward<Resume>(resume));
            return finish(self);
        }
        auto const home = boost::asio::get_associated_executor(resume);
        self.rests(std::forward<Resume>(resume));
        try
        {
            boost::asio::dispatch(home, next_step<Protocol, &serving_pool::finish>{self});
        }
        catch (std::bad_alloc const&)
        {
            // That has ended the coroutine, and left() reports the session's end.
        }
    }

    /// After the handler's last return comes close(), after an exception abort().
    static void finish(coroutine& self)
    {
        auto& live = *self.live;
        self.handles = false;
        self.peer = {};
        if (self.failure && ends_between_messages(self.failure, *session_access::connection(live.session)))
            self.failure = nullptr;
        // After the peer's FIN a wait for another message would end at once, again and again.
        self.more = self.more && !live.last_message && live.session.receive_state() == receive_state::open;
        if (self.failure || !self.more)
            keep_tcp_info(live);
        if (self.failure && !served_session<Protocol>::state_type::session_maker::tells_why(live.session))
            live.session.abort();
        else if (!self.more)
            return session_access::close(live.session)(next_step<Protocol, &serving_pool::let_go>{self});
        let_go(self);
    }

    /// The session is about to end: keep what its report cannot tell any more, if that was asked for.
    static void keep_tcp_info(served_session<Protocol>& live) noexcept
    {
        if (!live.state->options().report_tcp_info)
            return;
        try
        {
            auto const connection = session_access::connection(live.session);
            error_code error;
            if (auto const known = connection->info(error); !error)
                connection->remarks().set_tcp(known);
        }
        catch (std::bad_alloc const&)
        {
            // The end is told without it.
        }
    }

    /// It has served a session to its end or, if there is more, to the end of a message.
    static void let_go(coroutine& self)
    {
        auto const failure = std::exchange(self.failure, nullptr);
        self.busy = false;
        auto const home = self.home->pool.lock();
        if (!home)
            return self.resume();
        if (self.more)
            home->user_.on_answered(self.live);
        else
            home->user_.on_served(self.live, failure);
        if (!home->keeps_coroutines_ || home->resting_.size() >= most_resting)
            return self.resume();
        home->resting_.splice(home->resting_.end(), home->serving_, home->serving_.iterator_to(self));
    }

    /// The last that came to rest: its memory is the warmest.
    coroutine& wake() noexcept
    {
        serving_.splice(serving_.end(), resting_, std::prev(resting_.end()));
        return serving_.back();
    }

    boost::asio::any_io_executor executor_;
    user& user_;
    std::weak_ptr<serving_pool> self_;
    serving_home<Protocol>* home_ = nullptr;  // while there is a coroutine
    coroutine_list<Protocol> serving_;
    coroutine_list<Protocol> resting_;
    bool keeps_coroutines_ = true;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
