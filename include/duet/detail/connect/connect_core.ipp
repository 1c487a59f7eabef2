// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_CORE_IPP
#define DUET_DETAIL_CONNECT_CONNECT_CORE_IPP

// One try to connect, and retries.

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <vector>

#include <duet/backoff.hpp>
#include <duet/detail/connect/connect_core.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Protocol, class Executor, class Resolver>
boost::asio::awaitable<typename connect_core<Protocol, Executor, Resolver>::session_type, Executor>
connect_core<Protocol, Executor, Resolver>::connect(self core, target_type target, retry_options retry)
{
    if (!target.well_formed() || !retry.delays.valid())
        throw error_type{boost::asio::error::invalid_argument, target.describe(), {}};
    std::optional<timer_type> pause;
    std::optional<backoff> delays;
    for (std::size_t tries = 1;; ++tries)
    {
        auto race = std::make_shared<race_type>(core->executor, core->options, core->maker_for(target), core->watcher);
        {
            leave const guard{*race};
            start(core, *race, target);
            while (!race->ended())
            {
                error_code interrupted;
                co_await race->wait(interrupted);
                // Also if the wait was not interrupted: the cancellation may have come between its end and this.
                auto const state = co_await boost::asio::this_coro::cancellation_state;
                if (state.cancelled() != boost::asio::cancellation_type::none)
                    race->cancel();
                else if (!interrupted)
                    race->go_on();
            }
        }
        error_code why = race->error();
        if (race->winner())
        {
            if (session_maker::shakes_hands || !core->first.empty())
                why = co_await open(core, race);
            if (!why)
                co_return std::move(*race->winner());
        }
        if (race->failure())
            std::rethrow_exception(race->failure());
        error_type failed{why, target.describe(), reports_with(*race, why)};
        race.reset();
        if (tries == retry.max_tries || failed.code() == condition::cancelled)
            throw error_type{failed};
        // Check for cancellation before waiting: with throw_if_cancelled(false) co_await does not throw, and the
        // coroutine would wait once more.
        auto const cancellation = co_await boost::asio::this_coro::cancellation_state;
        bool interrupted = cancellation.cancelled() != boost::asio::cancellation_type::none;
        if (!interrupted)
        {
            if (!delays)
                delays.emplace(retry.delays);
            auto const delay = delays->next();
            if (core->on_retry)
                core->on_retry({failed, tries, delay});
            error_code error;
            if (!pause)
                pause.emplace(core->executor);
            pause->expires_after(delay);
            boost::asio::use_awaitable_t<Executor> const token;
            co_await pause->async_wait(boost::asio::redirect_error(token, error));
            interrupted = error || cancellation.cancelled() != boost::asio::cancellation_type::none;
        }
        if (interrupted)
            throw error_type{boost::asio::error::operation_aborted, target.describe(), failed.attempts()};
    }
}

template <class Protocol, class Executor, class Resolver>
boost::asio::awaitable<error_code, Executor> connect_core<Protocol, Executor, Resolver>::open(
    self core, std::shared_ptr<race_type> race)
{
    // It may have been cancelled since the race has ended.
    auto const state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none)
        co_return error_code{boost::asio::error::operation_aborted};
    error_code why;
    try
    {
        auto& winner = *race->winner();
        std::string const first{core->first};  // another may be set meanwhile
        if constexpr (session_maker::shakes_hands)
        {
            session_maker::say_first(winner, first);
            co_await session_maker::shake_hands(winner);
        }
        else
            co_await winner.write(first).within(core->options.timeout);
    }
    catch (system_error const& failure)
    {
        why = failure.code();
    }
    co_return why;
}

template <class Protocol, class Executor, class Resolver>
auto connect_core<Protocol, Executor, Resolver>::reports_with(race_type const& race, error_code const& why)
    -> std::vector<connect_attempt<transport>>
{
    auto result = race.reports();
    for (auto& one : result)
        if (!one.error)
            one.error = why;
    return result;
}

template <class Protocol, class Executor, class Resolver>
void connect_core<Protocol, Executor, Resolver>::start(self const& core, race_type& race, target_type const& target)
{
    if constexpr (has_resolver)
    {
        if (target.named)
        {
            // The system's resolver would only say the same, later. But a watcher is told what was asked for.
            if constexpr (std::is_same_v<Resolver, basic_system_resolver<Executor>>)
            {
                auto const numeric = core->watcher ? std::nullopt : numeric_endpoint(target.host, target.service);
                if (numeric)
                    return race.start(*numeric);
            }
            return race.start(core->resolver, core, target.host, target.service);
        }
    }
    race.start(target.endpoint);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
