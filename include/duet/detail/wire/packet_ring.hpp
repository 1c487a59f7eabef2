// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_PACKET_RING_HPP
#define DUET_DETAIL_WIRE_PACKET_RING_HPP

// Linux only. All of it is inline, and the tests' own capture uses it, too.

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include <duet/detail/config.hpp>
#include <duet/detail/socket/new_descriptor.hpp>
#include <duet/detail/socket/owned_descriptor.hpp>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A packet as the ring holds it, from its IP header on; valid until the next call of next().
struct ring_packet
{
    std::chrono::system_clock::time_point time{};
    bool incoming = false;  // else outgoing
    std::uint32_t length = 0;
    std::span<std::byte const> bytes{};  // of the first ones of so many
};

struct ring_options
{
    std::string interface {
    };  // empty: all
    std::size_t snap_length = 160;
    std::size_t memory = std::size_t{16} << 20U;  // of the kernel, locked
};

/// Packets of an interface, by way of AF_PACKET, in a ring of memory that is shared with the kernel. An ordinary socket
/// buffer would not do: it charges whole packets (64 KiB each on lo), and net.core.rmem_max limits it to 416 KiB for
/// the root of a user namespace. The kernel removes the headers of the link, so all interfaces look alike.
///
/// Captures from construction on. Shared objects: unsafe.
class packet_ring
{
public:
    /// The filter decides how much of each packet is captured, and sees a packet from its IP header on. Throws
    /// system_error, which names the operation. Nothing arrives before bind, so the filter is in place for the first
    /// packet.
    packet_ring(std::span<::sock_filter const> filter, ring_options const& options)
        : socket_{open_packet_socket(), "tap: socket of AF_PACKET"}, shape_{options}
    {
        ::sock_fprog const program{
            static_cast<unsigned short>(filter.size()), const_cast<::sock_filter*>(filter.data())};
        set_option(SOL_SOCKET, SO_ATTACH_FILTER, program, "tap: SO_ATTACH_FILTER");
        set_option(SOL_PACKET, PACKET_VERSION, int{TPACKET_V2}, "tap: PACKET_VERSION");
        ::tpacket_req const ring{shape_.block_size, shape_.blocks, shape_.frame_size, shape_.frames()};
        set_option(SOL_PACKET, PACKET_RX_RING, ring, "tap: PACKET_RX_RING");
        bind(options.interface);
        void* const memory = ::mmap(nullptr, shape_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0);
        if (memory == MAP_FAILED)
            throw_errno("tap: mmap");
        memory_ = static_cast<std::byte*>(memory);
    }

    packet_ring(packet_ring const&) = delete;
    packet_ring& operator=(packet_ring const&) = delete;

    ~packet_ring() { ::munmap(memory_, shape_.size()); }

    /// Readable when next() has a packet.
    int descriptor() const noexcept { return socket_.get(); }

    std::optional<ring_packet> next() noexcept
    {
        if (holds_frame_)
        {
            status().store(TP_STATUS_KERNEL, std::memory_order_release);
            position_ = (position_ + 1) % shape_.frames();
            holds_frame_ = false;
        }
        if ((status().load(std::memory_order_acquire) & TP_STATUS_USER) == 0)
            return std::nullopt;
        holds_frame_ = true;
        auto const header = read<::tpacket2_hdr>(0);
        auto const address = read<::sockaddr_ll>(aligned(sizeof(::tpacket2_hdr)));
        using clock = std::chrono::system_clock;
        auto const since_1970 = std::chrono::seconds{header.tp_sec} + std::chrono::nanoseconds{header.tp_nsec};
        ring_packet result;
        result.time = clock::time_point{std::chrono::duration_cast<clock::duration>(since_1970)};
        result.incoming = address.sll_pkttype != PACKET_OUTGOING;
        result.length = header.tp_len;
        result.bytes = {frame() + header.tp_net, header.tp_snaplen};
        return result;
    }

    /// The interface has gone down, say: without this, poll(2) would tell it again and again.
    void clear_error() noexcept
    {
        int error = 0;
        ::socklen_t size = sizeof(error);
        ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }

    /// How many packets found the ring full since the last call.
    std::uint64_t take_lost_count()
    {
        ::tpacket_stats counted{};
        ::socklen_t size = sizeof(counted);
        if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &counted, &size) != 0)
            throw_errno("tap: PACKET_STATISTICS");
        return counted.tp_drops;
    }

private:
    /// TPACKET_ALIGN, without its signed mask.
    static constexpr std::size_t aligned(std::size_t size) noexcept
    {
        constexpr std::size_t alignment = TPACKET_ALIGNMENT;
        return (size + alignment - 1) / alignment * alignment;
    }

    /// The ring consists of blocks, and a block of frames; a frame has one packet.
    struct shape
    {
        explicit shape(ring_options const& options)
        {
            // TPACKET_V2 begins a frame with at most 96 bytes of its own.
            auto const wanted = 96 + std::clamp<std::size_t>(options.snap_length, 64, 0xffff);
            frame_size = static_cast<unsigned>(aligned(wanted));
            block_size = 1U << 17U;  // of any page size, and larger than a frame
            blocks = static_cast<unsigned>(std::clamp<std::size_t>(options.memory / block_size, 1, 1U << 13U));
        }

        unsigned frames_of_block() const noexcept { return block_size / frame_size; }

        unsigned frames() const noexcept { return blocks * frames_of_block(); }

        std::size_t size() const noexcept { return std::size_t{block_size} * blocks; }

        unsigned frame_size;
        unsigned block_size;
        unsigned blocks;
    };

    static int open_packet_socket()
    {
        int const descriptor = open_socket(AF_PACKET, SOCK_DGRAM, 0);
        if (descriptor < 0 && (errno == EPERM || errno == EACCES))
        {
            boost::system::error_code const code{errno, boost::system::system_category()};
            throw boost::system::system_error{code, "tap: socket of AF_PACKET (it needs root, CAP_NET_RAW, or a "
                                                    "network namespace of one's own: unshare -Urn)"};
        }
        return descriptor;
    }

    template <class Value>
    void set_option(int level, int name, Value const& value, char const* operation)
    {
        if (::setsockopt(socket_.get(), level, name, &value, sizeof(value)) != 0)
            throw_errno(operation);
    }

    void bind(std::string const& interface)
    {
        ::sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);  // one protocol alone would not show what goes out
        address.sll_ifindex = static_cast<int>(interface.empty() ? 0 : ::if_nametoindex(interface.c_str()));
        if (!interface.empty() && address.sll_ifindex == 0)
            throw boost::system::system_error{
                {errno, boost::system::system_category()}, "tap: interface \"" + interface + '"'};
        if (::bind(socket_.get(), reinterpret_cast<::sockaddr const*>(&address), sizeof(address)) != 0)
            throw_errno("tap: bind");
    }

    std::byte* frame() const noexcept
    {
        auto const block = position_ / shape_.frames_of_block();
        auto const within = position_ % shape_.frames_of_block();
        return memory_ + std::size_t{block} * shape_.block_size + std::size_t{within} * shape_.frame_size;
    }

    /// The kernel and the reader hand a frame to each other through its first word.
    std::atomic_ref<std::uint32_t> status() const noexcept
    {
        return std::atomic_ref<std::uint32_t>{*reinterpret_cast<std::uint32_t*>(frame())};
    }

    template <class Header>
    Header read(std::size_t at) const noexcept
    {
        Header result;
        std::memcpy(&result, frame() + at, sizeof(result));
        return result;
    }

    owned_descriptor socket_;
    shape shape_;
    std::byte* memory_ = nullptr;
    unsigned position_ = 0;
    bool holds_frame_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
