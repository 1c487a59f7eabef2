// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_STREAM_TRAITS_HPP
#define DUET_STREAM_TRAITS_HPP

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <string>
#include <type_traits>

#include <duet/detail/socket/socket_calls.hpp>
#include <duet/endpoint.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The seam between a session and what carries its bytes: all that a session asks of a stream beyond the members that
/// it has in common with Asio's sockets. Specialise it to put sessions on another stream: session_stream
/// (session_stream.hpp) lists what it has to have, and what each means.
template <class Stream>
struct stream_traits;

/// TCP and Unix-domain stream sockets.
template <class Protocol, class Executor>
struct stream_traits<boost::asio::basic_stream_socket<Protocol, Executor>>
{
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using endpoint_type = typename Protocol::endpoint;
    using lowest_layer_type = typename stream_type::lowest_layer_type;
    using native_handle_type = typename stream_type::native_handle_type;

    static constexpr bool is_tcp = std::is_same_v<Protocol, boost::asio::ip::tcp>;

    /// The stream can end its own direction and go on receiving.
    static constexpr bool half_close = true;

    /// `async_wait(wait_error)` ends when the connection hangs up. Asio's other reactors (select, kqueue) tell nothing
    /// but urgent data there, so a session looks for itself. A specialisation without this member is one that tells.
#if defined(BOOST_ASIO_HAS_EPOLL)
    static constexpr bool tells_hang_up = true;
#else
    static constexpr bool tells_hang_up = false;
#endif

    /// The peer of a reset sees one, though we have left no input unread. Unix-domain sockets know no RST.
    static constexpr bool tells_reset = is_tcp;

    /// A connection accepted here has the options of its listener.
#if defined(__linux__)
    static constexpr bool options_are_inherited = is_tcp;
#else
    static constexpr bool options_are_inherited = false;
#endif

    /// Set the socket's options. One that the system refuses is left.
    static void apply(stream_type& stream, session_options const& options) noexcept
    {
        detail::set_stream_options(stream.native_handle(), is_tcp, options);
    }

    /// Make a connected stream ready: from now on its calls without a handler return would_block instead of waiting.
    static void prepare(stream_type& stream) noexcept
    {
        boost::system::error_code ignored;
        stream.non_blocking(true, ignored);
    }

    /// End the direction to the peer: FIN. Errors are the caller's to judge: not_connected after a reset is normal.
    static void shutdown_send(stream_type& stream, boost::system::error_code& error) noexcept
    {
        stream.shutdown(stream_type::shutdown_send, error);
    }

    /// Close with RST. An explicit close: Asio's destructor takes SO_LINGER back and sends FIN.
    static void reset(stream_type& stream) noexcept
    {
        boost::system::error_code ignored;
        stream.set_option(boost::asio::socket_base::linger{true, 0}, ignored);
        stream.close(ignored);
    }

    /// The kernel's plain close.
    static void close(stream_type& stream) noexcept
    {
        boost::system::error_code ignored;
        stream.close(ignored);
    }

    /// Complete every outstanding operation of the stream with operation_aborted; the stream stays usable.
    static void cancel(stream_type& stream) noexcept
    {
        boost::system::error_code ignored;
        stream.cancel(ignored);
    }

    /// Read without waiting and throw away, up to `limit` bytes. 0 with no error is the peer's FIN; would_block means
    /// that nothing was there.
    static std::size_t discard(stream_type& stream, std::size_t limit, boost::system::error_code& error) noexcept
    {
        return detail::discard_input(stream.native_handle(), limit, error);
    }

    /// Bytes sent that the peer has not acknowledged; the FIN counts as one. 0 where the system cannot tell.
    static std::size_t unacknowledged(stream_type& stream) noexcept
    {
        return detail::unacknowledged(stream.native_handle());
    }

    /// A read would not wait: bytes, the peer's FIN, or a failure are there.
    static bool has_input(stream_type& stream) noexcept
    {
        return detail::has_input(stream.native_handle());
    }

    /// The connection is broken (poll's POLLERR). Consumes nothing.
    static bool has_failed(stream_type& stream) noexcept
    {
        return detail::has_failed(stream.native_handle());
    }

    /// Nothing will ever come or go again (poll's POLLHUP): both directions ended, or it broke. An urgent byte is
    /// thrown away: it would end every `async_wait(wait_error)` at once, and no read here would ever take it.
    static bool has_hung_up(stream_type& stream) noexcept
    {
        return detail::has_hung_up(stream.native_handle());
    }

    /// The error of a broken connection. It may consume it: the caller latches what it gets.
    static boost::system::error_code take_failure(stream_type& stream) noexcept
    {
        return detail::take_failure(stream.native_handle());
    }

    static void set_dead_peer_timeout(stream_type& stream, deadlines::duration timeout) noexcept
    {
        if constexpr (is_tcp)
            detail::set_dead_peer_timeout(stream.native_handle(), timeout);
    }

    static duet::tcp_snapshot info(stream_type& stream, boost::system::error_code& error) noexcept
    {
        if constexpr (is_tcp)
            return query_tcp_info(stream.native_handle(), error);
        error = boost::asio::error::operation_not_supported;
        return {};
    }

    static std::string describe(endpoint_type const& endpoint)
    {
        return to_string(endpoint);
    }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
