// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_ADOPT_HPP
#define DUET_TEST_ADOPT_HPP

#include "support/descriptor.hpp"
#include "support/raw_peer.hpp"

#include <duet/session.hpp>

#include <type_traits>

#include <fcntl.h>
#include <sys/socket.h>

namespace duet_test {

// Makes one end of a raw connection a session: the raw socket is closed here, its connection goes on in the session.
// The ports of the raw socket stay known.
template <typename Session = duet::session>
Session adopt(
    raw_socket& socket, typename Session::executor_type const& executor, duet::session_options const& options = {})
{
    using stream_type = typename Session::stream_type;
    using protocol_type = typename stream_type::protocol_type;
    descriptor own{checked(::fcntl(socket.fd(), F_DUPFD_CLOEXEC, 0), "dup")};
    stream_type stream{executor};
    if constexpr (std::is_same_v<protocol_type, boost::asio::ip::tcp>)
    {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        checked(::getsockname(own.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
        stream.assign(address.ss_family == AF_INET6 ? protocol_type::v6() : protocol_type::v4(), own.get());
    }
    else
    {
        stream.assign(protocol_type{}, own.get());
    }
    own.release();
    socket.close();
    return Session{std::move(stream), options};
}

}  // namespace duet_test

#endif
