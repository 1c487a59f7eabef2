// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/faults.hpp"

#include "support/descriptor.hpp"
#include "support/segment.hpp"

#include <array>
#include <cstdint>

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#ifndef TCP_REPAIR
#define TCP_REPAIR 19  // missing from older C libraries
#endif

namespace duet_test {

// The filter of a TCP socket sees the packet from the TCP header on: byte 13 is the flags byte (torture list).
// Returning less than the packet's size would cut its payload, so it is all or nothing.
void drop_incoming_flags(int const fd, unsigned const mask)
{
    constexpr std::uint32_t flags_byte = 13;
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, flags_byte),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
    }};
    sock_fprog const filter{static_cast<unsigned short>(program.size()), program.data()};
    checked(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), "SO_ATTACH_FILTER");
}

void drop_incoming(int const fd, loss const what)
{
    switch (what)
    {
    case loss::everything:
        return drop_incoming_flags(fd, 0xff);  // there is no segment without a flag
    case loss::fin:
        return drop_incoming_flags(fd, static_cast<unsigned>(tcp_flag::fin));
    case loss::rst:
        return drop_incoming_flags(fd, static_cast<unsigned>(tcp_flag::rst));
    case loss::syn:
        return drop_incoming_flags(fd, static_cast<unsigned>(tcp_flag::syn));
    }
}

void drop_nothing(int const fd)
{
    int const unused = 0;
    checked(::setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused), "SO_DETACH_FILTER");
}

void make_close_silent(int const fd)
{
    int const on = 1;
    checked(::setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on), "TCP_REPAIR");
}

void make_close_reset(int const fd)
{
    linger const immediately{1, 0};
    checked(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &immediately, sizeof immediately), "SO_LINGER");
}

}  // namespace duet_test
