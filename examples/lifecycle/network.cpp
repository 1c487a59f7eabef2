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
#include <net/route.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
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

class control_socket
{
public:
    explicit control_socket(int type = SOCK_DGRAM, int protocol = 0)
        : descriptor_{::socket(AF_INET, type | SOCK_CLOEXEC, protocol)}
    {
        check(descriptor_ >= 0, "socket");
    }

    control_socket(control_socket const&) = delete;
    control_socket& operator=(control_socket const&) = delete;
    ~control_socket() { ::close(descriptor_); }

    int get() const noexcept { return descriptor_; }

private:
    int const descriptor_;
};

void bring_loopback_up()
{
    control_socket const socket;
    ::ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    check(::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0, "bring the loopback interface up");
}

::sockaddr_in address_of(std::uint32_t address)
{
    ::sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_addr.s_addr = htonl(address);
    return result;
}

constexpr std::uint32_t nobody = 0xc6120000;  // 198.18.0.0/15, for tests of networks: RFC 2544

/// What is sent to these addresses is lost: it comes back through the loopback interface, and is for nobody here.
void lose_what_is_for_nobody()
{
    control_socket const socket;
    char loopback[] = "lo";
    ::rtentry route{};
    auto const destination = address_of(nobody);
    auto const mask = address_of(0xfffe0000);
    std::memcpy(&route.rt_dst, &destination, sizeof destination);
    std::memcpy(&route.rt_genmask, &mask, sizeof mask);
    route.rt_flags = RTF_UP;
    route.rt_dev = loopback;
    check(::ioctl(socket.get(), SIOCADDRT, &route) == 0 || errno == EEXIST, "add a route");
}

/// RFC 1071, of data that has an even size.
std::uint16_t checksum(void const* data, std::size_t size, std::uint32_t sum = 0)
{
    for (std::size_t at = 0; at < size; at += 2)
    {
        std::uint16_t word = 0;
        std::memcpy(&word, static_cast<char const*>(data) + at, 2);
        sum += word;
    }
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

struct packet
{
    ::iphdr ip{};
    ::tcphdr tcp{};
};

packet make_packet(std::uint32_t from, boost::asio::ip::tcp::endpoint const& to, duet::tcp_flags flag)
{
    packet result;
    result.ip.version = 4;
    result.ip.ihl = 5;
    result.ip.ttl = 64;
    result.ip.protocol = IPPROTO_TCP;
    result.ip.tot_len = htons(sizeof result);
    result.ip.saddr = htonl(from);
    result.ip.daddr = htonl(to.address().to_v4().to_uint());
    result.tcp.source = htons(40'000);
    result.tcp.dest = htons(to.port());
    result.tcp.seq = htonl(1);
    result.tcp.doff = 5;
    result.tcp.syn = flag == duet::tcp_flags::syn;
    result.tcp.ack = flag == duet::tcp_flags::ack;
    result.tcp.window = htons(65'535);
    struct
    {
        std::uint32_t from, to;
        std::uint16_t protocol, size;
    } const pseudo{result.ip.saddr, result.ip.daddr, htons(IPPROTO_TCP), htons(sizeof result.tcp)};
    std::uint32_t const sum = static_cast<std::uint16_t>(~checksum(&pseudo, sizeof pseudo));
    result.tcp.check = checksum(&result.tcp, sizeof result.tcp, sum);
    return result;
}

void flood(boost::asio::ip::tcp::endpoint const& to, unsigned count, duet::tcp_flags flag)
{
    lose_what_is_for_nobody();
    control_socket const socket{SOCK_RAW, IPPROTO_RAW};
    for (unsigned number = 1; number <= count; ++number)
    {
        auto const false_one = make_packet(nobody + number, to, flag);
        check(
            ::sendto(socket.get(), &false_one, sizeof false_one, 0, to.data(), static_cast<::socklen_t>(to.size())) > 0,
            "send a segment from a false address");
    }
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

bool in_fin_wait_1(int socket)
{
    ::tcp_info info{};
    ::socklen_t size = sizeof info;
    return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_FIN_WAIT1;
}

void vanish(int socket)
{
    lose_incoming(socket, static_cast<duet::tcp_flags>(0xff));  // there is no segment without a flag
    int const on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on);
}

void flood_with_syns(boost::asio::ip::tcp::endpoint const& to, unsigned count)
{
    flood(to, count, duet::tcp_flags::syn);
}

void flood_with_acks(boost::asio::ip::tcp::endpoint const& to, unsigned count)
{
    flood(to, count, duet::tcp_flags::ack);
}

std::size_t half_open(boost::asio::ip::tcp::endpoint const& listener)
{
    // "0: 0100007F:1F90 010012C6:9C40 03 ...": number, local, remote, state.
    constexpr unsigned syn_received = 3;
    std::ifstream file{"/proc/net/tcp"};
    std::size_t result = 0;
    std::string line;
    for (std::getline(file, line); std::getline(file, line);)
    {
        std::istringstream words{line};
        std::string number, local, remote, state;
        words >> number >> local >> remote >> state;
        auto const port = std::stoul(local.substr(local.find(':') + 1), nullptr, 16);
        if (port == listener.port() && std::stoul(state, nullptr, 16) == syn_received)
            ++result;
    }
    return result;
}

void set_parameter(std::string const& name, std::string const& value)
try
{
    write_file(("/proc/sys/" + name).c_str(), value);
}
catch (std::system_error const& error)
{
    throw not_permitted{std::string{"a parameter of the network cannot be set: "} + error.what()};
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
