// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_NEW_DESCRIPTOR_HPP
#define DUET_DETAIL_SOCKET_NEW_DESCRIPTOR_HPP

// Descriptors that no child process inherits. If the system accepts flags at creation, they are set atomically.
// Elsewhere (macOS), another thread's fork() between the two calls still inherits the descriptor.

#include <duet/detail/config.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

// DUET_DETAIL_NO_SOCKET_FLAGS lets the tests build the branch for systems without these flags.
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK) && !defined(DUET_DETAIL_NO_SOCKET_FLAGS)
#define DUET_DETAIL_SOCKET_FLAGS
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Set what the flags would have set, and on macOS SO_NOSIGPIPE, which replaces MSG_NOSIGNAL there.
inline int prepare_new_socket(int descriptor, [[maybe_unused]] bool non_blocking) noexcept
{
    if (descriptor < 0)
        return descriptor;
#if !defined(DUET_DETAIL_SOCKET_FLAGS)
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    if (non_blocking)
        ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
#endif
#if defined(SO_NOSIGPIPE)
    int const on = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
    return descriptor;
}

/// As socket(2).
inline int open_socket(int family, int type, int protocol, bool non_blocking = false) noexcept
{
#if defined(DUET_DETAIL_SOCKET_FLAGS)
    type |= SOCK_CLOEXEC | (non_blocking ? SOCK_NONBLOCK : 0);
#endif
    return prepare_new_socket(::socket(family, type, protocol), non_blocking);
}

/// As pipe(2).
inline int open_pipe(int (&both)[2]) noexcept
{
#if defined(DUET_DETAIL_SOCKET_FLAGS)
    return ::pipe2(both, O_CLOEXEC);
#else
    int const result = ::pipe(both);
    for (int const each : both)
        ::fcntl(each, F_SETFD, FD_CLOEXEC);
    return result;
#endif
}

/// As accept(2). The new descriptor is non-blocking.
inline int accept_socket(int listener, ::sockaddr* address, ::socklen_t* size) noexcept
{
#if defined(DUET_DETAIL_SOCKET_FLAGS)
    int const descriptor = ::accept4(listener, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
    int const descriptor = ::accept(listener, address, size);
#endif
    return prepare_new_socket(descriptor, true);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
