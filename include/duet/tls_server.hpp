// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_SERVER_HPP
#define DUET_TLS_SERVER_HPP

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <type_traits>
#include <utility>
#include <vector>

#include <duet/over_tls.hpp>
#include <duet/server.hpp>
#include <duet/server_options.hpp>
#include <duet/tls_context.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A server whose sessions speak TLS: a basic_server with one more argument, and all that is said there holds. Its
/// handler gets a tls_session whose handshake has ended well; a handler that is a template serves both:
///
/// ```cpp
/// template <class Session>
/// asio::awaitable<void> echo(Session peer);
/// ...
/// duet::server plain{context, {.port = 7777}, echo<duet::session>};
/// duet::tls_server server{context, {.port = 7778}, tls, echo<duet::tls_session>};
/// return duet::run(context, plain, server);
/// ```
///
/// **The handshake** is a part of the session and runs beside the others: the session counts for max_sessions, and a
/// client that connects and says nothing stops nobody. It ends after tls_server_options::handshake_timeout. When it
/// fails, the client is told why by an alert, the handler is not called, server_counters::handshake_failures counts the
/// session, and server_options::on_session_end gets the reason as `failure`. So does a connection that finishes before
/// its first byte, as a check of the port does. A handshake that has not begun when a drain asks its session to finish
/// is given up; one under way goes on as a message does, until the drain's time is over.
///
/// With server_options::proxy_protocol, the header comes first, in the clear, and then the handshake.
///
/// tls_context::replace() gives later handshakes other certificates, while the server runs.
///
/// Distinct objects: safe. Shared objects: as basic_server.
template <class Protocol>
class basic_tls_server : public basic_server<over_tls<Protocol>>
{
    using base = basic_server<over_tls<Protocol>>;

    static constexpr bool is_tcp = std::is_same_v<Protocol, boost::asio::ip::tcp>;

    template <class Handler>
    using with_tls = detail::handler_of_layer<detail::tls_sessions<Protocol, boost::asio::any_io_executor>, Handler>;

public:
    using typename base::acceptor_type;

    /// Listen on `options.address` and `options.port`, and serve. Each constructor throws as that of basic_server
    /// without `tls`, and session_error (invalid_argument) if `tls` is not a server's context.
    template <class Handler>
        requires(is_tcp)
    basic_tls_server(boost::asio::io_context& context, server_options options, tls_context tls, Handler handler)
        : base{context, std::move(options), join(std::move(tls), std::move(handler))}
    {
    }

    template <detail::strands_place Where, class Handler>
        requires(is_tcp)
    basic_tls_server(Where&& where, server_options options, tls_context tls, Handler handler)
        : base{where, std::move(options), join(std::move(tls), std::move(handler))}
    {
    }

    /// The listener is one of the protocol below.
    template <class Handler>
    basic_tls_server(boost::asio::io_context& context, acceptor_type listening, server_options options, tls_context tls,
        Handler handler)
        : base{context, std::move(listening), std::move(options), join(std::move(tls), std::move(handler))}
    {
    }

    template <detail::strands_place Where, class Handler>
    basic_tls_server(Where&& where, acceptor_type listening, server_options options, tls_context tls, Handler handler)
        : base{where, std::move(listening), std::move(options), join(std::move(tls), std::move(handler))}
    {
    }

    template <class Handler>
    basic_tls_server(boost::asio::io_context& context, std::vector<inherited_descriptor> const& inherited,
        server_options options, tls_context tls, Handler handler)
        : base{context, inherited, std::move(options), join(std::move(tls), std::move(handler))}
    {
    }

    template <detail::strands_place Where, class Handler>
    basic_tls_server(Where&& where, std::vector<inherited_descriptor> const& inherited, server_options options,
        tls_context tls, Handler handler)
        : base{where, inherited, std::move(options), join(std::move(tls), std::move(handler))}
    {
    }

private:
    template <class Handler>
    static with_tls<Handler> join(tls_context tls, Handler handler)
    {
        if (tls.is_client())
            throw session_error{boost::asio::error::invalid_argument, "listen", "a tls_context for clients", 0};
        return {detail::tls_sessions<Protocol, boost::asio::any_io_executor>{std::move(tls)}, std::move(handler)};
    }
};

using tls_server = basic_tls_server<boost::asio::ip::tcp>;
using unix_tls_server = basic_tls_server<boost::asio::local::stream_protocol>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
