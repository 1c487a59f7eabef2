// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_STREAM_CONNECTION_HPP
#define DUET_DETAIL_ENGINE_STREAM_CONNECTION_HPP

#include <boost/asio/io_context.hpp>

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/detail/channel/asio_channel.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>

#if defined(__linux__)
#include <duet/detail/channel/epoll_channel.hpp>
#include <duet/detail/channel/reactor.hpp>

#include <unistd.h>
#endif

namespace duet {
inline namespace v0 {
namespace detail {

/// A connection on a stream: it has the stream, its channels and the endpoints.
template <class Stream>
class stream_connection final : public connection
{
    using traits = stream_traits<Stream>;

public:
    using executor_type = typename Stream::executor_type;
    using endpoint_type = typename traits::endpoint_type;

    /// It may use the reactor of its context: see begin().
    static constexpr bool has_epoll_channel = has_tcp_descriptor<Stream>;

    /// Its bytes may be moved by splice(2).
    static constexpr bool may_splice = has_tcp_descriptor<Stream>;

    stream_connection(
        Stream&& stream, endpoint_type const& local, endpoint_type const& remote, session_options const& options)
        : connection{stream.get_executor(), options}, stream_{std::move(stream)}, asio_{stream_, *this}, local_{local},
          remote_{remote}
    {
        use(asio_);
    }

    /// Of a connected descriptor, non-blocking. It is the connection's from begin() on, unless that fails.
    stream_connection(executor_type const& executor, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options)
        : stream_connection{Stream{executor}, local, remote, options}
    {
    }

    /// Let the sockets of a context that one thread runs use a reactor.
    static void prepare([[maybe_unused]] boost::asio::io_context& context) noexcept
    {
#if defined(__linux__)
        if constexpr (has_epoll_channel)
            reactor::use(context);
#endif
    }

    /// Give the socket to the reactor of its context, if there is one and it suits; else to Asio, or leave it there.
    /// `descriptor` is that of the socket, unless the stream has it: -1. An error: it is still the caller's. Before the
    /// first operation.
    error_code begin(int descriptor = -1) noexcept
    {
#if defined(__linux__)
        if constexpr (has_epoll_channel)
        {
            reactor_ = reactor::of(reactor::context_of(stream_.get_executor()));
            if (reactor_)
            {
                bool const suits = reactor_->suits();
                reactor_->count(1);
                if (suits)
                    return enter(descriptor);
            }
        }
#endif
        return descriptor < 0 ? error_code{} : assign(descriptor);
    }

    /// For what is done with the stream from outside: from now on it is Asio's.
    Stream& stream() noexcept
    {
#if defined(__linux__)
        if constexpr (has_epoll_channel)
        {
            if (current_channel() == &epoll_ && !life().released())
                leave_reactor();
        }
#endif
        return stream_;
    }

    auto native_handle() noexcept
    {
#if defined(__linux__)
        if constexpr (has_epoll_channel)
        {
            if (current_channel() == &epoll_)
                return epoll_.descriptor();
        }
#endif
        return stream_.lowest_layer().native_handle();
    }

    decltype(auto) get_executor() noexcept
    {
        return stream_.get_executor();
    }

    endpoint_type const& local() const noexcept
    {
        return local_;
    }

    endpoint_type const& remote() const noexcept
    {
        return remote_;
    }

    std::string describe_peer() const override
    {
        return traits::describe(remote_);
    }

private:
    ~stream_connection()
    {
        on_released();
    }

    /// Out of line: where two references go in one function, g++ 12 warns of a use after free that is none.
    [[gnu::noinline]] void dispose() noexcept override
    {
        delete this;
    }

    void on_released() noexcept override
    {
#if defined(__linux__)
        if (reactor_)
            std::exchange(reactor_, nullptr)->count(-1);
#endif
    }

    error_code assign(int descriptor) noexcept
    {
        error_code error;
        try
        {
            stream_.assign(local_.protocol(), descriptor, error);
        }
        catch (std::exception const&)
        {
            error = boost::asio::error::no_memory;
        }
        if (!error)
            traits::prepare(stream_);
        return error;
    }

#if defined(__linux__)
    /// Into the reactor; into Asio where there is no memory for that.
    error_code enter(int descriptor) noexcept requires has_epoll_channel
    {
        error_code error;
        bool const from_stream = descriptor < 0;
        if (from_stream)
            descriptor = stream_.release(error);
        if (error)
            return {};  // it stays there
        if (epoll_.enter(*reactor_, descriptor))
        {
            use(epoll_);
            return {};
        }
        error = assign(descriptor);
        if (error && from_stream)
            ::close(descriptor);
        return error;
    }

    void leave_reactor() noexcept requires has_epoll_channel
    {
        if (assign(epoll_.descriptor()))
            return out_of_memory();
        epoll_.leave();
        change_channel(asio_);
    }
#endif

    Stream stream_;
    asio_channel<Stream> asio_;
#if defined(__linux__)
    struct no_channel
    {
        explicit no_channel(channel_user&) noexcept {}
    };

    [[no_unique_address]] std::conditional_t<has_epoll_channel, epoll_channel, no_channel> epoll_{*this};
    reactor* reactor_ = nullptr;  // that of the context, if it has one, whether the socket is there or not
#endif
    endpoint_type local_;
    endpoint_type remote_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
