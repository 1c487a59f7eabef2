// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_PROXY_PROTOCOL_HPP
#define DUET_PROXY_PROTOCOL_HPP

#include <boost/asio/awaitable.hpp>

#include <string>

#include <duet/detail/engine/proxy_reading.hpp>
#include <duet/proxy_header.hpp>
#include <duet/proxy_options.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {

// The PROXY protocol, by which a proxy tells a server who the client is: versions 1 and 2. A server does it for all of
// its sessions with server_options::proxy_protocol; these functions are for whoever accepts sessions, or connects.

/// Read the header that a trusted peer has to send before anything else, to its last byte and not a byte further.
/// Afterwards session::remote_endpoint() is the client's, local_endpoint() what the client has connected to, errors and
/// session_end name the client, and session::proxied() has the header, with its TLVs, and the proxy. LOCAL, UNKNOWN and
/// AF_UNSPEC leave the endpoints, and so does a header with ends of another kind than the session's (as a Unix-domain
/// session's client of TCP, which is in session::proxied()).
///
/// Completes at once if the peer is not trusted and options.strangers is proxy_strangers::serve. A stream whose
/// endpoints are neither of TCP nor of Unix-domain sockets, as a memory_stream, has no address to be trusted by: its
/// peer has to be trusted by whoever calls this. Call it before any other read; `options` must stay valid until it
/// completes.
///
/// ```cpp
/// duet::session peer = co_await acceptor.accept();
/// asio::co_spawn(executor, serve(std::move(peer), options), asio::detached);
/// ...
/// // In serve(), so that a peer that says nothing stops nobody:
/// co_await duet::accept_proxy_header(peer, options);
/// ```
///
/// Errors (session_error): those of proxy_errc; ended, if the peer finishes before the first byte, as a check of the
/// port does, and truncated, if it does so later; draining, if the session was asked to finish and nothing of the
/// header has come; reset, dead_peer, closed, cancelled, the session's deadlines. After any of these but draining and
/// ended the peer's bytes have no known meaning: abort() the session.
/// Cancellation: partial and terminal; what was read of the header is lost.
template <class Stream>
boost::asio::awaitable<void, typename Stream::executor_type> accept_proxy_header(
    basic_session<Stream>& peer, proxy_options const& options)
{
    return detail::accept_proxy_header<typename Stream::executor_type>(
        detail::session_access::connection(peer), options);
}

/// The header that tells of a session: its client is the source. If the session itself has come through a proxy, that
/// is the client that the proxy has named. TLVs are not passed on.
template <class Stream>
proxy_header proxy_header_of(basic_session_state<Stream> const& client, proxy_version version = proxy_version::v2)
{
    proxy_header result;
    result.version = version;
    if (auto const* const through = client.proxied(); through && through->header.ends)
        result.ends = through->header.ends;
    else
        result.ends = proxy_ends{client.remote_endpoint(), client.local_endpoint()};
    return result;
}

/// Send a header, before anything else is written. It is a write like any other: see session::write(). To send it in
/// one segment with the first bytes, write encode(header) and these as one sequence of buffers.
///
/// ```cpp
/// duet::proxy_header const header = duet::proxy_header_of(client);
/// co_await duet::send_proxy_header(backend, header);
/// ```
///
/// To a server that speaks TLS it has to be sent before the handshake: see basic_connector::send_first().
///
/// Errors: as session::write(), and proxy_errc::too_large. Cancellation: as session::write().
template <class Stream>
boost::asio::awaitable<void, typename Stream::executor_type> send_proxy_header(
    basic_session<Stream>& to, proxy_header const& header)
{
    return detail::send_text(to, encode(header));
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
