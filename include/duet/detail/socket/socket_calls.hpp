// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_SOCKET_CALLS_HPP
#define DUET_DETAIL_SOCKET_SOCKET_CALLS_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <span>

#include <duet/detail/config.hpp>
#include <duet/session_options.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// query_tcp_info() works for TCP sockets.
#if defined(__linux__)
inline constexpr bool has_tcp_info = true;
#else
inline constexpr bool has_tcp_info = false;
#endif

// System calls on a native descriptor. None of them blocks, throws or reads SO_ERROR.
DUET_DECL void set_stream_options(int descriptor, bool tcp, session_options const& options) noexcept;
DUET_DECL void set_no_delay(int descriptor) noexcept;
DUET_DECL void set_dead_peer_timeout(int descriptor, deadlines::duration timeout) noexcept;
DUET_DECL std::size_t discard_input(int descriptor, std::size_t limit, boost::system::error_code& error) noexcept;
DUET_DECL std::size_t unacknowledged(int descriptor) noexcept;
DUET_DECL bool has_input(int descriptor) noexcept;
DUET_DECL bool has_failed(int descriptor) noexcept;
DUET_DECL bool has_hung_up(int descriptor) noexcept;
DUET_DECL boost::system::error_code take_failure(int descriptor) noexcept;

/// The next close() sends RST. It affects every holder of the connection: see fork_watch.
DUET_DECL void reset_at_close(int descriptor) noexcept;

/// Receive from a non-blocking socket. Returns 0 and sets eof at the peer's FIN.
inline std::size_t receive_some(
    int descriptor, boost::asio::mutable_buffer buffer, boost::system::error_code& error) noexcept
{
    ::ssize_t size;
    do
        size = ::recv(descriptor, buffer.data(), buffer.size(), 0);
    while (size < 0 && errno == EINTR);
    if (size > 0)
        return static_cast<std::size_t>(size);
    if (size == 0)
        error = boost::asio::error::eof;
    else
        error.assign(errno, boost::system::system_category());
    return 0;
}

/// What getsockname(2) or getpeername(2) tells.
template <class Endpoint>
Endpoint endpoint_of(
    int descriptor, int (*ask)(int, ::sockaddr*, ::socklen_t*), boost::system::error_code& error) noexcept
{
    Endpoint result;
    auto size = static_cast<::socklen_t>(result.capacity());
    if (ask(descriptor, result.data(), &size) != 0)
    {
        error.assign(errno, boost::system::system_category());
        return {};
    }
    result.resize(size);
    return result;
}

inline std::size_t size_or_error(::ssize_t size, boost::system::error_code& error) noexcept
{
    if (size >= 0)
        return static_cast<std::size_t>(size);
    error.assign(errno, boost::system::system_category());
    return 0;
}

#if defined(__linux__)

// Send to a non-blocking socket without raising SIGPIPE.

inline std::size_t send_some(
    int descriptor, boost::asio::const_buffer buffer, boost::system::error_code& error, int flags = 0) noexcept
{
    if (buffer.size() == 0)
        return 0;
    return size_or_error(::send(descriptor, buffer.data(), buffer.size(), MSG_NOSIGNAL | flags), error);
}

inline std::size_t send_some(
    int descriptor, std::span<boost::asio::const_buffer const> buffers, boost::system::error_code& error) noexcept
{
    ::iovec parts[16];
    std::size_t count = 0;
    for (auto const& buffer : buffers.first(std::min(buffers.size(), std::size(parts))))
        parts[count++] = {const_cast<void*>(buffer.data()), buffer.size()};
    ::msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    return size_or_error(::sendmsg(descriptor, &message, MSG_NOSIGNAL), error);
}

#endif

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/socket_calls.ipp>
#endif

#endif
