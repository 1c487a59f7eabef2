// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CORE_HPP
#define DUET_DETAIL_CONNECT_CORE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/backoff.hpp>
#include <duet/connect_error.hpp>
#include <duet/connector_options.hpp>
#include <duet/detail/connect_race.hpp>
#include <duet/resolver.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// What a program wants to connect to: a name, or an endpoint.
template <class Protocol>
struct connect_target
{
    explicit connect_target(typename Protocol::endpoint const& e) : endpoint{e} {}

    connect_target(std::string h, std::string s) : host(std::move(h)), service(std::move(s)), named{true} {}

    std::string describe() const
    {
        if (!named)
            return to_string(endpoint);
        return host.find(':') == std::string::npos ? host + ':' + service : '[' + host + "]:" + service;
    }

    typename Protocol::endpoint endpoint{};
    std::string host;
    std::string service;
    bool named = false;
};

/// The inside of a connector. Every connect under way keeps it.
template <class Protocol, class Executor, class Resolver>
class connect_core
{
public:
    static constexpr bool has_resolver = !std::is_same_v<Resolver, no_resolver>;

    using race_type = connect_race<Protocol, Executor>;
    using session_type = typename race_type::session_type;
    using target_type = connect_target<Protocol>;
    using error_type = basic_connect_error<Protocol>;
    using self = std::shared_ptr<connect_core>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, Executor>;

    connect_core(Executor const& e, connector_options const& o, Resolver r)
        : executor{e}, options{o}, resolver(std::move(r))
    {
    }

    static awaitable<session_type> connect(self core, target_type target, retry_options retry)
    {
        timer_type pause{core->executor};
        std::optional<backoff> delays;
        for (std::size_t tries = 1;; ++tries)
        {
            auto race = std::make_shared<race_type>(core->executor, core->options);
            co_await run(core, race, target);
            if (race->winner())
                co_return std::move(*race->winner());
            if (race->failure())
                std::rethrow_exception(race->failure());
            error_type failed{race->error(), target.describe(), race->reports()};
            race.reset();
            if (tries == retry.max_tries || failed.code() == condition::cancelled)
                throw error_type{failed};
            // A coroutine that looks after its cancellation itself (throw_if_cancelled(false)) must not wait again.
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
                pause.expires_after(delay);
                boost::asio::use_awaitable_t<Executor> const token;
                co_await pause.async_wait(boost::asio::redirect_error(token, error));
                interrupted = static_cast<bool>(error);
            }
            if (interrupted)
                throw error_type{boost::asio::error::operation_aborted, target.describe(), failed.attempts()};
        }
    }

    Executor executor;
    connector_options options;
    Resolver resolver;
    std::function<void(connect_retry const&)> on_retry;

private:
    using timer_type = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
        boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

    /// Runs when the coroutine is destroyed in the middle, too: no descriptor outlives it.
    struct leave
    {
        race_type& race;

        ~leave()
        {
            if (!race.ended())
                race.abandon();
        }
    };

    static awaitable<void> run(self core, std::shared_ptr<race_type> race, target_type const& target)
    {
        leave const guard{*race};
        if constexpr (has_resolver)
        {
            if (target.named)
                race->start(core->resolver, core, target.host, target.service);
        }
        if (!target.named)
            race->start(target.endpoint);
        error_code interrupted;
        if (!race->ended())
            co_await race->wait(interrupted);
        if (!race->ended())
            race->cancel();
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
