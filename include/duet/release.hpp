// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RELEASE_HPP
#define DUET_RELEASE_HPP

#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Take the connected socket out of a session, for code that goes on without duet. The session is empty afterwards, and
/// the connection is neither closed nor reset: it is the socket's. For the bare descriptor, call its `release()`.
///
/// ```cpp
/// asio::ip::tcp::socket socket = duet::release(std::move(peer));
/// ```
///
/// A session buffers nothing: every byte that no read has returned is still in the socket, and every write that has
/// completed is with the kernel. Operations under way end with errc::closed, as in the session's destruction; a read
/// that has bytes already completes with them. A write may have been sent in part, so let writes complete before. A FIN
/// that was sent stays sent.
///
/// The socket is on the session's executor, is non-blocking, and keeps its options, those of dead_peer among them. The
/// session's deadlines end. A server counts the session as dropped, and still waits for its handler: max_sessions and
/// drains no longer concern the socket, so it must be closed before the server's contexts are destroyed, or be given to
/// another context by its descriptor.
///
/// Only for Asio's stream sockets. Throws session_error: closed, if the session is empty or its connection has ended;
/// the system's error, if Asio cannot take the socket, and the connection is then closed. Call it on the session's
/// executor.
template <detail::releasable_stream Stream>
Stream release(basic_session<Stream>&& from)
{
    return detail::session_access::release(from);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
