// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_OVER_TLS_HPP
#define DUET_OVER_TLS_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <duet/detail/accept/protocol_layer.hpp>
#include <duet/detail/resolve/address_text.hpp>
#include <duet/session_options.hpp>
#include <duet/tls.hpp>
#include <duet/tls_context.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The protocol of what speaks TLS on connections of another protocol: a tls_server is a basic_server<over_tls<tcp>>.
template <class Protocol>
struct over_tls
{
    using endpoint = typename Protocol::endpoint;
};

namespace detail {

/// Makes sessions that speak TLS of connected sockets, and shakes their hands.
template <class Protocol, class Executor>
class tls_sessions
{
public:
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using session_type = basic_tls_session<stream_type>;
    using endpoint_type = typename Protocol::endpoint;

    static constexpr bool shakes_hands = true;

    /// `host`: whom a client expects.
    explicit tls_sessions(tls_context context, std::string host = {})
        : context_{std::move(context)}, host_(std::move(host))
    {
    }

    /// For the target of a connect: the name that was asked for, or the address, unless a name is set.
    template <class Target>
    tls_sessions expecting(Target const& target) const
    {
        if (!host_.empty())
            return *this;
        if (target.named)
        {
            auto const address = address_of(target.host);
            return tls_sessions{context_, address ? address->to_string() : target.host};
        }
        if constexpr (std::is_same_v<Protocol, boost::asio::ip::tcp>)
            return tls_sessions{context_, target.endpoint.address().to_string()};
        else
            return *this;
    }

    session_type accepted(Executor const& executor, int descriptor, endpoint_type const& local,
        endpoint_type const& remote, session_options const& options) const
    {
        return tls_access::begin<session_type>(executor, descriptor, local, remote, options, context_, host_);
    }

    session_type accepted(stream_type stream, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options) const
    {
        return session_access::adopt<session_type>({std::move(stream), context_, host_}, local, remote, options);
    }

    template <class Connecting>
    session_type connected(Executor const& executor, Connecting& from, endpoint_type const& local,
        endpoint_type const& remote, session_options const& options) const
    {
        return tls_access::begin_connected<session_type>(executor, from, local, remote, options, context_, host_);
    }

    session_type connected(stream_type stream, endpoint_type const& local, endpoint_type const& remote,
        session_options const& options) const
    {
        return session_access::begin<session_type>({std::move(stream), context_, host_}, local, remote, options);
    }

    /// Before the handshake: send these bytes in front of it, in the clear.
    static void say_first(session_type& peer, std::string_view bytes) { tls_access::channel(peer).say_first(bytes); }

    /// Before the handshake: whether something comes before it.
    static void read_in_the_clear(session_type& peer, bool wanted) noexcept
    {
        if (auto const connection = session_access::connection(peer))
            connection->channels_of_stream().tls().read_in_the_clear(wanted);
    }

    /// The peer has been told by an alert why the session has failed, or will be, unless it is reset.
    static bool tells_why(session_type const& peer) noexcept
    {
        auto const connection = session_access::connection(peer);
        auto const& reason = connection->channels_of_stream().tls().failure();
        return reason.category() == openssl_category() || reason.category() == openssl_verify_category();
    }

    static boost::asio::awaitable<void, Executor> shake_hands(session_type& peer) { return handshake(peer); }

    /// See tls_access::move_to().
    static session_type move_to(Executor const& executor, session_type const& peer, session_options const& options)
    {
        return tls_access::move_to(executor, peer, options);
    }

private:
    tls_context context_;
    std::string host_;
};

template <class Protocol>
struct protocol_layer<over_tls<Protocol>>
{
    using transport = Protocol;

    template <class Executor>
    using sessions = tls_sessions<Protocol, Executor>;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
