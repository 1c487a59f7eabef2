// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_CONNECTING_SOCKET_HPP
#define DUET_DETAIL_CHANNEL_CONNECTING_SOCKET_HPP

#include <boost/system/error_code.hpp>

#include <cstdint>
#include <utility>

#include <duet/detail/channel/reactor.hpp>
#include <duet/detail/config.hpp>

#include <sys/socket.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A TCP socket that is connecting, in the reactor in which the channel of its session will be: the registration serves
/// both, and its first event tells how the attempt has ended. Destroying it closes the socket, unless a channel has
/// taken it.
class connecting_socket : private watched
{
public:
    /// Takes over `descriptor`, which is non-blocking.
    connecting_socket(reactor& home, int descriptor) noexcept : home_{home}, descriptor_{descriptor} {}

    int descriptor() const noexcept { return descriptor_; }

    reactor& home() const noexcept { return home_; }

    /// What epoll has reported so far, and will not report again.
    std::uint32_t events() const noexcept { return events_; }

    /// The socket has connected: `next` takes its place in the reactor. Returns the descriptor, which belongs to the
    /// caller from now on.
    int hand_over(watched& next) noexcept
    {
        home_.replace(*this, next);
        return std::exchange(descriptor_, -1);
    }

    /// Begin to connect. If this succeeds, on_connected() is called later, once, from the reactor, and the context has
    /// work until then. Errors: those of connect(2); no_memory.
    DUET_DECL void connect(::sockaddr const* address, ::socklen_t size, boost::system::error_code& error) noexcept;

protected:
    DUET_DECL ~connecting_socket();

    /// The attempt has ended. This may destroy the object.
    virtual void on_connected(boost::system::error_code const& error) = 0;

    /// The context is being destroyed: on_connected() will not be called. This may destroy the object.
    virtual void abandon() noexcept = 0;

private:
    void on_events(std::uint32_t events) override;
    void on_turn() override {}
    void on_shutdown() noexcept override { abandon(); }

    reactor& home_;
    int descriptor_;
    std::uint32_t events_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/channel/connecting_socket.ipp>
#endif

#endif
