// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_STREAM_CONNECTION_HPP
#define DUET_DETAIL_ENGINE_STREAM_CONNECTION_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <concepts>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <duet/detail/channel/stream_channels.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/kept_ends.hpp>
#include <duet/detail/socket/socket_calls.hpp>
#include <duet/endpoint.hpp>
#include <duet/error.hpp>
#include <duet/proxy_header.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Asio's sockets, which can give away their descriptors.
template <class Stream>
concept releasable_stream = requires
{
    typename Stream::protocol_type;
    requires std::derived_from<Stream,
        boost::asio::basic_stream_socket<typename Stream::protocol_type, typename Stream::executor_type>>;
};

/// A connection on a stream. It owns the stream, its channels and its endpoints.
template <class Stream>
class stream_connection final : public connection
{
    using traits = stream_traits<Stream>;
    using channels = stream_channels<Stream>;

public:
    using executor_type = typename Stream::executor_type;
    using endpoint_type = typename traits::endpoint_type;
    using endpoint_result = typename kept_ends<endpoint_type>::result;

    static constexpr bool may_splice = channels::may_splice;
    static constexpr bool tells_address = std::is_constructible_v<any_endpoint, endpoint_type>;

    stream_connection(
        Stream&& stream, endpoint_type const& local, endpoint_type const& remote, session_options const& options)
        : connection{stream.get_executor(), options}, channels_{std::move(stream), *this}, ends_{unmapped(local),
                                                                                               unmapped(remote)}
    {
        use(channels_.first());
    }

    /// For a connected descriptor, which begin() takes over.
    stream_connection(executor_type const& executor, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options)
        : connection{executor, options}, channels_{executor, *this}, ends_{unmapped(local), unmapped(remote)}
    {
        use(channels_.first());
    }

    /// Let the connections of a context share a reactor and a timer. Only one thread may run the context.
    static void prepare(boost::asio::io_context& context) noexcept
    {
        wakeup_queue::use(context);
        channels::prepare(context);
    }

    /// Call this before the first operation. Takes over `descriptor`, a connected, non-blocking socket (-1: the stream
    /// already has it), and uses the reactor of the context if that suits. On an error the caller still owns the
    /// descriptor.
    error_code begin(int descriptor = -1) noexcept
    {
        error_code error;
        if (auto* const first =
                channels_.begin(*this, plain_context(), get_executor(), ends_.local(), descriptor, error))
            use(*first);
        return error;
    }

    /// The same for a socket that has connected in the reactor of the context: a connecting_socket.
    template <class Connecting>
    void begin_connected(Connecting& from) noexcept
    {
        use(channels_.begin_connected(from));
    }

    /// For programs that use the stream directly: from now on the socket waits in Asio's reactor. If there is no memory
    /// for that, the session ends. Throws std::bad_alloc if there is none for a closed stream either.
    Stream& stream()
    {
        set_late_options();
        error_code error;
        if (auto* const next = channels_.leave_reactor(*this, get_executor(), ends_.local(), error))
            change_channel(*next);
        else if (error)
            out_of_memory();
        if (!channels_.has_stream())
            throw std::bad_alloc{};
        return channels_.stream();
    }

    /// Give the socket away. Whatever waits for it ends as if the session had been destroyed.
    Stream release() requires releasable_stream<Stream>
    {
        Stream result{get_executor()};
        error_code error;
        int const descriptor = give_away(error);
        if (descriptor >= 0)
        {
            result.assign(ends_.local().protocol(), descriptor, error);
            if (error)
                ::close(descriptor);
        }
        if (error)
            throw session_error{error, "release", describe_peer(), 0};
        return result;
    }

    /// The descriptor is the caller's, and whatever waits for it ends as if the session had been destroyed. -1: `error`
    /// is set.
    int give_away(error_code& error) noexcept
    {
        error = errc::closed;
        if (life().released())
            return -1;
        set_late_options();
        int const descriptor = channels_.give_away(error);
        if (descriptor >= 0)
            drop();
        return descriptor;
    }

    /// For the program.
    auto native_handle() noexcept
    {
        set_late_options();
        return channels_.native_handle();
    }

    channels& channels_of_stream() noexcept { return channels_; }

    executor_type const& get_executor() const noexcept
    {
        if constexpr (std::is_same_v<executor_type, boost::asio::any_io_executor>)
            return executor();
        else
            return *executor().template target<executor_type>();
    }

    /// The ends of the connection itself or, if a proxy has told of them, of the client's.
    endpoint_result local() const noexcept
    {
        if (proxied_)
            return proxied_->local;
        return own();
    }

    endpoint_result remote() const noexcept
    {
        if (proxied_)
            return proxied_->remote;
        return ends_.remote();
    }

    std::string describe_peer() const override
    {
        return client() ? to_string(client()->source) : traits::describe(ends_.remote());
    }

    std::string describe_local() const override
    {
        return client() ? to_string(client()->destination) : traits::describe(own());
    }

    /// Who is at the other end, of any kind. Only for sockets.
    any_endpoint peer() const requires tells_address
    {
        return client() ? client()->source : any_endpoint{ends_.remote()};
    }

    /// A proxy has told of the client. Throws std::bad_alloc.
    void set_proxied(proxy_header&& header)
    {
        auto told = std::make_unique<proxied_ends>(proxied_ends{{std::move(header), {}, {}}, own(), ends_.remote()});
        if constexpr (tells_address)
        {
            told->what.proxy = ends_.remote();
            told->what.local = own();
            auto const& ends = told->what.header.ends;
            auto const* const source = ends ? std::get_if<endpoint_type>(&ends->source) : nullptr;
            auto const* const destination = ends ? std::get_if<endpoint_type>(&ends->destination) : nullptr;
            if (source && destination)
            {
                told->remote = unmapped(*source);
                told->local = unmapped(*destination);
            }
        }
        proxied_ = std::move(told);
    }

    /// Null if no header was accepted.
    duet::proxied const* proxied() const noexcept { return proxied_ ? &proxied_->what : nullptr; }

private:
    struct proxied_ends
    {
        duet::proxied what;
        endpoint_type local;
        endpoint_type remote;
    };

    proxy_ends const* client() const noexcept
    {
        return proxied_ && proxied_->what.header.ends ? &*proxied_->what.header.ends : nullptr;
    }

    /// The local address. A listener on all addresses does not know which of them a client has chosen: the system is
    /// asked when somebody wants to know.
    endpoint_result own() const noexcept
    {
        if constexpr (std::is_same_v<endpoint_type, boost::asio::ip::tcp::endpoint> &&
                      std::is_same_v<decltype(channels_.native_handle()), int>)
        {
            if (ends_.local().address().is_unspecified() && !life().released())
            {
                error_code error;
                auto const chosen = endpoint_of<endpoint_type>(channels_.native_handle(), ::getsockname, error);
                if (!error)
                    ends_.set_local(unmapped(chosen));
            }
        }
        return ends_.local();
    }

    ~stream_connection() = default;

    /// Not inlined: if two references are released in one function, g++ 12 warns of a use after free, wrongly.
    [[gnu::noinline]] void dispose() noexcept override { delete this; }

    void on_released() noexcept override { channels_.end(); }

    mutable channels channels_;              // is asked for its descriptor, to learn ...
    mutable kept_ends<endpoint_type> ends_;  // ... the local one, if it is unspecified: see own()
    std::unique_ptr<proxied_ends> proxied_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
