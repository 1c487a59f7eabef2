// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_RACE_HPP
#define DUET_DETAIL_CONNECT_CONNECT_RACE_HPP

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <duet/connector_options.hpp>
#include <duet/detail/completion/spawned_call.hpp>
#include <duet/detail/connect/connect_plan.hpp>
#include <duet/detail/connect/connect_racer.hpp>
#include <duet/detail/connect/connect_schedule.hpp>
#include <duet/detail/engine/session_watcher.hpp>
#include <duet/detail/resolve/address_text.hpp>
#include <duet/detail/time/timer.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// One connect: resolves the name and lets attempts on its addresses race. The first attempt that connects wins, and
/// the others are closed.
///
/// `connect_schedule` decides what to do and when; this class does it. Everything runs on one executor. The handlers of
/// its operations keep this object alive. The coroutine that waits for the end owns this object, but this object does
/// not own the coroutine, so no reference cycle remains when the context is destroyed during a connect.
template <class Protocol, class Executor, class Maker>
class connect_race : public std::enable_shared_from_this<connect_race<Protocol, Executor, Maker>>
{
public:
    using endpoint_type = typename Protocol::endpoint;
    using racer = connect_racer<Protocol, Executor, Maker>;
    using session_type = typename racer::session_type;

    /// `watcher` may be null.
    connect_race(Executor const& executor, connector_options const& options, Maker maker,
        std::shared_ptr<session_watcher> watcher)
        : watcher_{std::move(watcher)}, options_{options}, maker_{std::move(maker)}, timer_{executor},
          schedule_(options, now())
    {
    }

    /// Resolve the name first. `resolver` must stay valid until its coroutine has ended; `owner` is kept for that.
    template <class Resolver, class Owner>
    void start(Resolver& resolver, Owner owner, std::string host, std::string service)
    {
        resolve_handler<Owner> handler{this->shared_from_this(), std::move(owner)};
        if (watcher_)
            look_up_ = watcher_->on_call("resolve", text_of_name(host, service));
        resolving_ = true;
        boost::asio::co_spawn(timer_.get_executor(), resolver.resolve(std::move(host), std::move(service)),
            boost::asio::bind_cancellation_slot(resolve_signal_.slot(), std::move(handler)));
        act();
    }

    /// Connect to one endpoint, without resolving.
    void start(endpoint_type const& endpoint)
    {
        plan({&endpoint, 1});
        act();
    }

    bool ended() const noexcept { return ended_; }

    /// Wait until the time has come to go_on(). This is interrupted when the connect has ended, when there is another
    /// time to wait for, and when the awaiting coroutine is cancelled.
    auto wait(error_code& interrupted)
    {
        return timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable_t<Executor>{}, interrupted));
    }

    void go_on() noexcept
    {
        wake_at_ = time_point::min();
        safely([this] { act(); });
    }

    void cancel() noexcept { end(boost::asio::error::operation_aborted); }

    /// The context is being destroyed, so nobody waits any more: close everything and call no handler.
    void abandon() noexcept
    {
        ended_ = true;
        racers_.clear();
        timer_.cancel();
    }

    // The result: a session, or an exception other than a failure to connect, or an error with the error of each
    // attempt.

    std::optional<session_type>& winner() noexcept { return winner_; }

    std::exception_ptr const& failure() const noexcept { return failure_; }

    error_code error() const noexcept { return error_; }

    std::vector<connect_attempt<Protocol>> reports() const
    {
        std::vector<connect_attempt<Protocol>> result;
        for (auto const& one : racers_)
            if (one.started())
                result.push_back(one.report());
        return result;
    }

private:
    using timer_type = basic_timer<Executor>;
    using time_point = typename timer_type::time_point;

    /// Called at the end of the resolver's coroutine. If it is destroyed without a call, Asio has destroyed that
    /// coroutine: for lack of memory to go on with it, or together with the context.
    template <class Owner>
    class resolve_handler
    {
    public:
        resolve_handler(std::shared_ptr<connect_race> race, Owner owner) noexcept
            : race_{std::move(race)}, owner_{std::move(owner)}
        {
        }

        resolve_handler(resolve_handler&&) noexcept = default;

        ~resolve_handler()
        {
            if (race_)
                race_->on_resolver_gone();
        }

        void operator()(std::exception_ptr thrown, std::vector<endpoint_type> addresses)
        {
            auto const race = std::move(race_);
            race->safely([&] { race->on_resolved(std::move(thrown), addresses); });
        }

    private:
        std::shared_ptr<connect_race> race_;
        Owner owner_;
    };

    time_point now() const noexcept { return timer_.clock().now(); }

    void on_resolver_gone() noexcept
    {
        if (std::exchange(resolving_, false))
            tell_resolved(boost::asio::error::no_memory);
        end(boost::asio::error::no_memory);
    }

    void on_resolved(std::exception_ptr thrown, std::vector<endpoint_type> const& addresses)
    {
        resolving_ = false;
        if (ended_)
            return;
        tell_resolved(thrown ? code_of_exception(thrown) : error_code{});
        if (thrown)
            return fail(std::move(thrown));
        if (addresses.empty())
            return end(errc::no_address);
        plan(plan_attempts(addresses));
        act();
    }

    /// The look-up has ended, or is not waited for any longer.
    void tell_resolved(error_code const& why) noexcept
    {
        if (watcher_)
            watcher_->on_result(look_up_, "resolve", {}, why);
    }

    void plan(std::span<endpoint_type const> endpoints)
    {
        racers_.reserve(endpoints.size());
        for (auto const& endpoint : endpoints)
            racers_.emplace_back(endpoint);
        schedule_.resolved(endpoints.size());
    }

    /// Do everything that is due now, and set the timer for the rest.
    void act()
    {
        while (!ended_)
        {
            auto const time = now();
            auto const action = schedule_.next(time);
            switch (action.step)
            {
            case connect_step::start:
                start_racer(action.attempt);
                break;
            case connect_step::expire:
                give_up(racers_[action.attempt], errc::connect_timed_out);
                break;
            case connect_step::resolve_timed_out:
                return end(errc::resolve_timed_out);
            case connect_step::timed_out:
                return end(errc::connect_timed_out);
            case connect_step::all_failed:
                return end(most_telling_error(reports()));
            case connect_step::wait:
                if (!connect_again(time))
                    return wake_at(action.at);
                break;
            }
        }
    }

    void start_racer(std::size_t number)
    {
        if (watcher_)
            racers_[number].watched = watcher_->on_attempt(racers_[number].describe());
        auto const error = racers_[number].open(timer_.get_executor(), options_.session);
        if (error)
            settle(number, error);
        else
            connect(number);
    }

    void connect(std::size_t number)
    {
        racers_[number].connect(timer_.get_executor(), now(),
            [self = this->shared_from_this(), number](std::uint64_t serial, error_code const& error)
            {
                if (!self->ended_ && self->racers_[number].is_current(serial))
                    self->safely([&] { self->on_connected(number, error); });
            });
        auto& one = racers_[number];
        if (watcher_ && one.running())
            watcher_->on_attempt_from(one.watched, one.describe_local(), one.describe());
    }

    void on_connected(std::size_t number, error_code const& error)
    {
        settle(number, error);
        act();
    }

    /// Connect again for each attempt whose pause is over. False if there is none.
    bool connect_again(time_point now)
    {
        bool any = false;
        for (std::size_t number = 0; number < racers_.size() && !ended_; ++number)
            if (racers_[number].again_at() <= now)
            {
                connect(number);
                any = true;
            }
        return any;
    }

    /// Handle the end of an attempt, successful or not.
    void settle(std::size_t number, error_code error)
    {
        auto& one = racers_[number];
        if (!error && one.is_connected_to_itself())
        {
            error = errc::self_connect;
            if (one.leave_itself())
                error = one.open(timer_.get_executor(), options_.session);
            if (!error)
                return connect(number);
        }
        if (!error)
        {
            winner_.emplace(one.take(timer_.get_executor(), options_.session, maker_));
            if (watcher_)
                watcher_->on_connected(one.watched, *session_access::connection(*winner_));
            return end({});
        }
        give_up(one, error);
        schedule_.failed(number);
    }

    void give_up(racer& one, error_code const& why) noexcept
    {
        one.fail(why);
        if (watcher_)
            watcher_->on_attempt_failed(one.watched, why);
    }

    void wake_at(time_point when)
    {
        for (auto const& one : racers_)
            when = std::min(when, one.again_at());
        if (when == wake_at_)
            return;
        wake_at_ = when;
        timer_.expires_at(when);  // interrupts wait()
    }

    void end(error_code why) noexcept
    {
        if (std::exchange(ended_, true))
            return;
        error_ = why;
        for (auto& one : racers_)
            if (one.running())
                give_up(one, why ? why : error_code{boost::asio::error::operation_aborted});
        timer_.cancel();
        if (!std::exchange(resolving_, false))
            return;
        tell_resolved(why);
        // Keep this last: it may call the resolver's code.
        resolve_signal_.emit(boost::asio::cancellation_type::terminal);
    }

    /// End with an exception: from the resolver, or for lack of memory.
    void fail(std::exception_ptr thrown) noexcept
    {
        try
        {
            std::rethrow_exception(thrown);
        }
        catch (system_error const& thrown_error)
        {
            end(thrown_error.code());
        }
        catch (...)
        {
            failure_ = std::move(thrown);
            end(boost::asio::error::fault);
        }
    }

    /// Run a handler's work and end the connect if it throws: an exception from a handler would leave
    /// io_context::run().
    template <class Function>
    void safely(Function function) noexcept
    {
        try
        {
            function();
        }
        catch (...)
        {
            fail(std::current_exception());
        }
    }

    std::shared_ptr<session_watcher> watcher_;
    std::uint64_t look_up_ = 0;
    connector_options options_;
    Maker maker_;
    timer_type timer_;  // the coroutine waits for it
    connect_schedule schedule_;
    std::vector<racer> racers_;
    time_point wake_at_ = time_point::min();
    boost::asio::cancellation_signal resolve_signal_;
    std::optional<session_type> winner_;
    std::exception_ptr failure_;
    error_code error_;
    bool resolving_ = false;
    bool ended_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
