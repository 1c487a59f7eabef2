// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/packet_ring.hpp"

#include <array>
#include <atomic>
#include <cstring>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace duet_test {
namespace {

constexpr unsigned frame_size = 256;
constexpr unsigned block_size = 1U << 16U;
constexpr unsigned block_count = 256;
constexpr unsigned frame_count = block_count * (block_size / frame_size);
constexpr std::size_t ring_size = std::size_t{block_size} * block_count;

template <typename Value>
void set_packet_option(int const fd, int const name, Value const& value, char const* const what)
{
    checked(::setsockopt(fd, SOL_PACKET, name, &value, sizeof value), what);
}

// Jump offsets count from the next instruction.
void attach_direction_filter(int const fd)
{
    std::array<sock_filter, 8> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 4, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),  // the protocol field of IPv4
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    sock_fprog const filter{static_cast<unsigned short>(program.size()), program.data()};
    checked(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), "SO_ATTACH_FILTER");
}

// The kernel and the reader hand a frame to each other through its first word.
std::atomic_ref<std::uint32_t> status_of(std::byte* const frame)
{
    return std::atomic_ref<std::uint32_t>{*reinterpret_cast<std::uint32_t*>(frame)};
}

template <typename Header>
Header read_header(std::byte const* const at)
{
    Header result;
    std::memcpy(&result, at, sizeof result);
    return result;
}

int family_of(sockaddr_ll const& address)
{
    switch (ntohs(address.sll_protocol))
    {
    case ETH_P_IP:
        return AF_INET;
    case ETH_P_IPV6:
        return AF_INET6;
    default:
        return AF_UNSPEC;
    }
}

}  // namespace

// Nothing arrives before bind, so the filter and the ring are in place for the first packet.
packet_ring::packet_ring() : socket_{checked(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "AF_PACKET socket")}
{
    attach_direction_filter(fd());
    set_packet_option(fd(), PACKET_VERSION, int{TPACKET_V2}, "PACKET_VERSION");
    tpacket_req const ring{block_size, block_count, frame_size, frame_count};
    set_packet_option(fd(), PACKET_RX_RING, ring, "PACKET_RX_RING");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);  // one protocol alone would not show what goes out
    address.sll_ifindex = static_cast<int>(::if_nametoindex("lo"));
    checked(::bind(fd(), reinterpret_cast<sockaddr const*>(&address), sizeof address), "bind to lo");
    void* const memory = ::mmap(nullptr, ring_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0);
    if (memory == MAP_FAILED)
        throw_errno("mmap of the packet ring");
    memory_ = static_cast<std::byte*>(memory);
}

packet_ring::~packet_ring()
{
    ::munmap(memory_, ring_size);
}

std::byte* packet_ring::frame() const noexcept
{
    return memory_ + std::size_t{position_} * frame_size;
}

std::optional<ring_packet> packet_ring::next()
{
    if (holds_frame_)
    {
        status_of(frame()).store(TP_STATUS_KERNEL, std::memory_order_release);
        position_ = (position_ + 1) % frame_count;
        holds_frame_ = false;
    }
    if ((status_of(frame()).load(std::memory_order_acquire) & TP_STATUS_USER) == 0)
        return std::nullopt;
    holds_frame_ = true;
    auto const header = read_header<tpacket2_hdr>(frame());
    auto const address = read_header<sockaddr_ll>(frame() + TPACKET_ALIGN(sizeof(tpacket2_hdr)));
    auto const since_epoch = std::chrono::seconds{header.tp_sec} + std::chrono::nanoseconds{header.tp_nsec};
    ring_packet result;
    result.time += std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch);
    result.family = family_of(address);
    result.incoming = address.sll_pkttype != PACKET_OUTGOING;
    result.bytes = {frame() + header.tp_net, header.tp_snaplen};
    return result;
}

std::uint64_t packet_ring::take_lost_count()
{
    tpacket_stats counted{};
    socklen_t size = sizeof counted;
    checked(::getsockopt(fd(), SOL_PACKET, PACKET_STATISTICS, &counted, &size), "PACKET_STATISTICS");
    return counted.tp_drops;
}

}  // namespace duet_test
