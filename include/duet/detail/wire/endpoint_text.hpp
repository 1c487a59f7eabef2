// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_ENDPOINT_TEXT_HPP
#define DUET_DETAIL_WIRE_ENDPOINT_TEXT_HPP

#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <string_view>

#include <duet/detail/resolve/address_text.hpp>
#include <duet/endpoint.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An endpoint as a packet has it: an address of IPv4 that is mapped to IPv6 is of IPv4, and there is no scope.
inline boost::asio::ip::tcp::endpoint endpoint_on_the_wire(boost::asio::ip::tcp::endpoint const& endpoint)
{
    auto const plain = unmapped(endpoint);
    if (plain.address().is_v4())
        return plain;
    return {boost::asio::ip::address_v6{plain.address().to_v6().to_bytes()}, plain.port()};
}

/// That of a trace_session: "127.0.0.1:80", "[::1]:80". nullopt: it is something else.
inline std::optional<boost::asio::ip::tcp::endpoint> endpoint_of(std::string_view text)
{
    auto const colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    auto const address = address_of(text.substr(0, colon));
    auto const port = port_of(text.substr(colon + 1));
    if (!address || !port)
        return std::nullopt;
    return endpoint_on_the_wire({*address, *port});
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
