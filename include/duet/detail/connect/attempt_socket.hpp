// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_ATTEMPT_SOCKET_HPP
#define DUET_DETAIL_CONNECT_ATTEMPT_SOCKET_HPP

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <duet/detail/channel/stream_channels.hpp>
#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/connect/connect_socket.hpp>
#include <duet/detail/socket/socket_calls.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

#if defined(__linux__)

/// An attempt that waits in the reactor.
class reactor_attempt final : public connecting_socket
{
public:
    using connecting_socket::connecting_socket;

    any_completion done;

private:
    void on_connected(error_code const& error) override
    {
        auto told = std::move(done);  // it may end this object
        told(error, 0);
    }

    void abandon() noexcept override
    {
        auto const dropped = std::move(done);  // it may own this object
    }
};

#endif

/// The socket of an attempt to connect. It waits where the session will be: in the reactor of its context, or in
/// Asio's.
template <class Protocol, class Executor>
class attempt_socket
{
public:
    using endpoint_type = typename Protocol::endpoint;
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using traits = stream_traits<stream_type>;

    bool is_open() const noexcept { return stream_.has_value() || in_reactor(); }

    int native_handle() noexcept
    {
#if defined(__linux__)
        if (attempt_)
            return attempt_->descriptor();
#endif
        return stream_->native_handle();
    }

    /// Open a socket with these options. Errors: those of the system; no_memory. Throws std::bad_alloc.
    error_code open(Executor const& executor, Protocol const& protocol, session_options const& options)
    {
        error_code error;
        int const descriptor = open_stream_socket(protocol.family(), protocol.protocol(), error);
        if (error)
            return error;
        set_stream_options(descriptor, traits::is_tcp, options);
        if (take_to_reactor(executor, descriptor))
            return error;
        try
        {
            stream_.emplace(executor);
            stream_->assign(protocol, descriptor, error);
        }
        catch (std::bad_alloc const&)
        {
            error = boost::asio::error::no_memory;
        }
        if (error)
        {
            stream_.reset();
            ::close(descriptor);
        }
        else
            traits::prepare(*stream_);
        return error;
    }

    /// Begin to connect. `done(error)` is called later, from a handler or the reactor, unless the socket is closed
    /// before. Throws std::bad_alloc.
    template <class Done>
    void connect(Executor const& executor, endpoint_type const& endpoint, Done done)
    {
#if defined(__linux__)
        if (attempt_)
        {
            error_code error;
            attempt_->done.keep([done](error_code why, std::size_t) { done(why); });
            attempt_->connect(endpoint.data(), static_cast<::socklen_t>(endpoint.size()), error);
            if (!error)
                return;
            attempt_->done = {};
            if (error == boost::asio::error::no_memory)
                throw std::bad_alloc{};
            boost::asio::post(executor, [done = std::move(done), error] { done(error); });
            return;
        }
#endif
        static_cast<void>(executor);
        stream_->async_connect(endpoint, std::move(done));
    }

    /// Give the connected socket to a session, made by `maker`.
    template <class Maker>
    auto take(Executor const& executor, Maker const& maker, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options)
    {
#if defined(__linux__)
        if constexpr (traits::is_tcp)
        {
            if (attempt_)
                return maker.connected(executor, *attempt_, local, remote, options);
        }
#endif
        static_cast<void>(executor);
        auto connected = std::move(*stream_);
        return maker.connected(std::move(connected), local, remote, options);
    }

    /// Close with RST.
    void reset() noexcept
    {
        reset_at_close(native_handle());
        close();
    }

    void close() noexcept
    {
        error_code ignored;
        if (stream_)
            stream_->close(ignored);  // Asio's destructor would take a reset back
        stream_.reset();
#if defined(__linux__)
        attempt_.reset();
#endif
    }

private:
    bool in_reactor() const noexcept
    {
#if defined(__linux__)
        return attempt_ != nullptr;
#else
        return false;
#endif
    }

    /// False: the socket belongs to Asio. Throws std::bad_alloc; the descriptor is closed then.
    bool take_to_reactor([[maybe_unused]] Executor const& executor, [[maybe_unused]] int descriptor)
    {
#if defined(__linux__)
        if constexpr (traits::is_tcp)
        {
            auto* const home = stream_channels<stream_type>::home_of(executor);
            if (!home)
                return false;
            try
            {
                attempt_ = std::make_unique<reactor_attempt>(*home, descriptor);
            }
            catch (std::bad_alloc const&)
            {
                ::close(descriptor);
                throw;
            }
            return true;
        }
#endif
        return false;
    }

    std::optional<stream_type> stream_;
#if defined(__linux__)
    std::unique_ptr<reactor_attempt> attempt_;
#endif
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
