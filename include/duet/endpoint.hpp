// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_ENDPOINT_HPP
#define DUET_ENDPOINT_HPP

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <string>
#include <variant>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// An endpoint as text, as in all of duet's messages: "127.0.0.1:80" or "[::1]:80". An IPv4 address that is mapped to
/// IPv6 reads as the IPv4 address.
DUET_DECL std::string to_string(boost::asio::ip::tcp::endpoint const& endpoint);

/// "unix:/run/server", "unix:@name" if it is abstract (Linux), "unix:(unnamed)" if it has no name, as most clients.
DUET_DECL std::string to_string(boost::asio::local::stream_protocol::endpoint const& endpoint);

/// The endpoint of a connection of either kind.
using any_endpoint = std::variant<boost::asio::ip::tcp::endpoint, boost::asio::local::stream_protocol::endpoint>;

DUET_DECL std::string to_string(any_endpoint const& endpoint);

namespace detail {

/// The IPv4 endpoint that is mapped to this one, if so. A listener for both families sees its IPv4 clients as such.
DUET_DECL boost::asio::ip::tcp::endpoint unmapped(boost::asio::ip::tcp::endpoint const& endpoint) noexcept;

template <class Endpoint>
Endpoint const& unmapped(Endpoint const& endpoint) noexcept
{
    return endpoint;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/endpoint.ipp>
#endif

#endif
