// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CONNECTOR_HPP
#define DUET_CONNECTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/connect_error.hpp>
#include <duet/connector_options.hpp>
#include <duet/detail/connect/connect_core.hpp>
#include <duet/resolver.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace v0 {

/// A way to reach a peer: resolves its name, tries its addresses as RFC 8305 has it (Happy Eyeballs), and yields a
/// session.
///
/// The resolver's order is kept, but IPv6 and IPv4 take turns. When an attempt has not come to an end after
/// connector_options::attempt_delay, the next one joins it; when it fails, at once. The first that connects wins, and
/// the others are closed with nothing sent.
///
/// ```cpp
/// duet::connector connector{executor, {.timeout = 5s}};
/// duet::session peer = co_await connector.connect("localhost", "7777");
/// ```
///
/// **Errors.** connect throws basic_connect_error, with the error of every attempt, and what() that names them all. By
/// duet::condition: timed_out (errc::connect_timed_out, errc::resolve_timed_out), cancelled, exhausted
/// (errc::no_local_port, or no descriptor is left); else what the resolver or the system said, as
/// asio::error::connection_refused; errc::no_address; errc::self_connect, when a port of this host is connected to
/// where nobody listens, and the kernel kept joining the socket to itself. An exception of another kind that the
/// resolver throws comes through.
///
/// **Cancellation.** Of any type, in any phase: connect completes at once as cancelled and leaves no descriptor and no
/// work behind. A look-up that is running ends by itself, see basic_system_resolver.
///
/// Several connects may be under way at once, and the connector may be moved or destroyed meanwhile: they go on.
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor, which must be the awaiting coroutine's too.
template <class Protocol, class Executor = boost::asio::any_io_executor,
    class Resolver = std::conditional_t<std::is_same_v<Protocol, boost::asio::ip::tcp>, basic_system_resolver<Executor>,
        no_resolver>>
class basic_connector
{
    using core_type = detail::connect_core<Protocol, Executor, Resolver>;

    static_assert(std::is_same_v<Resolver, no_resolver> || resolver_for<Resolver, Protocol, Executor>,
        "resolve(host, service) must return awaitable<vector<endpoint>>: see duet::resolver_for");

public:
    using protocol_type = Protocol;
    using executor_type = Executor;
    using resolver_type = Resolver;
    using endpoint_type = typename Protocol::endpoint;
    using session_type = typename core_type::session_type;
    using error_type = basic_connect_error<Protocol>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    explicit basic_connector(
        executor_type const& executor, connector_options const& options = {}, Resolver resolver = {})
        : core_{std::make_shared<core_type>(executor, options, std::move(resolver))}
    {
    }

    template <class Context>
        requires(std::is_convertible_v<Context&, boost::asio::execution_context&>)
    explicit basic_connector(Context& context, connector_options const& options = {}, Resolver resolver = {})
        : basic_connector{executor_type{context.get_executor()}, options, std::move(resolver)}
    {
    }

    basic_connector(basic_connector&&) noexcept = default;
    basic_connector& operator=(basic_connector&&) noexcept = default;

    /// Resolve `host` and `service` (a port's number or name) and connect to the first address that takes it. Completes
    /// with the session, which has connector_options::session.
    ///
    /// Errors and cancellation: see the class.
    awaitable<session_type> connect(std::string host, std::string service) requires(core_type::has_resolver)
    {
        return core_type::connect(core_, {std::move(host), std::move(service)}, once);
    }

    /// The same, and try again for as long as it fails: `retry` says how long to wait between the tries and when to
    /// give up. Each try resolves anew, and has connector_options::timeout to itself.
    ///
    /// Errors: those of the last try; cancelled. Cancellation of any type, at any moment; the error then has the
    /// attempts of the last try.
    awaitable<session_type> connect(std::string host, std::string service, retry_options retry) requires(
        core_type::has_resolver)
    {
        return core_type::connect(core_, {std::move(host), std::move(service)}, retry);
    }

    /// Connect to `endpoint`: an address and port, or a Unix-domain path. A Unix-domain listener whose queue is full is
    /// asked again until there is room.
    awaitable<session_type> connect(endpoint_type endpoint)
    {
        return core_type::connect(core_, typename core_type::target_type{endpoint}, once);
    }

    awaitable<session_type> connect(endpoint_type endpoint, retry_options retry)
    {
        return core_type::connect(core_, typename core_type::target_type{endpoint}, retry);
    }

    /// Call `hook` on the executor when a try failed and another will follow; an empty one takes it back. What it
    /// throws ends the connect.
    void on_retry(std::function<void(connect_retry const&)> hook) { core_->on_retry = std::move(hook); }

    connector_options const& options() const noexcept { return core_->options; }

    executor_type get_executor() const noexcept { return core_->executor; }

private:
    static constexpr retry_options once{.max_tries = 1};

    std::shared_ptr<core_type> core_;
};

using connector = basic_connector<boost::asio::ip::tcp>;
using unix_connector = basic_connector<boost::asio::local::stream_protocol>;

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
extern template class connect_core<boost::asio::ip::tcp, boost::asio::any_io_executor, system_resolver>;
extern template class connect_core<boost::asio::local::stream_protocol, boost::asio::any_io_executor, no_resolver>;
}  // namespace detail
#endif

}  // namespace v0
}  // namespace duet

#endif
