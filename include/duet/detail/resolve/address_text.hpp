// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RESOLVE_ADDRESS_TEXT_HPP
#define DUET_DETAIL_RESOLVE_ADDRESS_TEXT_HPP

// Addresses, ports and names as text. They are read strictly here, because the C library is not strict: getaddrinfo
// takes the port modulo 65536, skips spaces and signs before it, and ignores what follows a null byte.

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A numeric address: "192.0.2.1", "2001:db8::1", "fe80::1%eth0", or an IPv6 address in brackets as in a URL, "[::1]".
/// nullopt: it is none.
DUET_DECL std::optional<boost::asio::ip::address> address_of(std::string_view text) noexcept;

/// A port: decimal digits alone, at most 65535. nullopt: it is none.
DUET_DECL std::optional<std::uint16_t> port_of(std::string_view text) noexcept;

/// The endpoint of a host and a service that are both numeric. nullopt: they have to be looked up, or are none.
DUET_DECL std::optional<boost::asio::ip::tcp::endpoint> numeric_endpoint(
    std::string_view host, std::string_view service) noexcept;

/// True if `text` may be the name of a service: it has a letter, and no space or control character.
DUET_DECL bool may_name_service(std::string_view text) noexcept;

/// How a host and a service are spelled in texts: "example.org:80", "[::1]:80", with "\0" for a null byte.
DUET_DECL std::string text_of_name(std::string const& host, std::string const& service);

/// Checks a host and a service before they are looked up, and removes the brackets of an IPv6 address from `host`.
/// Returns the endpoint if both are numeric, so that there is nothing to look up. Throws system_error: invalid_argument
/// for a null byte, host_not_found for brackets around or inside anything else, service_not_found for what is neither a
/// port nor a name.
DUET_DECL std::optional<boost::asio::ip::tcp::endpoint> check_name(std::string& host, std::string const& service);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/resolve/address_text.ipp>
#endif

#endif
