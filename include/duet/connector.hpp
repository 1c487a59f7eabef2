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
#include <duet/detail/completion/coroutine_call.hpp>
#include <duet/detail/connect/connect_core.hpp>
#include <duet/resolver.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {
struct connector_access;
}

/// Connects to a peer: resolves its name, tries its addresses as in RFC 8305 (Happy Eyeballs), and returns a session.
///
/// Addresses are tried in the resolver's order, but IPv6 and IPv4 alternate. The next attempt begins when the previous
/// one has failed, or has not ended after connector_options::attempt_delay; both then run at once. The first attempt
/// that connects wins; the others are closed without sending data.
///
/// ```cpp
/// duet::connector connector{executor, {.timeout = 5s}};
/// duet::session peer = co_await connector.connect("localhost", "7777");
/// ```
///
/// **Errors.** connect throws basic_connect_error, which has the error of every attempt; what() names them all. By
/// duet::condition: timed_out (errc::connect_timed_out, errc::resolve_timed_out), cancelled, exhausted
/// (errc::no_local_port, or no descriptor is left). Otherwise the error of the resolver or the system, such as
/// asio::error::connection_refused; errc::no_address; errc::self_connect, if the target is a port of this host where
/// nobody listens, and the kernel repeatedly connected the socket to itself. Other exceptions of the resolver are
/// passed on.
///
/// connect() also accepts a completion token, `connector.connect("localhost", "7777")(handler)`. Its signature is
/// void(error_code, session_type). Tokens that throw (asio::deferred, use_awaitable, use_future) get the exception, all
/// others the code of the error alone; std::bad_alloc is asio::error::no_memory then, and what is no system_error is
/// asio::error::fault. The handler is not called from within its initiating function.
///
/// **Cancellation.** Of any type, in any phase: connect completes at once as cancelled and leaves no descriptor and no
/// pending work. A look-up that is running ends by itself, see basic_system_resolver.
///
/// Several connects may be under way at once. The connector may be moved or destroyed meanwhile: they go on.
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor, which must be the awaiting coroutine's too.
template <class Protocol, class Executor = boost::asio::any_io_executor,
    class Resolver = std::conditional_t<std::is_same_v<Protocol, boost::asio::ip::tcp>, basic_system_resolver<Executor>,
        no_resolver>>
class basic_connector
{
    using core_type = detail::connect_core<Protocol, Executor, Resolver>;

    static_assert(
        std::is_same_v<Resolver, no_resolver> || resolver_for<Resolver, typename core_type::transport, Executor>,
        "resolve(host, service) must return awaitable<vector<endpoint>>: see duet::resolver_for");

public:
    using protocol_type = Protocol;
    using executor_type = Executor;
    using resolver_type = Resolver;
    using endpoint_type = typename Protocol::endpoint;
    using session_type = typename core_type::session_type;
    using error_type = typename core_type::error_type;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// What connect() returns: an awaitable of session_type that is also called with a completion token.
    using connect_call = detail::coroutine_call<awaitable<session_type>, core_type>;

    explicit basic_connector(
        executor_type const& executor, connector_options const& options = {}, Resolver resolver = {})
        : core_{
              std::make_shared<core_type>(executor, options, typename core_type::session_maker{}, std::move(resolver))}
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

    /// Resolve `host` and `service` (a port number or a service name) and connect to the first address that accepts.
    /// Completes with the session, whose options are connector_options::session. A null byte in either is refused with
    /// invalid_argument, before any resolver; for the rest see basic_system_resolver::resolve().
    ///
    /// Errors and cancellation: see the class.
    connect_call connect(std::string host, std::string service) requires(core_type::has_resolver)
    {
        return begin({std::move(host), std::move(service)}, once);
    }

    /// As above, but retry as long as it fails. `retry` sets the delays between the tries and when to give up. Each try
    /// resolves the name again, and connector_options::timeout applies to each try. The delays begin anew with each
    /// call, so a loop that connects again whenever it is dropped does so without any: see basic_kept_connection.
    ///
    /// Errors: those of the last try; cancelled. Cancellation of any type, at any time; the error then has the attempts
    /// of the last try.
    connect_call connect(std::string host, std::string service, retry_options retry) requires(core_type::has_resolver)
    {
        return begin({std::move(host), std::move(service)}, retry);
    }

    /// Connect to `endpoint`: an address and port, or a Unix-domain path. If the queue of a Unix-domain listener is
    /// full, it tries again until there is room.
    connect_call connect(endpoint_type endpoint) { return begin(target_type{endpoint}, once); }

    connect_call connect(endpoint_type endpoint, retry_options retry) { return begin(target_type{endpoint}, retry); }

    /// Call `hook` on the executor when a try has failed and another one will follow. An empty function removes the
    /// hook. An exception from the hook ends the connect.
    void on_retry(std::function<void(connect_retry const&)> hook) { core_->on_retry = std::move(hook); }

    /// Send these bytes on each connection before everything else, also before the handshake of TLS, with which they go
    /// out: the header of the PROXY protocol, for a server that accepts it. It concerns connects that are called later
    /// and those under way that have not connected yet. Nothing is sent for an empty string.
    ///
    /// ```cpp
    /// duet::connector connector{executor};
    /// connector.send_first(encode(duet::proxy_header_of(client)));
    /// duet::session backend = co_await connector.connect("backend.example", "443");
    /// ```
    ///
    /// connect() completes when the kernel has accepted them, within connector_options::timeout of their own; for TLS,
    /// when the handshake has ended. It fails as a session::write() of them.
    void send_first(std::string bytes) { core_->first = std::move(bytes); }

    connector_options const& options() const noexcept { return core_->options; }

    executor_type get_executor() const noexcept { return core_->get_executor(); }

protected:
    /// For protocols on top of another.
    basic_connector(executor_type const& executor, connector_options const& options,
        typename core_type::session_maker maker, Resolver resolver)
        : core_{std::make_shared<core_type>(executor, options, std::move(maker), std::move(resolver))}
    {
    }

private:
    friend detail::connector_access;

    using target_type = typename core_type::target_type;

    static constexpr retry_options once{.max_tries = 1};

    connect_call begin(target_type target, retry_options const& retry)
    {
        return {core_type::connect(core_, std::move(target), retry), *core_};
    }

    std::shared_ptr<core_type> core_;
};

namespace detail {

/// Access to a connector's internals for duet::trace.
struct connector_access
{
    template <class Connector>
    static void watch(Connector& connector, std::shared_ptr<session_watcher> watcher) noexcept
    {
        connector.core_->watcher = std::move(watcher);
    }
};

}  // namespace detail

using connector = basic_connector<boost::asio::ip::tcp>;
using unix_connector = basic_connector<boost::asio::local::stream_protocol>;

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
extern template class connect_core<boost::asio::ip::tcp, boost::asio::any_io_executor, system_resolver>;
extern template class connect_core<boost::asio::local::stream_protocol, boost::asio::any_io_executor, no_resolver>;
}  // namespace detail
#endif

}  // namespace DUET_ABI
}  // namespace duet

#endif
