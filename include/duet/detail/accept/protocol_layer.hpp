// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_PROTOCOL_LAYER_HPP
#define DUET_DETAIL_ACCEPT_PROTOCOL_LAYER_HPP

#include <boost/asio/basic_stream_socket.hpp>

#include <utility>

#include <duet/session.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Makes plain sessions of connected sockets.
template <class Protocol, class Executor>
struct plain_sessions
{
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using session_type = basic_session<stream_type>;
    using endpoint_type = typename Protocol::endpoint;

    static constexpr bool shakes_hands = false;

    static constexpr bool tells_why(session_type const&) noexcept { return false; }

    /// Of an accepted descriptor, which is the session's unless this throws.
    session_type accepted(Executor const& executor, int descriptor, endpoint_type const& local,
        endpoint_type const& remote, session_options const& options) const
    {
        return session_access::begin<session_type>(executor, descriptor, local, remote, options);
    }

    /// Of an accepted socket whose executor is not the acceptor's.
    session_type accepted(stream_type stream, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options) const
    {
        return session_access::adopt<session_type>(std::move(stream), local, remote, options);
    }

    /// Of a socket that has connected in the reactor: a connecting_socket.
    template <class Connecting>
    session_type connected(Executor const& executor, Connecting& from, endpoint_type const& local,
        endpoint_type const& remote, session_options const& options) const
    {
        return session_access::begin_connected<session_type>(executor, from, local, remote, options);
    }

    /// Of a socket of Asio's that has connected.
    session_type connected(stream_type stream, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options) const
    {
        return session_access::begin<session_type>(std::move(stream), local, remote, options);
    }
};

/// What a protocol stands on, and what makes its sessions. Specialised for protocols on top of another: duet::over_tls.
template <class Protocol>
struct protocol_layer
{
    using transport = Protocol;

    template <class Executor>
    using sessions = plain_sessions<Protocol, Executor>;
};

/// A server's handler, with what makes the sessions for it.
template <class Maker, class Handler>
struct handler_of_layer
{
    Maker sessions;
    Handler handler;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
