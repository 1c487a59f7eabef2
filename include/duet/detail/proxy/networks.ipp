// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_PROXY_NETWORKS_IPP
#define DUET_DETAIL_PROXY_NETWORKS_IPP

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <variant>

#include <duet/error.hpp>
#include <duet/proxy_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline constexpr unsigned bits_of_six = 128;
inline constexpr unsigned bits_of_four = 32;
inline constexpr unsigned bits_of_mapping = bits_of_six - bits_of_four;

inline boost::asio::ip::address_v6::bytes_type mapped_bytes(boost::asio::ip::address const& address) noexcept
{
    namespace ip = boost::asio::ip;
    return (address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4())).to_bytes();
}

/// The first `prefix` bits of an address; the others are 0.
inline boost::asio::ip::address_v6::bytes_type prefix_of(
    boost::asio::ip::address_v6::bytes_type bytes, unsigned prefix) noexcept
{
    for (unsigned i = 0; i < bytes.size(); ++i)
    {
        auto const kept = std::clamp(static_cast<int>(prefix) - static_cast<int>(8 * i), 0, 8);
        bytes[i] = static_cast<unsigned char>(bytes[i] & 0xff << (8 - kept));
    }
    return bytes;
}

inline std::optional<unsigned> prefix_length(std::string_view text, unsigned most) noexcept
{
    unsigned result = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
    bool const whole = error == std::errc{} && end == text.data() + text.size();
    return whole && result <= most ? std::optional{result} : std::nullopt;
}

}  // namespace detail

DUET_DECL void proxy_networks::add(std::string_view text)
{
    if (text == "unix")
    {
        unix_ = true;
        return;
    }
    auto const slash = text.find('/');
    error_code error;
    auto const address = boost::asio::ip::make_address(std::string{text.substr(0, slash)}, error);
    auto const bits = address.is_v4() ? detail::bits_of_four : detail::bits_of_six;
    auto const prefix = slash == text.npos ? bits : detail::prefix_length(text.substr(slash + 1), bits);
    bool const zone = address.is_v6() && address.to_v6().scope_id() != 0;
    if (!error && prefix && !zone)
    {
        auto const bytes = detail::mapped_bytes(address);
        auto const whole = *prefix + detail::bits_of_six - bits;
        if (detail::prefix_of(bytes, whole) == bytes)
        {
            networks_.push_back({bytes, whole});
            return;
        }
    }
    throw session_error{boost::asio::error::invalid_argument, "proxy_networks", std::string{text}, 0};
}

DUET_DECL bool proxy_networks::contains(any_endpoint const& peer) const noexcept
{
    auto const* const tcp = std::get_if<boost::asio::ip::tcp::endpoint>(&peer);
    if (!tcp)
        return unix_;
    auto const address = detail::unmapped(*tcp).address();
    auto const bytes = detail::mapped_bytes(address);
    auto const covers = [&](network const& each)
    {
        bool const of_family = address.is_v6() || each.prefix >= detail::bits_of_mapping;
        return of_family && detail::prefix_of(bytes, each.prefix) == each.bytes;
    };
    return std::any_of(networks_.begin(), networks_.end(), covers);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
