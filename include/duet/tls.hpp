// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_HPP
#define DUET_TLS_HPP

// Sessions that speak TLS. They need OpenSSL 3: link duet::tls.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/ssl.h>

#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <utility>

#include <duet/detail/tls/tls_channels.hpp>
#include <duet/error.hpp>
#include <duet/session.hpp>
#include <duet/session_options.hpp>
#include <duet/tls_context.hpp>
#include <duet/tls_error.hpp>
#include <duet/tls_facts.hpp>
#include <duet/tls_options.hpp>
#include <duet/tls_stream.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {

/// A session that speaks TLS: the same words as those of duet::session, with the same promises. What TLS adds:
///
/// **The end.** The peer's close_notify is the end that a FIN is to a plain session: read_some() completes with 0. A
/// FIN without it is tls_errc::truncated (condition::truncated): the peer was cut off, or is careless; whoever knows
/// where the message ends decides. Whatever follows a close_notify is ignored.
///
/// **shutdown_send()** sends close_notify behind every write, and then FIN, so that the whole of TCP's promises holds.
/// In TLS 1.3 the other direction goes on. A peer may not know that: many programs take close_notify for the end of
/// both. In TLS 1.2 a peer has to answer with close_notify and to throw away what it has not sent (RFC 5246, 7.2.1);
/// one that goes on nevertheless is read.
///
/// **close()** sends close_notify and FIN, and discards input until the peer's close_notify or FIN, whichever comes
/// first: a peer that never says close_notify costs nothing. The report counts plaintext, and what comes after the end
/// as it came.
///
/// **Bytes.** bytes_sent() and bytes_received() count plaintext. A write has completed when its ciphertext is with the
/// kernel, or in the session, which keeps at most 64 KiB and sends it by itself: it keeps the context running until
/// then. delivered() waits for that, too, and unacknowledged bytes are those of the ciphertext.
///
/// **The handshake**: see handshake(). A session without one shakes hands in its first read or write.
///
/// **abort()**, and an exception that leaves a server's handler, send RST without an alert, as in a plain session.
///
/// release() is not available: nobody else could go on. native_handle() and lowest_layer() are those of the socket
/// below; use them for its options only.
template <class Stream>
using basic_tls_session = basic_session<basic_tls_stream<Stream>>;

using tls_session = basic_session<tls_stream>;

namespace detail {

struct tls_access
{
    template <class Stream>
    static tls_channel& channel(basic_tls_session<Stream> const& session)
    {
        auto const connection = session_access::connection(session);
        if (!connection)
            throw session_error{errc::closed, "tls", {}, 0};
        return connection->channels_of_stream().tls();
    }

    template <class Stream>
    static ::SSL* native(basic_tls_session<Stream> const& session)
    {
        auto const* const engine = channel(session).engine();
        if (!engine)
            throw session_error{tls_errc::no_context, "tls", {}, 0};
        return engine->native();
    }

    /// Create a session on a connected, non-blocking descriptor, which is the session's unless this throws: the first
    /// half of accept() and connect(). handshake() is the second.
    template <class Session>
    static Session begin(typename Session::executor_type const& executor, int descriptor,
        typename Session::endpoint_type const& local, typename Session::endpoint_type const& remote,
        session_options const& options, tls_context const& context, std::string host = {})
    {
        auto const made = make<Session>(executor, local, remote, options, context, std::move(host));
        if (auto const error = made->begin(descriptor))
            throw system_error{error};
        return session_access::make<Session>(made);
    }

    /// A session that goes on as another one, on another executor: after its handshake, and before anything else. What
    /// it has not sent yet is sent with the first operation.
    template <class Session>
    static Session move_to(
        typename Session::executor_type const& executor, Session const& from, session_options const& options)
    {
        using below_type = typename Session::stream_type::next_layer_type;
        auto& connection = *session_access::connection(from);
        below_type below{executor};
        error_code error;
        int const descriptor = connection.give_away(error);
        if (error)
            throw session_error{error, "accept", connection.describe_peer(), 0};
        try
        {
            below.assign(connection.local().protocol(), descriptor);
        }
        catch (...)
        {
            ::close(descriptor);
            throw;
        }
        auto stream =
            tls_stream_access::with<below_type>(std::move(below), connection.channels_of_stream().tls().give_engine());
        return session_access::adopt<Session>(std::move(stream), connection.local(), connection.remote(), options);
    }

    /// The same on a socket that has connected in the reactor: a connecting_socket.
    template <class Session, class Connecting>
    static Session begin_connected(typename Session::executor_type const& executor, Connecting& from,
        typename Session::endpoint_type const& local, typename Session::endpoint_type const& remote,
        session_options const& options, tls_context const& context, std::string host)
    {
        auto const made = make<Session>(executor, local, remote, options, context, std::move(host));
        made->begin_connected(from);
        return session_access::make<Session>(made);
    }

    /// A connection that has its engine, and no socket yet.
    template <class Session>
    static auto make(typename Session::executor_type const& executor, typename Session::endpoint_type const& local,
        typename Session::endpoint_type const& remote, session_options const& options, tls_context const& context,
        std::string host)
    {
        using made_type = stream_connection<typename Session::stream_type>;
        auto engine = std::make_unique<tls_engine>(context.settings(), std::move(host));
        owner_ref<made_type> made{new made_type{executor, local, remote, options}};
        made->channels_of_stream().tls().use(std::move(engine));
        return made;
    }

    /// Complete the handshake that the session has begun, within `limit`.
    template <class Stream>
    static boost::asio::awaitable<void, typename Stream::executor_type> shake_hands(
        basic_tls_session<Stream>& peer, deadlines::duration limit)
    {
        using token = boost::asio::as_tuple_t<boost::asio::use_awaitable_t<typename Stream::executor_type>>;
        auto const connection = session_access::connection(peer);
        if (!connection)
            throw session_error{errc::closed, "handshake", {}, 0};
        try
        {
            auto& tls = connection->channels_of_stream().tls();
            auto const name = connection->describe_peer();
            if (!tls.engine())
                throw session_error{tls_errc::no_context, "handshake", name, 0};
            tls.await_handshake(true);
            auto wait = session_access::wait_input(peer, "handshake").within(limit);
            auto const told = co_await std::move(wait)(token{});
            tls.await_handshake(false);
            error_code error = std::get<0>(told);
            if (error == condition::timed_out)
                error = tls_errc::handshake_timed_out;
            else if (!error && !std::get<1>(told))
                error = errc::draining;
            if (error)
                peer.abort();
            else if (tls.failure())
            {
                error = tls.failure();
                // The alert is on its way: a reset would destroy it.
                auto closing = session_access::close(peer);
                auto const ended = co_await std::move(closing)(token{});
                if (std::get<0>(ended))
                    peer.abort();
            }
            if (error)
                throw session_error{error, "handshake", name, 0};
        }
        catch (std::bad_alloc const&)
        {
            peer.abort();
            throw;
        }
    }
};

}  // namespace detail

/// Shake hands: complete when the peer's Finished was read and ours is sent, for a client after the server's
/// certificate was verified. The session has nothing to read or write before. At most one at a time, and no other read.
///
/// It may take tls_client_options::handshake_timeout, or that of the server, in all; the session's deadlines of reads
/// count besides. A failed handshake tells the peer why, by an alert, and ends the session as close() does, within
/// deadlines::close, so that the alert arrives. It is reset if the time is over or the call is cancelled. In every case
/// of failure the session has ended.
///
/// Errors: the reason that OpenSSL gives, as in "handshake 192.0.2.1:443: certificate has expired"; compare it with a
/// tls_condition. tls_errc::handshake_timed_out, tls_errc::handshake_cut; reset, dead_peer, closed, cancelled;
/// errc::draining if the session was asked to finish. std::bad_alloc, after an abort().
///
/// ```cpp
/// duet::tls_session peer{duet::tls_stream{std::move(socket), context, "example.com"}};
/// co_await duet::handshake(peer);
/// co_await peer.write("GET / HTTP/1.0\r\n\r\n");
/// ```
template <class Stream>
boost::asio::awaitable<void, typename Stream::executor_type> handshake(basic_session<basic_tls_stream<Stream>>& peer)
{
    auto const* const engine = detail::tls_access::channel(peer).engine();
    auto const limit = engine ? engine->settings().handshake_timeout() : deadlines::duration{};
    try
    {
        return detail::tls_access::shake_hands<Stream>(peer, limit);
    }
    catch (std::bad_alloc const&)
    {
        peer.abort();
        throw;
    }
}

/// OpenSSL's object of a session, for what is not covered here. Ask it, and do not read, write or shut down with it. It
/// is the session's. Throws session_error (closed) if the session is empty.
template <class Stream>
::SSL* native_tls(basic_session<basic_tls_stream<Stream>> const& peer)
{
    return detail::tls_access::native(peer);
}

/// Throws session_error (closed) if the session is empty; std::bad_alloc.
template <class Stream>
tls_facts facts_of(basic_session<basic_tls_stream<Stream>> const& peer)
{
    return detail::read_tls_facts(detail::tls_access::native(peer));
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
