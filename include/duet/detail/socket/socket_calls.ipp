// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_SOCKET_CALLS_IPP
#define DUET_DETAIL_SOCKET_SOCKET_CALLS_IPP

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <duet/detail/socket/socket_calls.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#if defined(__linux__)
#include <linux/sockios.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline void set_int(int descriptor, int level, int name, int value) noexcept
{
    ::setsockopt(descriptor, level, name, &value, sizeof(value));
}

/// True if a call on a non-blocking descriptor would have blocked. EAGAIN and EWOULDBLOCK are equal on most systems.
inline bool is_would_block(int error) noexcept
{
#if EAGAIN != EWOULDBLOCK
    if (error == EWOULDBLOCK)
        return true;
#endif
    return error == EAGAIN;
}

/// The longest pause between two retransmissions or two probes of a closed window (Linux 6.15; older systems refuse the
/// option, and double the pauses up to two minutes). The headers of older systems do not have the name.
inline void set_longest_retransmission(int descriptor, std::chrono::milliseconds pause) noexcept
{
#if defined(__linux__)
    constexpr int tcp_rto_max_ms = 44;
    auto const value = std::clamp<std::int64_t>(pause.count(), 1000, 120'000);
    set_int(descriptor, IPPROTO_TCP, tcp_rto_max_ms, static_cast<int>(value));
#else
    static_cast<void>(descriptor);
    static_cast<void>(pause);
#endif
}

DUET_DECL void set_no_delay(int descriptor) noexcept
{
    set_int(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
}

DUET_DECL void set_dead_peer_timeout(int descriptor, deadlines::duration timeout) noexcept
{
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    using std::chrono::seconds;
    if (timeout <= timeout.zero())
    {
        set_int(descriptor, SOL_SOCKET, SO_KEEPALIVE, 0);
        set_longest_retransmission(descriptor, minutes{2});
        return;
    }
    // Send the first probe after half of the time, then probe in quarters of the remaining time.
    auto const whole = std::clamp<std::int64_t>(std::chrono::ceil<seconds>(timeout).count(), 2, 32767);
    auto const idle = static_cast<int>((whole + 1) / 2);
    auto const interval = static_cast<int>(std::max<std::int64_t>(1, (whole - idle) / 4));
#if defined(TCP_KEEPINTVL)
    set_int(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, interval);
#endif
#if defined(TCP_KEEPCNT)
    auto const count = static_cast<int>(std::clamp<std::int64_t>((whole - idle) / interval, 1, 127));
    set_int(descriptor, IPPROTO_TCP, TCP_KEEPCNT, count);
#endif
    // Keepalive does not run while data is unacknowledged: then peer_watch.hpp decides, and needs the answers to at
    // least two retransmissions or probes in that time. TCP_USER_TIMEOUT would not do: it also ends a connection whose
    // peer keeps its window closed and answers every probe.
    set_longest_retransmission(descriptor, milliseconds{whole * 500});
    set_int(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    // The last one: on a connection that exists, it counts the time from when the peer was last heard of.
#if defined(TCP_KEEPIDLE)
    set_int(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, idle);
#elif defined(TCP_KEEPALIVE)
    set_int(descriptor, IPPROTO_TCP, TCP_KEEPALIVE, idle);
#endif
}

DUET_DECL void set_stream_options(int descriptor, bool tcp, session_options const& options) noexcept
{
    if (options.send_buffer_size > 0)
        set_int(descriptor, SOL_SOCKET, SO_SNDBUF, options.send_buffer_size);
    if (options.receive_buffer_size > 0)
        set_int(descriptor, SOL_SOCKET, SO_RCVBUF, options.receive_buffer_size);
    if (!tcp)
        return;
    if (options.no_delay)
        set_no_delay(descriptor);
    if (options.deadlines.dead_peer > deadlines::duration::zero())
        set_dead_peer_timeout(descriptor, options.deadlines.dead_peer);
}

DUET_DECL std::size_t discard_input(int descriptor, std::size_t limit, boost::system::error_code& error) noexcept
{
    // Copy into a scratch buffer: this works for every kind of socket. MSG_TRUNC would save the copy, but only for TCP
    // on Linux.
    char scratch[16 * 1024];
    std::size_t total = 0;
    error.clear();
    while (total < limit)
    {
        auto const wanted = std::min(sizeof(scratch), limit - total);
        ::ssize_t const received = ::recv(descriptor, scratch, wanted, MSG_DONTWAIT);
        if (received > 0)
        {
            total += static_cast<std::size_t>(received);
            continue;
        }
        if (received < 0 && errno == EINTR)
            continue;
        // Report the bytes before an end or a failure first. The next call meets the end or the failure again, except a
        // reset, which the kernel reports only once. So a failure is always reported at once, together with the bytes
        // before it.
        if (received < 0 && !(is_would_block(errno) && total > 0))
            error.assign(errno, boost::system::system_category());
        break;
    }
    return total;
}

DUET_DECL std::size_t unacknowledged(int descriptor) noexcept
{
#if defined(SIOCOUTQ)
    int value = 0;
    if (::ioctl(descriptor, SIOCOUTQ, &value) == 0 && value > 0)
        return static_cast<std::size_t>(value);
#else
    static_cast<void>(descriptor);
#endif
    return 0;
}

inline short poll_now(int descriptor, short events = 0) noexcept
{
    ::pollfd entry{descriptor, events, 0};
    return ::poll(&entry, 1, 0) > 0 ? entry.revents : short{0};
}

DUET_DECL bool has_input(int descriptor) noexcept
{
    return poll_now(descriptor, POLLIN) != 0;
}

DUET_DECL bool has_failed(int descriptor) noexcept
{
    return (poll_now(descriptor) & POLLERR) != 0;
}

DUET_DECL bool has_hung_up(int descriptor) noexcept
{
    auto const events = poll_now(descriptor, POLLPRI);
    if ((events & POLLPRI) != 0)
    {
        char urgent;
        ::recv(descriptor, &urgent, 1, MSG_OOB | MSG_DONTWAIT);
    }
    return (events & (POLLHUP | POLLERR)) != 0;
}

DUET_DECL void reset_at_close(int descriptor) noexcept
{
    ::linger const at_once{1, 0};
    ::setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

DUET_DECL boost::system::error_code take_failure(int descriptor) noexcept
{
    // Sending 0 bytes puts no segment on the wire, and fails with the connection's pending error. Unlike recv, it
    // reports the error even while unread bytes are still queued.
#if defined(MSG_NOSIGNAL)
    int const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
    int const flags = MSG_DONTWAIT;  // on macOS, Asio and prepare_new_socket() set SO_NOSIGPIPE
#endif
    if (::send(descriptor, "", 0, flags) == 0 || is_would_block(errno))
        return {};
    return {errno, boost::system::system_category()};
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
