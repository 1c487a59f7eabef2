// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_SOCKET_IPP
#define DUET_DETAIL_CONNECT_CONNECT_SOCKET_IPP

#include <cerrno>

#include <duet/detail/connect/connect_socket.hpp>
#include <duet/detail/socket/new_descriptor.hpp>
#include <duet/error.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL int open_stream_socket(int family, int protocol, boost::system::error_code& error) noexcept
{
    int const descriptor = open_socket(family, SOCK_STREAM, protocol, true);
    if (descriptor < 0)
    {
        error.assign(errno, boost::system::system_category());
        return -1;
    }
    error.clear();
    return descriptor;
}

DUET_DECL void connect_without_waiting(
    int descriptor, ::sockaddr const* address, ::socklen_t size, boost::system::error_code& error) noexcept
{
    while (::connect(descriptor, address, size) != 0)
    {
        if (errno == EINTR)
            continue;
        error.assign(errno, boost::system::system_category());
        return;
    }
    error.clear();
}

DUET_DECL boost::system::error_code name_connect_error(
    boost::system::error_code const& error, ::sockaddr const* address, ::socklen_t size) noexcept
{
    if (error.value() != EADDRNOTAVAIL || error.category() != boost::system::system_category())
        return error;
    // Test with a datagram socket: connecting it sends nothing and needs the same route and local address, but a port
    // from a separate range.
    int const probe = open_socket(address->sa_family, SOCK_DGRAM, 0);
    if (probe < 0)
        return errc::no_local_port;
    bool const reachable = ::connect(probe, address, size) == 0 || errno != EADDRNOTAVAIL;
    ::close(probe);
    return reachable ? boost::system::error_code{errc::no_local_port} : error;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
