// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_CORE_HPP
#define DUET_DETAIL_CONNECT_CONNECT_CORE_HPP

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/connect_error.hpp>
#include <duet/connector_options.hpp>
#include <duet/detail/connect/connect_race.hpp>
#include <duet/detail/engine/session_watcher.hpp>
#include <duet/detail/recording/recording_watcher.hpp>
#include <duet/detail/resolve/address_text.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/endpoint.hpp>
#include <duet/resolver.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The target of a connect: a name, or an endpoint.
template <class Protocol>
struct connect_target
{
    explicit connect_target(typename Protocol::endpoint const& e) : endpoint{e} {}

    connect_target(std::string h, std::string s) : host(std::move(h)), service(std::move(s)), named{true} {}

    /// False: a null byte is in it. Resolvers of C would take it for the end, and resolve another name.
    bool well_formed() const noexcept
    {
        return host.find('\0') == std::string::npos && service.find('\0') == std::string::npos;
    }

    std::string describe() const { return named ? text_of_name(host, service) : to_string(endpoint); }

    typename Protocol::endpoint endpoint{};
    std::string host;
    std::string service;
    bool named = false;
};

/// The implementation of a connector. Every connect under way keeps it alive.
template <class Protocol, class Executor, class Resolver>
class connect_core
{
public:
    static constexpr bool has_resolver = !std::is_same_v<Resolver, no_resolver>;

    using transport = typename protocol_layer<Protocol>::transport;
    using session_maker = typename protocol_layer<Protocol>::template sessions<Executor>;
    using race_type = connect_race<transport, Executor, session_maker>;
    using session_type = typename race_type::session_type;
    using target_type = connect_target<transport>;
    using error_type = basic_connect_error<transport>;
    using self = std::shared_ptr<connect_core>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, Executor>;

    connect_core(Executor const& e, connector_options const& o, session_maker m, Resolver r)
        : executor{e}, options{o}, maker{std::move(m)}, resolver(std::move(r))
    {
    }

    Executor get_executor() const noexcept { return executor; }

    static awaitable<session_type> connect(self core, target_type target, retry_options retry);

    Executor executor;
    connector_options options;
    session_maker maker;
    Resolver resolver;
    std::string first;  // what each session sends before everything else
    std::function<void(connect_retry const&)> on_retry;
    std::shared_ptr<session_watcher> watcher = program_watcher();  // see duet::trace

private:
    using timer_type = basic_timer<Executor>;

    /// RAII: also runs when the coroutine is destroyed before it ends, so that no descriptor outlives it.
    struct leave
    {
        race_type& race;

        ~leave()
        {
            if (!race.ended())
                race.abandon();
        }
    };

    /// What makes the sessions with this target.
    session_maker maker_for(target_type const& target) const
    {
        if constexpr (session_maker::shakes_hands)
            return maker.expecting(target);
        else
            return maker;
    }

    /// Let the winner of the race send what comes first, and shake hands, in a protocol that does. Completes with the
    /// reason of a failure.
    static awaitable<error_code> open(self core, std::shared_ptr<race_type> race);

    /// The attempts; the one that has won has failed for this reason.
    static std::vector<connect_attempt<transport>> reports_with(race_type const& race, error_code const& why);

    static void start(self const& core, race_type& race, target_type const& target);
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/connect/connect_core.ipp>

#endif
