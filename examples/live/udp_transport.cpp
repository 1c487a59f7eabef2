// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "transports.hpp"

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>

#include <duet/error.hpp>
#include <duet/tasks.hpp>

#include "frame_numbers.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace example {
namespace {

// A datagram: the number of its frame, how many pieces that has, and a piece. It fits into a packet of any path that
// matters (RFC 8085 3.2), so that IP does not cut it.
constexpr std::size_t piece_size = 1180;

std::uint32_t pieces_of(std::size_t frame_size)
{
    return static_cast<std::uint32_t>((frame_size + piece_size - 1) / piece_size);
}

asio::awaitable<void> play(asio::ip::udp::socket& socket, show const& what, recording& result)
{
    asio::steady_timer camera{socket.get_executor(), std::chrono::steady_clock::now()};
    std::string const head = number_bytes(pieces_of(what.frame_size));
    while (result.entries().size() < what.frames)
    {
        camera.expires_at(camera.expiry() + what.interval);
        co_await camera.async_wait(asio::use_awaitable);
        auto const number = number_bytes(result.taken());
        for (std::size_t at = 0; at < what.frame_size; at += piece_size)
        {
            std::string const datagram = number + head + std::string(std::min(piece_size, what.frame_size - at), 'x');
            duet::error_code lost;  // to the program, a full device is one more way to lose a datagram
            co_await socket.async_send(asio::buffer(datagram), asio::redirect_error(asio::use_awaitable, lost));
        }
    }
}

/// A frame counts when all of its pieces are there. Those that lack one are forgotten when a later one is complete: for
/// a conversation they would be too late.
asio::awaitable<void> receive(asio::ip::udp::socket& socket, recording& result)
{
    std::array<char, 2048> buffer;
    std::map<std::uint32_t, std::uint32_t> pieces;
    for (;;)
    {
        std::size_t const size = co_await socket.async_receive(asio::buffer(buffer), asio::use_awaitable);
        if (size < 8)
            continue;
        std::string_view const datagram{buffer.data(), size};
        auto const number = number_in(datagram);
        if (++pieces[number] < number_in(datagram.substr(4)))
            continue;
        result.arrived(number);
        pieces.erase(pieces.begin(), pieces.upper_bound(number));
    }
}

}  // namespace

asio::awaitable<void> send_by_udp(show const& what, recording& result)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::ip::udp::socket receiver{executor, asio::ip::udp::endpoint{what.here, what.port}};
    asio::ip::udp::socket sender{executor, asio::ip::udp::v4()};
    sender.connect({what.there, what.port});
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(receive(receiver, result));
        co_await play(sender, what, result);
        asio::steady_timer last{executor, 1s};
        co_await last.async_wait(asio::use_awaitable);
    };
    co_await duet::with_tasks(body, duet::tasks_end::cancel);
}

}  // namespace example
