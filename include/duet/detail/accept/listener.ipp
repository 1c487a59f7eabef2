// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_LISTENER_IPP
#define DUET_DETAIL_ACCEPT_LISTENER_IPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <iterator>
#include <sstream>
#include <string>

#include <duet/detail/accept/listener.hpp>
#include <duet/detail/socket/new_descriptor.hpp>

#include <fcntl.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL accept_error_class classify_accept_error(boost::system::error_code const& error) noexcept
{
    switch (error.value())
    {
    case EAGAIN:
#if EAGAIN != EWOULDBLOCK
    case EWOULDBLOCK:
#endif
        return accept_error_class::would_block;
    // On Linux accept(2) returns errors that are already pending on the new connection. A firewall may cause some of
    // them, too.
    case ECONNABORTED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM:
    case EPROTO:
    case ETIMEDOUT:
#if defined(EHOSTDOWN)
    case EHOSTDOWN:
#endif
#if defined(ENONET)
    case ENONET:
#endif
        return accept_error_class::connection;
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
        return accept_error_class::fatal;
    default:
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, and every unexpected error: it may persist, so do not try again at once.
        return accept_error_class::resource;
    }
}

DUET_DECL int accept_connection(
    int listener, ::sockaddr* address, ::socklen_t* size, boost::system::error_code& error) noexcept
{
    auto const room = *size;
    for (;;)
    {
        *size = room;
        int const descriptor = accept_socket(listener, address, size);
        if (descriptor >= 0)
        {
            error.clear();
            return descriptor;
        }
        if (errno == EINTR)
            continue;
        error.assign(errno, boost::system::system_category());
        return -1;
    }
}

DUET_DECL void refuse_new_handshakes(int listener) noexcept
{
#if defined(__linux__)
    // A TCP socket's filter sees the TCP header; byte 13 has the flags. Drop SYN without ACK, pass everything else. The
    // client repeats its SYN a second later; it is then refused, or reaches the next listener.
    ::sock_filter code[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13},
        {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02},
        {BPF_RET | BPF_K, 0, 0, 0},
        {BPF_RET | BPF_K, 0, 0, 0xffffffff},
    };
    ::sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
    ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
#else
    static_cast<void>(listener);
#endif
}

DUET_DECL void admit_new_handshakes([[maybe_unused]] int listener) noexcept
{
#if defined(__linux__)
    int unused = 0;
    ::setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
#endif
}

/// The contents of a small file of /proc; empty if there is none.
inline std::string text_of(char const* path)
{
    std::string result;
    int const file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return result;
    char part[4096];
    for (::ssize_t size = 0; (size = ::read(file, part, sizeof(part))) > 0;)
        result.append(part, static_cast<std::size_t>(size));
    ::close(file);
    return result;
}

DUET_DECL std::size_t longest_queue(int backlog) noexcept
{
    std::size_t limit = SOMAXCONN;
    try
    {
        limit = std::stoul(text_of("/proc/sys/net/core/somaxconn"));
    }
    catch (std::exception const&)
    {
        // Another system, or no memory: the limit of the header.
    }
    if (backlog > 0)
        limit = std::min(limit, static_cast<std::size_t>(backlog));
    return limit + 1;  // Linux counts from 0
}

DUET_DECL void allow_reuse_port([[maybe_unused]] int listener, boost::system::error_code& error) noexcept
{
#if defined(SO_REUSEPORT)
    int const on = 1;
    if (::setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        error.assign(errno, boost::system::system_category());
#else
    error = boost::asio::error::operation_not_supported;
#endif
}

DUET_DECL bool has_reuse_port([[maybe_unused]] int listener) noexcept
{
    int value = 0;
#if defined(SO_REUSEPORT)
    ::socklen_t size = sizeof(value);
    ::getsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &value, &size);
#endif
    return value != 0;
}

DUET_DECL void take_connections_of([[maybe_unused]] int listener, [[maybe_unused]] int cpu) noexcept
{
#if defined(SO_INCOMING_CPU)
    ::setsockopt(listener, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof(cpu));
#endif
}

DUET_DECL void check_listening(int descriptor, int family, boost::system::error_code& error) noexcept
{
    int type = 0;
    int listening = 0;
    ::socklen_t size = sizeof(listening);
    ::socklen_t type_size = sizeof(type);
    ::sockaddr_storage address{};
    ::socklen_t address_size = sizeof(address);
    if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
        ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
        ::getsockname(descriptor, reinterpret_cast<::sockaddr*>(&address), &address_size) != 0)
        error.assign(errno, boost::system::system_category());
    else if (type != SOCK_STREAM)
        error.assign(EPROTOTYPE, boost::system::system_category());
    else if (listening == 0)
        error.assign(EINVAL, boost::system::system_category());
    else if (address.ss_family != family)
        error.assign(EAFNOSUPPORT, boost::system::system_category());
    else
        error.clear();
}

DUET_DECL std::uint64_t listen_overflows() noexcept
{
    try
    {
        // Each group has two lines: the names, then the values in the same order.
        std::istringstream file{text_of("/proc/net/netstat")};
        std::string names;
        std::string values;
        while (std::getline(file, names) && std::getline(file, values))
        {
            std::istringstream name_list{names};
            std::istringstream value_list{values};
            std::string name;
            std::string value;
            while (name_list >> name && value_list >> value)
                if (name == "ListenOverflows")
                    return std::stoull(value);
        }
    }
    catch (std::exception const&)
    {
        // This system has no such counter.
    }
    return 0;
}

DUET_DECL listen_queue kernel_queue_of(int descriptor, boost::system::error_code& error) noexcept
{
    listen_queue result;
    auto const info = query_tcp_info(descriptor, error);
    if (!error && info.state == tcp_state::listen)
    {
        result.length = info.segments_unacknowledged;
        result.limit = info.segments_sacked;
        result.overflows = listen_overflows();
    }
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
