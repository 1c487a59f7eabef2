// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RESOLVE_ADDRESS_TEXT_IPP
#define DUET_DETAIL_RESOLVE_ADDRESS_TEXT_IPP

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>

#include <duet/detail/resolve/address_text.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL std::optional<boost::asio::ip::address> address_of(std::string_view text) noexcept
{
    bool const bracketed = text.size() >= 2 && text.front() == '[' && text.back() == ']';
    if (bracketed)
        text = text.substr(1, text.size() - 2);
    // Asio wants a null-terminated string. The longest address is 45 characters; a scope is a network interface's name.
    std::array<char, 80> terminated{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::copy(text.begin(), text.end(), terminated.begin());
    error_code error;
    bool const is_v6 = text.find(':') != std::string_view::npos;
    auto const address = is_v6 ? boost::asio::ip::address{boost::asio::ip::make_address_v6(terminated.data(), error)}
                               : boost::asio::ip::address{boost::asio::ip::make_address_v4(terminated.data(), error)};
    if (error || (bracketed && !address.is_v6()))
        return std::nullopt;
    return address;
}

DUET_DECL std::optional<std::uint16_t> port_of(std::string_view text) noexcept
{
    std::uint16_t port = 0;
    auto const* const end = text.data() + text.size();
    auto const parsed = std::from_chars(text.data(), end, port);
    return parsed.ec == std::errc{} && parsed.ptr == end ? std::optional{port} : std::nullopt;
}

DUET_DECL std::optional<boost::asio::ip::tcp::endpoint> numeric_endpoint(
    std::string_view host, std::string_view service) noexcept
{
    auto const port = port_of(service);
    auto const address = port ? address_of(host) : std::nullopt;
    return address ? std::optional<boost::asio::ip::tcp::endpoint>{std::in_place, *address, *port} : std::nullopt;
}

DUET_DECL std::string text_of_name(std::string const& host, std::string const& service)
{
    bool const is_bare_v6 = host.find(':') != std::string::npos && host.front() != '[';
    auto text = is_bare_v6 ? '[' + host + "]:" + service : host + ':' + service;
    for (auto at = text.find('\0'); at != std::string::npos; at = text.find('\0', at))
        text.replace(at, 1, "\\0");
    return text;
}

DUET_DECL bool may_name_service(std::string_view text) noexcept
{
    // Not <cctype>, which depends on the locale.
    auto const is_letter = [](char each) { return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z'); };
    auto const is_visible = [](char each) { return each > ' ' && each <= '~'; };
    return std::any_of(text.begin(), text.end(), is_letter) && std::all_of(text.begin(), text.end(), is_visible);
}

DUET_DECL std::optional<boost::asio::ip::tcp::endpoint> check_name(std::string& host, std::string const& service)
{
    if (host.find('\0') != std::string::npos || service.find('\0') != std::string::npos)
        throw system_error{boost::asio::error::invalid_argument, "resolve"};
    auto const address = address_of(host);
    if (host.find_first_of("[]") != std::string::npos)
    {
        if (!address)
            throw system_error{boost::asio::error::host_not_found, "resolve"};
        host = host.substr(1, host.size() - 2);
    }
    auto const port = port_of(service);
    if (!port && !may_name_service(service))
        throw system_error{boost::asio::error::service_not_found, "resolve"};
    if (!address || !port)
        return std::nullopt;
    return boost::asio::ip::tcp::endpoint{*address, *port};
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
