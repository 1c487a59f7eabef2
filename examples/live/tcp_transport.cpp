// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "transports.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <duet/acceptor.hpp>
#include <duet/connector.hpp>
#include <duet/framing.hpp>
#include <duet/tasks.hpp>

#include "frame_numbers.hpp"

namespace asio = boost::asio;

namespace example {
namespace {

constexpr duet::length_prefix framing{.bytes = 4};

/// A frame with its number in front, and its size before that. No image: what counts here is when it arrives.
std::shared_ptr<std::string const> make_frame(std::uint32_t number, std::size_t size)
{
    std::string const body = number_bytes(number) + std::string(size - 4, 'x');
    return std::make_shared<std::string const>(std::string{std::string_view{framing.head(body)}} + body);
}

/// The kernel takes no more while so many bytes wait in its send buffer that were not sent once. What it has taken can
/// not be dropped any more; the default is some megabytes.
void limit_unsent(duet::session& peer, std::size_t bytes)
{
    int const limit = static_cast<int>(bytes);
    if (::setsockopt(peer.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &limit, sizeof limit) != 0)
        throw std::system_error{errno, std::generic_category(), "TCP_NOTSENT_LOWAT"};
}

/// Something waits that was taken before this frame: in the session, or in the kernel, not even sent once.
bool is_late(duet::session const& peer)
{
    duet::error_code unknown;
    return peer.bytes_queued() > 0 || peer.tcp_info(unknown).bytes_unsent > 0;
}

asio::awaitable<void> play(duet::session& peer, show const& what, when_late rule, recording& result)
{
    asio::steady_timer camera{peer.get_executor(), std::chrono::steady_clock::now()};
    while (result.entries().size() < what.frames)
    {
        camera.expires_at(camera.expiry() + what.interval);
        co_await camera.async_wait(asio::use_awaitable);
        auto const number = result.taken();
        if (rule == when_late::drop && is_late(peer))
        {
            result.dropped();
            continue;
        }
        // Not awaited: the camera does not wait.
        auto const frame = make_frame(number, what.frame_size);
        peer.write (*frame)([frame](duet::error_code, std::size_t) {});
    }
    co_await peer.shutdown_send();
}

asio::awaitable<void> receive(duet::acceptor& acceptor, std::size_t frame_size, recording& result)
{
    duet::session peer = co_await acceptor.accept();
    duet::frame_reader frames{peer, framing, frame_size + 4};
    for (;;)
    {
        auto const frame = co_await frames.next();
        if (!frame)
            break;
        result.arrived(number_in(*frame));
    }
    co_await peer.close();
}

}  // namespace

asio::awaitable<void> send_by_tcp(show const& what, when_late rule, recording& result)
{
    auto const executor = co_await asio::this_coro::executor;
    duet::acceptor acceptor{executor, asio::ip::tcp::endpoint{what.here, what.port}};
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(receive(acceptor, what.frame_size, result));
        duet::connector connector{executor};
        asio::ip::tcp::endpoint const there{what.there, what.port};
        duet::session peer = co_await connector.connect(there);
        if (rule == when_late::drop)
            limit_unsent(peer, what.frame_size);
        co_await play(peer, what, rule, result);
        co_await peer.close();
    };
    co_await duet::with_tasks(body);
}

}  // namespace example
