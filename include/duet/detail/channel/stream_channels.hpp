// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_STREAM_CHANNELS_HPP
#define DUET_DETAIL_CHANNEL_STREAM_CHANNELS_HPP

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <utility>

#include <duet/detail/channel/asio_channel.hpp>
#include <duet/error.hpp>
#include <duet/stream_traits.hpp>

#if defined(__linux__)
#include <duet/detail/channel/epoll_channel.hpp>
#include <duet/detail/channel/reactor.hpp>

#include <unistd.h>
#endif

namespace duet {
inline namespace v0 {
namespace detail {

/// A stream, and the channel that uses Asio's operations.
template <class Stream>
class asio_channels
{
    using traits = stream_traits<Stream>;

public:
    /// splice(2) may move the stream's bytes.
    static constexpr bool may_splice = has_tcp_descriptor<Stream>;

    asio_channels(Stream&& stream, channel_user& user) noexcept : stream_{std::move(stream)}, asio_{stream_, user} {}

    /// Let the sockets of a context use a reactor. Only one thread may run the context.
    static void prepare(boost::asio::io_context&) noexcept {}

    Stream& stream() noexcept { return stream_; }

    channel& asio() noexcept { return asio_; }

    auto native_handle() noexcept { return stream_.lowest_layer().native_handle(); }

    /// Returns the channel to use. The stream takes over `descriptor`, a connected, non-blocking socket; -1: the stream
    /// already has its descriptor. Null: an error; the caller still owns the descriptor.
    template <class Endpoint>
    channel* begin([[maybe_unused]] boost::asio::io_context* context, Endpoint const& local, int descriptor,
        error_code& error) noexcept
    {
        if (descriptor >= 0)
            assign(local, descriptor, error);
        return error ? nullptr : &asio_;
    }

    /// Move the socket from the reactor to Asio and return the channel to use from now on. Null: the socket is with
    /// Asio already, or `error` is set.
    template <class Endpoint>
    channel* leave_reactor(Endpoint const&, error_code&) noexcept
    {
        return nullptr;
    }

    /// The connection has ended.
    void end() noexcept {}

protected:
    template <class Endpoint>
    void assign([[maybe_unused]] Endpoint const& local, [[maybe_unused]] int descriptor, error_code& error) noexcept
    {
        if constexpr (requires { stream_.assign(local.protocol(), descriptor, error); })
        {
            try
            {
                stream_.assign(local.protocol(), descriptor, error);
            }
            catch (std::exception const&)
            {
                error = boost::asio::error::no_memory;
            }
            if (!error)
                traits::prepare(stream_);
        }
        else
            error = boost::asio::error::operation_not_supported;
    }

private:
    Stream stream_;
    asio_channel<Stream> asio_;
};

#if defined(__linux__)

/// A TCP socket that is registered with the reactor of its context, if there is one and it suits.
template <class Stream>
class tcp_channels : public asio_channels<Stream>
{
    using base = asio_channels<Stream>;

public:
    tcp_channels(Stream&& stream, channel_user& user) noexcept : base{std::move(stream), user}, epoll_{user} {}

    ~tcp_channels() { end(); }

    static void prepare(boost::asio::io_context& context) noexcept { reactor::use(context); }

    int native_handle() noexcept
    {
        return epoll_.descriptor() >= 0 ? epoll_.descriptor() : this->stream().native_handle();
    }

    template <class Endpoint>
    channel* begin(boost::asio::io_context* context, Endpoint const& local, int descriptor, error_code& error) noexcept
    {
        reactor_ = reactor::of(context);
        bool const suits = reactor_ && reactor_->suits();
        if (reactor_)
            reactor_->count(1);
        if (!suits)
            return base::begin(context, local, descriptor, error);
        bool const from_stream = descriptor < 0;
        if (from_stream)
        {
            error_code refused;
            descriptor = this->stream().release(refused);
            if (refused)
                return &this->asio();
        }
        if (epoll_.enter(*reactor_, descriptor))
            return &epoll_;
        auto* const other = base::begin(context, local, descriptor, error);
        if (!other && from_stream)
            ::close(descriptor);
        return other;
    }

    template <class Endpoint>
    channel* leave_reactor(Endpoint const& local, error_code& error) noexcept
    {
        if (epoll_.descriptor() < 0)
            return nullptr;
        this->assign(local, epoll_.descriptor(), error);
        if (error)
            return nullptr;
        epoll_.leave();
        return &this->asio();
    }

    void end() noexcept
    {
        if (reactor_)
            std::exchange(reactor_, nullptr)->count(-1);
    }

private:
    epoll_channel epoll_;
    reactor* reactor_ = nullptr;  // the context's reactor if it has one, even if the socket is not in it
};

#endif

/// A stream and the channels that can access it. The channel is chosen when the connection begins, and changes when the
/// program asks for the stream.
template <class Stream>
struct stream_channels : asio_channels<Stream>
{
    using asio_channels<Stream>::asio_channels;
};

#if defined(__linux__)
template <class Executor>
struct stream_channels<boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>>
    : tcp_channels<boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>>
{
    using tcp_channels<boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>>::tcp_channels;
};
#endif

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
