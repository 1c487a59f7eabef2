// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RESOLVER_HPP
#define DUET_RESOLVER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <concepts>
#include <string>
#include <utility>
#include <vector>

#include <duet/detail/resolve/resolve_lookup.hpp>

namespace duet {
inline namespace v0 {

/// What a connector asks for addresses: `resolve(host, service)` completes with the endpoints in the order of
/// preference, or throws. It is called on the connector's executor, and again before an earlier call has ended if the
/// connector is used so.
///
/// A connector cancels it (terminal) when its own time is over, and does not wait for that: what a resolver completes
/// with later is dropped.
template <class T, class Protocol, class Executor>
concept resolver_for = requires(T& r, std::string text)
{
    {
        r.resolve(text, text)
        } -> std::same_as<boost::asio::awaitable<std::vector<typename Protocol::endpoint>, Executor>>;
};

/// The system's look-up, getaddrinfo: /etc/hosts, DNS and what else is configured, sorted as RFC 6724 has it.
///
/// Addresses and ports given as numbers are taken as they are. For the rest a thread is started, and detached: when
/// nobody waits for it any more, because of a cancellation, a deadline or the end of the io_context, it ends by itself
/// when getaddrinfo returns, and touches nothing. Asio's own resolver would run all look-ups in one thread, and wait
/// for it when the io_context is destroyed.
///
/// Distinct objects: safe. Shared objects: unsafe.
template <class Executor = boost::asio::any_io_executor>
class basic_system_resolver
{
public:
    using endpoint_type = boost::asio::ip::tcp::endpoint;
    using lookup_function = detail::blocking_lookup;

    basic_system_resolver() : lookup_{&detail::look_up_by_system} {}

    /// Call `lookup` in place of getaddrinfo: a function that blocks until it returns the endpoints or throws. It is
    /// called in threads of its own, may outlive everything here, and must not refer to what it could outlive.
    explicit basic_system_resolver(lookup_function lookup) : lookup_{std::move(lookup)} {}

    /// Completes with every endpoint of the name, on the executor of the coroutine that awaits it. An empty host is
    /// this one's loopback. The wait is work for the io_context.
    ///
    /// Errors (system_error): those of the look-up, as asio::error::host_not_found and host_not_found_try_again; the
    /// system's own; cancelled. Cancellation of any type: completes at once, the thread is left to itself.
    boost::asio::awaitable<std::vector<endpoint_type>, Executor> resolve(std::string host, std::string service)
    {
        return resolve(lookup_, std::move(host), std::move(service));
    }

private:
    static boost::asio::awaitable<std::vector<endpoint_type>, Executor> resolve(
        lookup_function lookup, std::string host, std::string service)
    {
        auto const numeric = detail::numeric_endpoint(host, service);
        if (numeric)
            co_return std::vector<endpoint_type>(1, *numeric);
        auto found = co_await detail::lookup<Executor>::run(std::move(lookup), std::move(host), std::move(service));
        co_return found;
    }

    lookup_function lookup_;
};

using system_resolver = basic_system_resolver<>;

/// The resolver of a protocol that has no names.
struct no_resolver
{
};

}  // namespace v0
}  // namespace duet

#endif
