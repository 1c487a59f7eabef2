// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_LISTENER_HPP
#define DUET_DETAIL_ACCEPT_LISTENER_HPP

#include <boost/system/error_code.hpp>

#include <cstdint>
#include <string>

#include <duet/acceptor_options.hpp>

#include <sys/socket.h>
#include <sys/types.h>

namespace duet {
inline namespace v0 {
namespace detail {

/// What an error of accept means for the listener.
enum class accept_error_class
{
    would_block,  ///< the queue is empty
    connection,   ///< this one connection is broken: take the next
    resource,     ///< the system has nothing left: wait, then try again. A loop without a pause fails millions of times
    fatal,        ///< the listener itself is of no use
};

DUET_DECL accept_error_class classify_accept_error(boost::system::error_code const& error) noexcept;

/// accept, with CLOEXEC and NONBLOCK, the peer's address with it: a connection that was reset in the queue is accepted
/// all the same, and could not be asked later. The descriptor, or -1 and `error`.
DUET_DECL int accept_connection(
    int listener, ::sockaddr* address, ::socklen_t* size, boost::system::error_code& error) noexcept;

/// Let no new handshake begin, while those that have begun complete: the last step before the queue is emptied and the
/// listener closed, since closing it resets whatever it still holds. No privilege is needed. Linux and TCP only;
/// elsewhere nothing happens.
DUET_DECL void refuse_new_handshakes(int listener) noexcept;

/// Whether others may listen on the same endpoint (SO_REUSEPORT).
DUET_DECL bool has_reuse_port(int listener) noexcept;

/// Of the listeners on one endpoint, let this one take the connections whose packets `cpu` handles. Where the system
/// has no such thing (Linux before 6.2, others), they are spread as ever.
DUET_DECL void take_connections_of(int listener, int cpu) noexcept;

/// Whether `descriptor` is a listening stream socket of this family. Sets `error` if not.
DUET_DECL void check_listening(int descriptor, int family, boost::system::error_code& error) noexcept;

/// Remove a Unix-domain socket file that nobody listens on any more.
DUET_DECL bool remove_stale_socket_file(char const* path) noexcept;

/// A Unix-domain socket's file, and which one: another may take its place at the same path.
struct socket_file
{
    std::string path{};  ///< empty: none
    ::dev_t device{};
    ::ino_t inode{};
};

DUET_DECL socket_file socket_file_at(std::string const& path);

/// Unless another has taken its place.
DUET_DECL void remove_socket_file(socket_file const& file) noexcept;

DUET_DECL std::uint64_t listen_overflows() noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/accept/listener.ipp>
#endif

#endif
