// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_STREAM_CHANNELS_HPP
#define DUET_DETAIL_CHANNEL_STREAM_CHANNELS_HPP

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <memory>
#include <utility>

#include <duet/detail/channel/asio_channel.hpp>
#include <duet/error.hpp>
#include <duet/stream_traits.hpp>

#if defined(__linux__)
#include <duet/detail/channel/connecting_socket.hpp>
#include <duet/detail/channel/epoll_channel.hpp>
#include <duet/detail/channel/reactor.hpp>
#include <duet/detail/completion/plain_context.hpp>

#include <unistd.h>
#endif

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A stream, and the channel that uses Asio's operations.
template <class Stream>
class asio_channels
{
    using traits = stream_traits<Stream>;

public:
    using executor_type = typename Stream::executor_type;

    /// splice(2) may move the stream's bytes.
    static constexpr bool may_splice = has_tcp_descriptor<Stream>;

    asio_channels(Stream&& stream, channel_user& user) noexcept : stream_{std::move(stream)}, asio_{stream_, user} {}

    asio_channels(executor_type const& executor, channel_user& user) : stream_{executor}, asio_{stream_, user} {}

    /// Let the sockets of a context use a reactor. Only one thread may run the context.
    static void prepare(boost::asio::io_context&) noexcept {}

    bool has_stream() const noexcept { return true; }

    Stream& stream() noexcept { return stream_; }

    /// The channel to use before begin().
    channel& first() noexcept { return asio_; }

    auto native_handle() noexcept { return stream_.lowest_layer().native_handle(); }

    /// Returns the channel to use. The stream takes over `descriptor`, a connected, non-blocking socket; -1: the stream
    /// already has its descriptor. Null: an error; the caller still owns the descriptor. `user`: that of the
    /// constructor.
    template <class Endpoint>
    channel* begin(channel_user&, boost::asio::io_context*, executor_type const&,
        [[maybe_unused]] Endpoint const& local, [[maybe_unused]] int descriptor, error_code& error) noexcept
    {
        if (descriptor < 0)
            return &asio_;
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
        return error ? nullptr : &asio_;
    }

    /// Move the socket from the reactor to Asio and return the channel to use from now on. Null: the socket is with
    /// Asio already, or `error` is set.
    template <class Endpoint>
    channel* leave_reactor(channel_user&, executor_type const&, Endpoint const&, error_code&) noexcept
    {
        return nullptr;
    }

    /// Returns the descriptor, which now belongs to the caller; -1: `error` is set. Then close the channel.
    int give_away(error_code& error) noexcept
    {
        error.clear();
        int const descriptor = stream_.release(error);
        return error ? -1 : descriptor;
    }

    /// The connection has ended.
    void end() noexcept {}

private:
    Stream stream_;
    asio_channel<Stream> asio_;
};

#if defined(__linux__)

/// A TCP socket that is registered with the reactor of its context, if there is one and it suits. An Asio socket is
/// made only if it is needed: it costs 150 bytes, and a look-up of its service.
template <class Stream>
class tcp_channels
{
    using with_asio = asio_channels<Stream>;

public:
    using executor_type = typename Stream::executor_type;

    static constexpr bool may_splice = with_asio::may_splice;

    tcp_channels(Stream&& stream, channel_user& user)
        : asio_{std::make_unique<with_asio>(std::move(stream), user)}, epoll_{user}
    {
    }

    tcp_channels(executor_type const&, channel_user& user) noexcept : epoll_{user} {}

    ~tcp_channels() { end(); }

    static void prepare(boost::asio::io_context& context) noexcept { reactor::use(context); }

    /// The reactor where a socket that is made now on this executor belongs; null: it belongs to Asio.
    static reactor* home_of(executor_type const& executor) noexcept
    {
        auto* const home = reactor::of(plain_context_of(executor));
        return home && home->suits() ? home : nullptr;
    }

    /// True after leave_reactor(), unless that had no memory.
    bool has_stream() const noexcept { return asio_ != nullptr; }

    Stream& stream() noexcept { return asio_->stream(); }

    channel& first() noexcept { return asio_ ? asio_->first() : epoll_; }

    int native_handle() noexcept
    {
        return epoll_.descriptor() >= 0 || !asio_ ? epoll_.descriptor() : asio_->native_handle();
    }

    template <class Endpoint>
    channel* begin(channel_user& user, boost::asio::io_context* context, executor_type const& executor,
        Endpoint const& local, int descriptor, error_code& error) noexcept
    {
        auto* const home = reactor::of(context);
        bool const suits = home && home->suits();
        epoll_.set_home(home);
        if (!suits)
            return begin_with_asio(user, executor, local, descriptor, error);
        bool const from_stream = descriptor < 0;
        if (from_stream)
        {
            error_code refused;
            descriptor = asio_->stream().release(refused);
            if (refused)
                return &asio_->first();
        }
        if (epoll_.enter(*home, descriptor))
        {
            asio_.reset();
            return &epoll_;
        }
        auto* const other = begin_with_asio(user, executor, local, descriptor, error);
        if (!other && from_stream)
            ::close(descriptor);
        return other;
    }

    /// Take over a socket that has connected in the reactor.
    channel& begin_connected(connecting_socket& from) noexcept
    {
        epoll_.set_home(&from.home());
        epoll_.enter(from);
        return epoll_;
    }

    template <class Endpoint>
    channel* leave_reactor(
        channel_user& user, executor_type const& executor, Endpoint const& local, error_code& error) noexcept
    {
        if (epoll_.descriptor() < 0)
        {
            make_asio(user, executor, error);  // a closed socket, for a connection that has ended
            return nullptr;
        }
        auto* const next = begin_with_asio(user, executor, local, epoll_.descriptor(), error);
        if (next)
            epoll_.leave();
        return next;
    }

    int give_away(error_code& error) noexcept
    {
        if (epoll_.descriptor() < 0)
            return asio_->give_away(error);
        error.clear();
        return epoll_.give_away();
    }

    void end() noexcept { epoll_.leave_home(); }

private:
    void make_asio(channel_user& user, executor_type const& executor, error_code& error) noexcept
    {
        if (asio_)
            return;
        try
        {
            asio_ = std::make_unique<with_asio>(executor, user);
        }
        catch (std::exception const&)
        {
            error = boost::asio::error::no_memory;
        }
    }

    template <class Endpoint>
    channel* begin_with_asio(channel_user& user, executor_type const& executor, Endpoint const& local, int descriptor,
        error_code& error) noexcept
    {
        make_asio(user, executor, error);
        return error ? nullptr : asio_->begin(user, nullptr, executor, local, descriptor, error);
    }

    std::unique_ptr<with_asio> asio_;  // null: the socket is in the reactor and has always been
    epoll_channel epoll_;  // its home is the context's reactor if it has one, even if the socket is not in it
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
}  // namespace DUET_ABI
}  // namespace duet

#endif
