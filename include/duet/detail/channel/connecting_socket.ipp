// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_CONNECTING_SOCKET_IPP
#define DUET_DETAIL_CHANNEL_CONNECTING_SOCKET_IPP

#include <boost/asio/error.hpp>

#include <cerrno>

#include <duet/detail/channel/connecting_socket.hpp>

#include <sys/epoll.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL connecting_socket::~connecting_socket()
{
    if (waits())
        home_.end(*this);
    home_.remove(*this);
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

DUET_DECL void connecting_socket::connect(
    ::sockaddr const* address, ::socklen_t size, boost::system::error_code& error) noexcept
{
    // EINTR: the attempt goes on.
    if (::connect(descriptor_, address, size) != 0 && errno != EINPROGRESS && errno != EINTR)
        error.assign(errno, boost::system::system_category());
    else if (!home_.add(*this, descriptor_, true))
        error = boost::asio::error::no_memory;
    else
        home_.begin(*this);
}

DUET_DECL void connecting_socket::on_events(std::uint32_t events)
{
    events_ |= events;
    if (!waits() || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
        return;
    home_.end(*this);
    home_.time().forget();
    // Writable, and neither failed nor hung up: connected.
    int failure = 0;
    if (::socklen_t size = sizeof(failure); (events & (EPOLLERR | EPOLLHUP)) != 0)
        ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &failure, &size);
    on_connected({failure, boost::system::system_category()});
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
