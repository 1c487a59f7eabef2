// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_SOCKET_HPP
#define DUET_DETAIL_CONNECT_CONNECT_SOCKET_HPP

#include <boost/system/error_code.hpp>

#include <duet/detail/config.hpp>

#include <sys/socket.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Open a non-blocking stream socket that no child process inherits; Asio's own open() does not set CLOEXEC. Returns
/// the descriptor, or -1 and sets `error`.
DUET_DECL int open_stream_socket(int family, int protocol, boost::system::error_code& error) noexcept;

/// connect(2) for a Unix-domain socket, which is never "in progress": it succeeds, fails, or the listener's queue is
/// full (would_block). Asio's async_connect takes a full queue for progress and then reports success, although nothing
/// is connected.
DUET_DECL void connect_without_waiting(
    int descriptor, ::sockaddr const* address, ::socklen_t size, boost::system::error_code& error) noexcept;

/// EADDRNOTAVAIL has two meanings: all local ports are in use, or this host has no address that can reach the peer
/// (IPv6 is off). Only the first becomes errc::no_local_port. Other errors are returned unchanged.
DUET_DECL boost::system::error_code name_connect_error(
    boost::system::error_code const& error, ::sockaddr const* address, ::socklen_t size) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/connect/connect_socket.ipp>
#endif

#endif
