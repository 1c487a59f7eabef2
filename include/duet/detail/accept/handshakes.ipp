// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_HANDSHAKES_IPP
#define DUET_DETAIL_ACCEPT_HANDSHAKES_IPP

#include <duet/detail/accept/handshakes.hpp>
#include <duet/detail/socket/new_descriptor.hpp>

#if defined(__linux__)
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

#if defined(__linux__)

/// Ask sock_diag(7) for all sockets of this family and local port, in network byte order, that are in SYN_RECV.
inline bool request_handshakes(int netlink, int family, ::in_port_t port) noexcept
{
    struct
    {
        ::nlmsghdr header;
        ::inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof(message);
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = static_cast<unsigned char>(family);
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = 1U << TCP_SYN_RECV;
    message.request.id.idiag_sport = port;
    return ::send(netlink, &message, sizeof(message), 0) == static_cast<::ssize_t>(sizeof(message));
}

/// True if the first message of the answer describes a socket. The kernel has queued it when the request returns.
inline bool describes_one(int netlink) noexcept
{
    alignas(::nlmsghdr) char answer[8192];
    auto const size = ::recv(netlink, answer, sizeof(answer), MSG_DONTWAIT);
    if (size < static_cast<::ssize_t>(sizeof(::nlmsghdr)))
        return false;
    return reinterpret_cast<::nlmsghdr const*>(answer)->nlmsg_type == SOCK_DIAG_BY_FAMILY;
}

#endif

DUET_DECL bool has_handshakes_under_way([[maybe_unused]] int listener) noexcept
{
#if defined(__linux__)
    ::sockaddr_storage address{};
    ::socklen_t size = sizeof(address);
    if (::getsockname(listener, reinterpret_cast<::sockaddr*>(&address), &size) != 0)
        return false;
    auto const port = address.ss_family == AF_INET6 ? reinterpret_cast<::sockaddr_in6 const&>(address).sin6_port
                                                    : reinterpret_cast<::sockaddr_in const&>(address).sin_port;
    int const netlink = open_socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return false;
    bool const found = request_handshakes(netlink, address.ss_family, port) && describes_one(netlink);
    ::close(netlink);
    return found;
#else
    return false;
#endif
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
