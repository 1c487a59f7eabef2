// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RESOLVER_HPP
#define DUET_RESOLVER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <duet/detail/resolve/address_text.hpp>
#include <duet/detail/resolve/lookup_queue.hpp>
#include <duet/detail/resolve/resolve_lookup.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

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
/// Numeric addresses and ports need no look-up. Other names are looked up on detached threads, at most
/// `maximum_threads` in the process, for all resolvers. Further look-ups wait in a queue, and leave it when they are
/// cancelled or a deadline of the connector passes. Equal ones (host, service, and the resolver or a copy of it) that
/// are under way at the same time share one. A look-up that is running cannot be interrupted. If nobody waits for it
/// any more, because of a cancellation, a deadline or the end of the io_context, it ends by itself when getaddrinfo
/// returns, and accesses nothing. In contrast, Asio's own resolver runs all look-ups in one thread, and waits for it
/// when the io_context is destroyed.
///
/// So while name servers do not answer (glibc gives up after 10 to 30 seconds), other names may wait as long: set
/// connector_options::resolve_timeout. The queue is bounded, see set_max_queued_lookups(): when it is full, a look-up
/// of yet another name fails at once. In a child that fork() has made, look-ups of the parent never complete.
///
/// Distinct objects: safe. Shared objects: unsafe.
template <class Executor = boost::asio::any_io_executor>
class basic_system_resolver
{
public:
    using endpoint_type = boost::asio::ip::tcp::endpoint;
    using lookup_function = detail::blocking_lookup;

    /// How many look-ups of this process run at once.
    static constexpr std::size_t maximum_threads = detail::lookup_queue::maximum_threads;

    basic_system_resolver() : source_{detail::system_lookup()} {}

    /// Call `lookup` instead of getaddrinfo: a function that blocks until it returns the endpoints or throws. It is
    /// called on the threads of all look-ups, several times at once, and may outlive this object and the io_context, so
    /// it must not refer to anything that it could outlive.
    explicit basic_system_resolver(lookup_function lookup)
        : source_{std::make_shared<lookup_function const>(std::move(lookup))}
    {
    }

    /// Completes with every endpoint of the name, on the executor of the coroutine that awaits it. An empty host means
    /// this host's loopback address; an IPv6 address may have brackets, "[::1]". A service is a port in decimal digits,
    /// at most 65535, or a name with a letter in it. The wait counts as work for the io_context.
    ///
    /// Errors (session_error, which names the host and the service): those of the look-up, such as
    /// asio::error::host_not_found and host_not_found_try_again; errc::too_many_lookups, if the queue is full; errors
    /// of the system, such as EAGAIN if it has no thread to give and none is running; cancelled. Without a look-up:
    /// service_not_found for a service that is neither a port nor a name ("65536", " 80", "+80", "-1", ""),
    /// host_not_found for other brackets ("[::1", "[example.org]"), invalid_argument for a null byte, which getaddrinfo
    /// would take for the end. Cancellation of any type: completes at once, and the thread ends by itself.
    boost::asio::awaitable<std::vector<endpoint_type>, Executor> resolve(std::string host, std::string service)
    {
        return resolve(source_, std::move(host), std::move(service));
    }

    /// The look-ups of this process that have not ended, of all resolvers. Thread-safe.
    static lookup_counts lookups() { return detail::lookup_queue::get().counts(); }

    /// How many different look-ups of this process, of all resolvers, may wait while `maximum_threads` others run:
    /// 1,024 at first. 0: none waits. Those that wait already stay if it is less. Thread-safe.
    static void set_max_queued_lookups(std::size_t most) { detail::lookup_queue::get().set_max_queued(most); }
    static std::size_t max_queued_lookups() { return detail::lookup_queue::get().max_queued(); }

private:
    static boost::asio::awaitable<std::vector<endpoint_type>, Executor> resolve(
        detail::lookup_source source, std::string host, std::string service)
    {
        auto const name = detail::text_of_name(host, service);
        try
        {
            auto const numeric = detail::check_name(host, service);
            if (numeric)
                co_return std::vector<endpoint_type>(1, *numeric);
            auto found = co_await detail::lookup<Executor>::run(std::move(source), std::move(host), std::move(service));
            co_return found;
        }
        catch (system_error const& error)
        {
            throw session_error{error.code(), "resolve", name, 0};
        }
    }

    detail::lookup_source source_;
};

using system_resolver = basic_system_resolver<>;

/// The resolver of a protocol without names.
struct no_resolver
{
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
