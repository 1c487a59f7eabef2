// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_LISTENER_IPP
#define DUET_DETAIL_ACCEPT_LISTENER_IPP

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include <duet/detail/accept/listener.hpp>
#include <duet/detail/socket/new_descriptor.hpp>

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#endif

namespace duet {
inline namespace v0 {
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

DUET_DECL bool remove_stale_socket_file(char const* path) noexcept
{
    struct ::stat status
    {
    };
    ::sockaddr_un address{};
    if (::lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode) || std::strlen(path) >= sizeof(address.sun_path))
        return false;
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path);
    int const probe = open_socket(AF_UNIX, SOCK_STREAM, 0, true);
    if (probe < 0)
        return false;
    bool const refused =
        ::connect(probe, reinterpret_cast<::sockaddr*>(&address), sizeof(address)) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    return refused && ::unlink(path) == 0;
}

DUET_DECL socket_file socket_file_at(std::string const& path)
{
    struct ::stat status
    {
    };
    // An abstract name begins with a null byte and has no file.
    if (path.empty() || path.front() == '\0' || ::lstat(path.c_str(), &status) != 0)
        return {};
    return {path, status.st_dev, status.st_ino};
}

DUET_DECL void remove_socket_file(socket_file const& file) noexcept
{
    struct ::stat status
    {
    };
    if (!file.path.empty() && ::lstat(file.path.c_str(), &status) == 0 && status.st_dev == file.device &&
        status.st_ino == file.inode)
        ::unlink(file.path.c_str());
}

DUET_DECL std::uint64_t listen_overflows() noexcept
{
    try
    {
        // Each group has two lines: the names, then the values in the same order.
        std::ifstream file{"/proc/net/netstat"};
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

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
