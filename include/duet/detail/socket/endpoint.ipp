// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_ENDPOINT_IPP
#define DUET_DETAIL_SOCKET_ENDPOINT_IPP

#include <duet/endpoint.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL boost::asio::ip::tcp::endpoint unmapped(boost::asio::ip::tcp::endpoint const& endpoint) noexcept
{
    namespace ip = boost::asio::ip;
    auto const address = endpoint.address();
    if (!address.is_v6())
        return endpoint;
    auto const six = address.to_v6();
    return six.is_v4_mapped() ? ip::tcp::endpoint{ip::make_address_v4(ip::v4_mapped, six), endpoint.port()} : endpoint;
}

}  // namespace detail

DUET_DECL std::string to_string(boost::asio::ip::tcp::endpoint const& endpoint)
{
    auto const address = detail::unmapped(endpoint).address();
    auto const port = std::to_string(endpoint.port());
    return address.is_v6() ? '[' + address.to_string() + "]:" + port : address.to_string() + ':' + port;
}

DUET_DECL std::string to_string(boost::asio::local::stream_protocol::endpoint const& endpoint)
{
    auto path = endpoint.path();
    if (path.empty())
        return "unix:(unnamed)";
    if (path.front() == '\0')  // an abstract name (Linux)
        path.front() = '@';
    return "unix:" + path;
}

DUET_DECL std::string to_string(any_endpoint const& endpoint)
{
    return std::visit([](auto const& one) { return to_string(one); }, endpoint);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
