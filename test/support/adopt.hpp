// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_ADOPT_HPP
#define DUET_TEST_ADOPT_HPP

#include "support/descriptor.hpp"
#include "support/raw_peer.hpp"

#include <duet/session.hpp>

#include <cstdlib>
#include <type_traits>

#include <fcntl.h>
#include <sys/socket.h>

namespace duet_test {

// DUET_TEST_REACTOR=1: sessions of TCP have their sockets in the reactor of their context, as a server's have. Tests
// whose context is run by several threads, or whose executor is a strand, are not concerned.
inline bool reactor_wanted()
{
    static bool const wanted = std::getenv("DUET_TEST_REACTOR") != nullptr;
    return wanted;
}

// The same for every session of a server that is made on this context.
inline void prepare(boost::asio::io_context& context)
{
    if (!reactor_wanted())
        return;
    duet::detail::wakeup_queue::use(context);
#if defined(__linux__)
    duet::detail::reactor::use(context, 0);
#endif
}

// Makes one end of a raw connection a session: the raw socket is closed here, its connection goes on in the session.
// The ports of the raw socket stay known.
template <typename Session = duet::session>
Session adopt(
    raw_socket& socket, typename Session::executor_type const& executor, duet::session_options const& options = {})
{
    using stream_type = typename Session::stream_type;
    using protocol_type = typename stream_type::protocol_type;
    descriptor own{checked(::fcntl(socket.fd(), F_DUPFD_CLOEXEC, 0), "dup")};
    socket.close();
    stream_type stream{executor};
    if constexpr (std::is_same_v<protocol_type, boost::asio::ip::tcp>)
    {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        checked(::getsockname(own.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
        stream.assign(address.ss_family == AF_INET6 ? protocol_type::v6() : protocol_type::v4(), own.get());
        own.release();
#if defined(__linux__)
        auto* const context = duet::detail::plain_context_of(executor);
        if (context && reactor_wanted())
        {
            prepare(*context);
            boost::system::error_code ignored;
            auto const local = stream.local_endpoint(ignored);
            auto const remote = stream.remote_endpoint(ignored);
            Session::traits::apply(stream, options);
            Session::traits::prepare(stream);
            return duet::detail::session_access::begin<Session>(std::move(stream), local, remote, options);
        }
#endif
    }
    else
    {
        stream.assign(protocol_type{}, own.get());
        own.release();
    }
    return Session{std::move(stream), options};
}

}  // namespace duet_test

#endif
