// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "network.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include <linux/filter.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace example {
namespace {

void check(bool succeeded, char const* what)
{
    if (!succeeded)
        throw std::system_error{errno, std::generic_category(), what};
}

void write_file(char const* path, std::string const& text)
{
    std::ofstream file{path};
    file << text << std::flush;
    check(static_cast<bool>(file), path);
}

void bring_loopback_up()
{
    int const socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(socket >= 0, "socket");
    ::ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    bool const up = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
    int const error = errno;
    ::close(socket);
    errno = error;
    check(up, "bring the loopback interface up");
}

}  // namespace

void enter_own_network()
try
{
    auto const user = ::geteuid();
    auto const group = ::getegid();
    if (::unshare(CLONE_NEWNET) != 0)
    {
        check(::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0, "unshare");
        write_file("/proc/self/setgroups", "deny");
        write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
        write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
    }
    bring_loopback_up();
}
catch (std::system_error const& error)
{
    throw not_permitted{std::string{"a network namespace is refused ("} + error.what() +
                        "). It needs root, or user namespaces: try 'unshare -Urn true', and see user_namespaces(7)"};
}

void lose_incoming(int socket, duet::tcp_flags which)
{
    // A TCP socket's filter sees a packet from its TCP header on: byte 13 has the flags.
    std::array<::sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, static_cast<std::uint8_t>(which), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
    }};
    ::sock_fprog const filter{static_cast<unsigned short>(program.size()), program.data()};
    check(::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0, "SO_ATTACH_FILTER");
}

void lose_nothing(int socket)
{
    int const unused = 0;
    check(::setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) == 0, "SO_DETACH_FILTER");
}

std::uint64_t counter(std::string_view name)
{
    // Pairs of lines: names, and below each its number.
    std::ifstream file{"/proc/net/netstat"};
    for (std::string names, numbers; std::getline(file, names) && std::getline(file, numbers);)
    {
        std::istringstream name_words{names};
        std::istringstream number_words{numbers};
        for (std::string word, number; name_words >> word && number_words >> number;)
            if (word == name)
                return std::stoull(number);
    }
    return 0;
}

}  // namespace example
