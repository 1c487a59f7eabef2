// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "slow_link.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <duet/tasks.hpp>

namespace asio = boost::asio;

namespace example {
namespace {

constexpr std::size_t largest_packet = 2048;

void check(bool succeeded, char const* what)
{
    if (!succeeded)
        throw std::system_error{errno, std::generic_category(), what};
}

void set_address(int control, ::ifreq& request, unsigned long what, char const* address)
{
    ::sockaddr_in name{};
    name.sin_family = AF_INET;
    ::inet_pton(AF_INET, address, &name.sin_addr);
    std::memcpy(&request.ifr_addr, &name, sizeof name);
    check(::ioctl(control, what, &request) == 0, "set an address of the link");
}

void bring_up(::ifreq request)
{
    int const control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(control >= 0, "socket");
    try
    {
        set_address(control, request, SIOCSIFADDR, slow_link::near);
        set_address(control, request, SIOCSIFNETMASK, "255.255.255.0");
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        check(::ioctl(control, SIOCSIFFLAGS, &request) == 0, "bring the link up");
    }
    catch (...)
    {
        ::close(control);
        throw;
    }
    ::close(control);
}

int open_device()
{
    int const device = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    check(device >= 0, "open /dev/net/tun");
    try
    {
        ::ifreq request{};
        std::strcpy(request.ifr_name, "slow%d");
        request.ifr_flags = IFF_TUN | IFF_NO_PI;
        check(::ioctl(device, TUNSETIFF, &request) == 0, "make a TUN device");
        bring_up(request);
    }
    catch (...)
    {
        ::close(device);
        throw;
    }
    return device;
}

bool is_ipv4(std::vector<char> const& packet)
{
    return packet.size() >= 28 && (static_cast<unsigned char>(packet[0]) >> 4) == 4;
}

std::uint16_t destination_port(std::vector<char> const& packet)
{
    std::size_t const head = 4 * (static_cast<unsigned char>(packet[0]) & 0xfU);
    std::uint16_t port = 0;
    if (packet.size() >= head + 4)
        std::memcpy(&port, packet.data() + head + 2, sizeof port);
    return ntohs(port);
}

}  // namespace

slow_link::slow_link(asio::any_io_executor executor, std::uint16_t media_port, link_options const& options)
    : device_{executor, open_device()},
      media_port_{media_port}, options_{options}, random_{options.seed}, media_{executor}, back_{executor}
{
}

asio::awaitable<void> slow_link::run()
{
    auto const body = [this](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(deliver(media_));
        tasks.begin(deliver(back_));
        co_await receive();
    };
    co_await duet::with_tasks(body);
}

asio::awaitable<void> slow_link::receive()
{
    std::array<char, largest_packet> buffer;
    for (;;)
    {
        std::size_t const size = co_await device_.async_read_some(asio::buffer(buffer), asio::use_awaitable);
        take({buffer.data(), buffer.data() + size});
    }
}

void slow_link::take(std::vector<char> bytes)
{
    if (!is_ipv4(bytes))
        return;  // the system also says hello to IPv6 routers
    std::swap_ranges(bytes.begin() + 12, bytes.begin() + 16, bytes.begin() + 16);
    bool const media = destination_port(bytes) == media_port_;
    auto const due = media ? media_due(bytes.size()) : std::optional{clock::now() + options_.delay};
    if (!due)
        return;
    auto& to = media ? media_ : back_;
    to.under_way.push_back({*due, std::move(bytes)});
    to.timer.cancel();
}

/// When a packet of the media arrives; nothing if it does not. One that is lost has used the link all the same.
std::optional<slow_link::clock::time_point> slow_link::media_due(std::size_t size)
{
    auto const now = clock::now();
    free_at_ = std::max(free_at_, now);
    double const rate = options_.rate;
    double const waiting = std::chrono::duration<double>(free_at_ - now).count() * rate;
    if (waiting + static_cast<double>(size) > static_cast<double>(options_.queue))
        return {};
    std::chrono::duration<double> const time{static_cast<double>(size) / rate};
    free_at_ += std::chrono::duration_cast<clock::duration>(time);
    if (std::uniform_real_distribution{}(random_) < options_.loss)
        return {};
    return free_at_ + options_.delay;
}

asio::awaitable<void> slow_link::deliver(direction& to)
{
    duet::error_code ignored;
    for (;;)
    {
        bool const empty = to.under_way.empty();
        auto const due = empty ? clock::time_point::max() : to.under_way.front().due;
        if (due > clock::now())
        {
            to.timer.expires_at(due);
            co_await to.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            continue;
        }
        auto const next = std::move(to.under_way.front());
        to.under_way.pop_front();
        co_await device_.async_write_some(asio::buffer(next.bytes), asio::redirect_error(asio::use_awaitable, ignored));
    }
}

}  // namespace example
