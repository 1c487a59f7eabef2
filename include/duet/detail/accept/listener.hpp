// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_LISTENER_HPP
#define DUET_DETAIL_ACCEPT_LISTENER_HPP

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>

#include <duet/acceptor_options.hpp>
#include <duet/tcp_info.hpp>

#include <sys/socket.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What an error of accept means for the listener.
enum class accept_error_class
{
    would_block,  ///< the queue is empty
    connection,   ///< only this connection is broken: take the next one
    resource,     ///< no resources left: try again after a pause; a loop without one fails millions of times
    fatal,        ///< the listener itself has failed
};

DUET_DECL accept_error_class classify_accept_error(boost::system::error_code const& error) noexcept;

/// accept(2) with CLOEXEC and NONBLOCK. It also returns the peer's address: a connection that was reset in the queue is
/// still accepted, but getpeername(2) would fail later. Returns the descriptor, or -1 and sets `error`.
DUET_DECL int accept_connection(
    int listener, ::sockaddr* address, ::socklen_t* size, boost::system::error_code& error) noexcept;

/// Drop new SYNs, while handshakes that have begun complete. This is the last step before the queue is emptied and the
/// listener closed, because closing the listener resets the connections in its queue. Needs no privilege. Linux and TCP
/// only; elsewhere this does nothing. The filter belongs to the socket, so it applies to every process that holds it.
DUET_DECL void refuse_new_handshakes(int listener) noexcept;

/// Take that filter off.
DUET_DECL void admit_new_handshakes(int listener) noexcept;

/// The most connections that the queue of a listener with this backlog holds. 0: the backlog is not known.
DUET_DECL std::size_t longest_queue(int backlog) noexcept;

/// Let other sockets of this user listen on the same endpoint. Linux allows this also for a socket that listens.
DUET_DECL void allow_reuse_port(int listener, boost::system::error_code& error) noexcept;

/// True if other sockets may listen on the same endpoint (SO_REUSEPORT).
DUET_DECL bool has_reuse_port(int listener) noexcept;

/// Of several listeners on one endpoint, let this one take the connections whose packets `cpu` handles. On systems that
/// do not support it (Linux before 6.2, others), the connections are spread as before.
DUET_DECL void take_connections_of(int listener, int cpu) noexcept;

/// Check that `descriptor` is a listening stream socket of this family. Sets `error` if it is not.
DUET_DECL void check_listening(int descriptor, int family, boost::system::error_code& error) noexcept;

DUET_DECL std::uint64_t listen_overflows() noexcept;

/// The queue of a listener; empty if the descriptor is none. Errors: operation_not_supported.
DUET_DECL listen_queue kernel_queue_of(int descriptor, boost::system::error_code& error) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/accept/listener.ipp>
#endif

#endif
