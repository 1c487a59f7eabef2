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

#include <duet/detail/resolve/address_text.hpp>
#include <duet/detail/resolve/resolve_lookup.hpp>

namespace duet {
inline namespace v0 {

/// What a connector requires of its resolver: `resolve(host, service)` completes with the endpoints in order of
/// preference, or throws. It is called on the connector's executor. If several connects are under way, it is called
/// again before earlier calls have ended.
///
/// A connector cancels it (terminal) when the connect has ended otherwise, and does not wait for it: a later result is
/// ignored.
template <class T, class Protocol, class Executor>
concept resolver_for = requires(T& r, std::string text)
{
    {
        r.resolve(text, text)
        } -> std::same_as<boost::asio::awaitable<std::vector<typename Protocol::endpoint>, Executor>>;
};

/// The system's look-up, getaddrinfo: /etc/hosts, DNS and other configured sources, sorted as in RFC 6724.
///
/// Numeric addresses and ports need no look-up. For other names it starts a detached thread. If nobody waits for that
/// thread any more, because of a cancellation, a deadline or the end of the io_context, it ends by itself when
/// getaddrinfo returns, and accesses nothing. In contrast, Asio's own resolver runs all look-ups in one thread, and
/// waits for it when the io_context is destroyed.
///
/// Distinct objects: safe. Shared objects: unsafe.
template <class Executor = boost::asio::any_io_executor>
class basic_system_resolver
{
public:
    using endpoint_type = boost::asio::ip::tcp::endpoint;
    using lookup_function = detail::blocking_lookup;

    basic_system_resolver() : lookup_{&detail::look_up_by_system} {}

    /// Call `lookup` instead of getaddrinfo: a function that blocks until it returns the endpoints or throws. It is
    /// called on its own threads and may outlive this object and the io_context, so it must not refer to anything that
    /// it could outlive.
    explicit basic_system_resolver(lookup_function lookup) : lookup_{std::move(lookup)} {}

    /// Completes with every endpoint of the name, on the executor of the coroutine that awaits it. An empty host means
    /// this host's loopback address; an IPv6 address may have brackets, "[::1]". A service is a port in decimal digits,
    /// at most 65535, or a name with a letter in it. The wait counts as work for the io_context.
    ///
    /// Errors (system_error): those of the look-up, such as asio::error::host_not_found and host_not_found_try_again;
    /// errors of the system; cancelled. Without a look-up: service_not_found for a service that is neither a port nor a
    /// name ("65536", " 80", "+80", "-1", ""), host_not_found for other brackets ("[::1", "[example.org]"),
    /// invalid_argument for a null byte, which getaddrinfo would take for the end. Cancellation of any type: completes
    /// at once, and the thread ends by itself.
    boost::asio::awaitable<std::vector<endpoint_type>, Executor> resolve(std::string host, std::string service)
    {
        return resolve(lookup_, std::move(host), std::move(service));
    }

private:
    static boost::asio::awaitable<std::vector<endpoint_type>, Executor> resolve(
        lookup_function lookup, std::string host, std::string service)
    {
        auto const numeric = detail::check_name(host, service);
        if (numeric)
            co_return std::vector<endpoint_type>(1, *numeric);
        auto found = co_await detail::lookup<Executor>::run(std::move(lookup), std::move(host), std::move(service));
        co_return found;
    }

    lookup_function lookup_;
};

using system_resolver = basic_system_resolver<>;

/// The resolver of a protocol without names.
struct no_resolver
{
};

}  // namespace v0
}  // namespace duet

#endif
