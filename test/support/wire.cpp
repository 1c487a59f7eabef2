// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#include "support/wire.hpp"

#include "support/processors.hpp"
#include "support/quiet_thread.hpp"
#include "support/wait.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace duet_test {
namespace {

// The UDP datagram of a marker, from its IP header on.
struct marker_packet
{
    std::array<std::byte, 20> ip_header;
    std::uint16_t from_port;
    std::uint16_t to_port;
    std::uint16_t length;
    std::uint16_t checksum;
    std::array<std::byte, sizeof(std::uint64_t)> number;
};
static_assert(sizeof(marker_packet) == 36);

// Of each packet's two passages the outgoing one, and of UDP over IPv4 the incoming one as well. Jump offsets count
// from the next instruction.
constexpr std::array<sock_filter, 8> direction_filter{{
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 4, 0),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),  // the protocol field of IPv4
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
    BPF_STMT(BPF_RET | BPF_K, 0),
}};

int family_of(duet::detail::ring_packet const& packet)
{
    auto const version = packet.bytes.empty() ? 0U : std::to_integer<unsigned>(packet.bytes[0]) >> 4U;
    return version == 4 ? AF_INET : version == 6 ? AF_INET6 : AF_UNSPEC;
}

// Runs the action once on every processor that this thread may use.
template <typename Action>
void on_every_processor(Action const& action)
{
    auto const numbers = processors_of_this_thread();
    if (numbers.empty())
        action();
    for (int const number : numbers)
    {
        on_processor const here{number};
        action();
    }
}

}  // namespace

wire::wire() : stop_event_{checked(::eventfd(0, EFD_CLOEXEC), "eventfd")}, ring_{direction_filter, {.interface = "lo"}}
{
    open_marker();
    thread_ = quiet_thread([this] { capture(); });
}

wire::~wire()
{
    stop();
}

void wire::stop()
{
    if (!thread_.joinable())
        return;
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(stop_event_.get(), &one, sizeof one);
    thread_.join();
}

// A UDP socket that talks to itself.
void wire::open_marker()
{
    marker_ = descriptor{checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "UDP socket")};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    checked(::bind(marker_.get(), generic, size), "bind");
    checked(::getsockname(marker_.get(), generic, &size), "getsockname");
    checked(::connect(marker_.get(), generic, size), "connect");
    marker_port_ = ntohs(address.sin_port);
}

void wire::capture()
{
    try
    {
        std::array<pollfd, 2> waiting{{{ring_.descriptor(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}}};
        for (;;)
        {
            while (auto const packet = ring_.next())
                take(*packet);
            if (waiting[1].revents != 0)
                return;
            if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
                throw_errno("poll");
        }
    }
    catch (...)
    {
        std::scoped_lock const lock{mutex_};
        failure_ = std::current_exception();
        marker_seen_.notify_all();
    }
}

void wire::take(duet::detail::ring_packet const& packet)
{
    if (packet.incoming)
        return take_marker(packet);
    auto captured = parse_segment(family_of(packet), packet.bytes);
    if (!captured)
        return;
    captured->time = packet.time;
    std::scoped_lock const lock{mutex_};
    segments_.push_back(*captured);
}

// A marker counts when it comes in: by then its processor has worked off everything that was queued before it.
void wire::take_marker(duet::detail::ring_packet const& packet)
{
    marker_packet received;
    if (packet.bytes.size() != sizeof received)
        return;
    std::memcpy(&received, packet.bytes.data(), sizeof received);
    if (ntohs(received.from_port) != marker_port_ || ntohs(received.to_port) != marker_port_)
        return;
    std::scoped_lock const lock{mutex_};
    std::memcpy(&marker_received_, received.number.data(), sizeof marker_received_);
    marker_seen_.notify_all();
}

void wire::pass_marker()
{
    std::uint64_t number = ++marker_sent_;
    checked(::send(marker_.get(), &number, sizeof number, 0), "marker");
    {
        std::unique_lock lock{mutex_};
        auto const seen = [&] { return marker_received_ >= number || failure_ != nullptr; };
        if (!marker_seen_.wait_for(lock, blocking_guard, seen))
            throw hang{"the capture has not seen its marker"};
        if (failure_)
            std::rethrow_exception(failure_);
    }
    // Markers left in the socket would overflow it in the end.
    while (::recv(marker_.get(), &number, sizeof number, MSG_DONTWAIT) > 0)
    {
    }
}

// Packets on lo wait in a queue of the processor they were sent on. A first marker on each processor drives out the
// packets sent before, a second one the answers that the kernel gave to those.
void wire::sync()
{
    std::scoped_lock const one_at_a_time{sync_mutex_};
    if (!thread_.joinable())
        return;
    for (int round = 0; round < 2; ++round)
        on_every_processor([this] { pass_marker(); });
    lost_ += ring_.take_lost_count();
    if (lost_ != 0)
        throw std::runtime_error{"the capture lost " + std::to_string(lost_) + " packets"};
}

void wire::clear()
{
    sync();
    std::scoped_lock const lock{mutex_};
    segments_.clear();
}

std::vector<segment> wire::segments()
{
    sync();
    std::scoped_lock const lock{mutex_};
    return segments_;
}

std::vector<segment> wire::segments(std::uint16_t const from_port, std::uint16_t const to_port)
{
    auto result = segments();
    std::erase_if(result, [&](segment const& each) { return each.from_port != from_port || each.to_port != to_port; });
    return result;
}

conversation wire::between(std::uint16_t const client_port, std::uint16_t const server_port)
{
    return conversation{client_port, server_port, segments()};
}

std::size_t wire::count(std::uint16_t const port, tcp_flag const flag)
{
    auto const all = segments();
    auto const matches = [&](segment const& each)
    { return each.has(flag) && (each.from_port == port || each.to_port == port); };
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), matches));
}

bool wire::has_rst(std::uint16_t const port)
{
    return count(port, tcp_flag::rst) != 0;
}

}  // namespace duet_test
