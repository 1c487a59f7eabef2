// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_CONNECTOR_HPP
#define DUET_TLS_CONNECTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <string>
#include <type_traits>
#include <utility>

#include <duet/connector.hpp>
#include <duet/connector_options.hpp>
#include <duet/kept_connection.hpp>
#include <duet/over_tls.hpp>
#include <duet/tls_context.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A connector whose sessions speak TLS: a basic_connector with one more argument, and all that is said there holds.
/// The first address that connects wins, then it shakes hands; connect() completes when the server's certificate was
/// verified for the host that was asked for.
///
/// ```cpp
/// duet::tls_connector connector{executor, duet::tls_context::client(), {.timeout = 5s}};
/// duet::tls_session peer = co_await connector.connect("example.com", "443");
/// ```
///
/// **Whom it expects.** connect("example.com", "443") asks for that name (SNI), and the certificate has to be for it.
/// connect(endpoint) expects a certificate for the address; at a Unix-domain path there is none, so that
/// tls_errc::no_name is the answer unless a name is set or the context does not verify.
///
/// **Time.** connector_options::timeout is for the connection below; the handshake has
/// tls_client_options::handshake_timeout.
///
/// **Errors** are those of basic_connector, and those of handshake(), as in "connect example.com:443: 192.0.2.1:443:
/// certificate has expired". No other address is tried then. connect() with retries tries again after those, too: give
/// up by on_retry(), whose hook may throw, if code() is a tls_condition::certificate.
///
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor, which must be the awaiting coroutine's too.
template <class Protocol, class Executor = boost::asio::any_io_executor,
    class Resolver = std::conditional_t<std::is_same_v<Protocol, boost::asio::ip::tcp>, basic_system_resolver<Executor>,
        no_resolver>>
class basic_tls_connector : public basic_connector<over_tls<Protocol>, Executor, Resolver>
{
    using base = basic_connector<over_tls<Protocol>, Executor, Resolver>;

public:
    /// `name`: whom to expect, whatever the target is called; empty: the target. Throws session_error
    /// (invalid_argument) if `tls` is not a client's context.
    basic_tls_connector(Executor const& executor, tls_context tls, connector_options const& options = {},
        std::string name = {}, Resolver resolver = {})
        : base{executor, options, checked(std::move(tls), std::move(name)), std::move(resolver)}
    {
    }

    template <class Context>
        requires(std::is_convertible_v<Context&, boost::asio::execution_context&>)
    basic_tls_connector(Context& context, tls_context tls, connector_options const& options = {}, std::string name = {},
        Resolver resolver = {})
        : basic_tls_connector{
              Executor{context.get_executor()}, std::move(tls), options, std::move(name), std::move(resolver)}
    {
    }

private:
    static detail::tls_sessions<Protocol, Executor> checked(tls_context tls, std::string name)
    {
        if (!tls.is_client())
            throw session_error{boost::asio::error::invalid_argument, "connect", "a tls_context for servers", 0};
        return detail::tls_sessions<Protocol, Executor>{std::move(tls), std::move(name)};
    }
};

using tls_connector = basic_tls_connector<boost::asio::ip::tcp>;
using unix_tls_connector = basic_tls_connector<boost::asio::local::stream_protocol>;
using tls_kept_connection = basic_kept_connection<tls_connector>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
