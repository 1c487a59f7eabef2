// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_PROXY_ENCODE_IPP
#define DUET_DETAIL_PROXY_ENCODE_IPP

// PROXY headers as bytes, and their TLVs.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <utility>
#include <variant>

#include <duet/detail/proxy/signature.hpp>
#include <duet/proxy_header.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

using proxy_tcp_endpoint = boost::asio::ip::tcp::endpoint;
using proxy_unix_endpoint = boost::asio::local::stream_protocol::endpoint;

/// The ends as two endpoints of one kind, an IPv4 address as such; nothing if they are not.
template <class Endpoint>
std::optional<std::pair<Endpoint, Endpoint>> ends_as(proxy_header const& header)
{
    if (!header.ends)
        return {};
    auto const* const source = std::get_if<Endpoint>(&header.ends->source);
    auto const* const destination = std::get_if<Endpoint>(&header.ends->destination);
    if (!source || !destination)
        return {};
    return std::pair{unmapped(*source), unmapped(*destination)};
}

inline boost::asio::ip::address_v6 as_v6(boost::asio::ip::address const& address)
{
    namespace ip = boost::asio::ip;
    // A zone means nothing on another host.
    return address.is_v6() ? ip::address_v6{address.to_v6().to_bytes()}
                           : ip::make_address_v6(ip::v4_mapped, address.to_v4());
}

inline void put_number(std::string& to, std::uint32_t number, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        to += static_cast<char>(number >> shift & 0xff);
}

template <class Address>
void put_address(std::string& to, Address const& address)
{
    auto const bytes = address.to_bytes();
    to.append(bytes.begin(), bytes.end());
}

inline void put_path(std::string& to, proxy_unix_endpoint const& endpoint)
{
    auto path = endpoint.path();
    path.resize(proxy_unix_path_size);
    to += path;
}

inline std::string encode_line(proxy_header const& header)
{
    auto const ends = ends_as<proxy_tcp_endpoint>(header);
    if (!ends || header.datagram || header.local)
        return "PROXY UNKNOWN\r\n";
    auto const source = ends->first.address();
    auto const destination = ends->second.address();
    bool const four = source.is_v4() && destination.is_v4();
    return std::string{"PROXY "} + (four ? "TCP4 " : "TCP6 ") +
           (four ? source.to_string() : as_v6(source).to_string()) + ' ' +
           (four ? destination.to_string() : as_v6(destination).to_string()) + ' ' +
           std::to_string(ends->first.port()) + ' ' + std::to_string(ends->second.port()) + "\r\n";
}

/// Append the ends. Returns the byte that tells their family and transport.
inline std::uint32_t put_ends(std::string& to, proxy_header const& header)
{
    std::uint32_t const transport = header.datagram ? 2 : 1;
    if (auto const paths = ends_as<proxy_unix_endpoint>(header))
    {
        put_path(to, paths->first);
        put_path(to, paths->second);
        return 0x30 | transport;
    }
    auto const ends = ends_as<proxy_tcp_endpoint>(header);
    if (!ends)
        return 0;
    auto const source = ends->first.address();
    auto const destination = ends->second.address();
    bool const four = source.is_v4() && destination.is_v4();
    for (auto const& each : {source, destination})
    {
        if (four)
            put_address(to, each.to_v4());
        else
            put_address(to, as_v6(each));
    }
    put_number(to, ends->first.port(), 2);
    put_number(to, ends->second.port(), 2);
    return (four ? 0x10U : 0x20U) | transport;
}

inline std::string encode_binary(proxy_header const& header)
{
    std::string rest;
    auto const family = put_ends(rest, header);
    rest += header.tlvs.bytes();
    if (header.checksum)
    {
        put_number(rest, static_cast<std::uint32_t>(proxy_tlv_type::crc32c), 1);
        put_number(rest, proxy_checksum_size, 2);
        rest.append(proxy_checksum_size, '\0');
    }
    if (rest.size() > proxy_largest_rest)
        throw session_error{proxy_errc::too_large, "encode", {}, 0};
    std::string result{proxy_signature};
    put_number(result, header.local ? 0x20 : 0x21, 1);
    put_number(result, family, 1);
    put_number(result, static_cast<std::uint32_t>(rest.size()), 2);
    result += rest;
    if (header.checksum)
    {
        crc32c sum;
        sum.add(result);
        result.resize(result.size() - proxy_checksum_size);
        put_number(result, sum.value(), proxy_checksum_size);
    }
    return result;
}

// g++ warns about every class derived from error_category: see completion/error.ipp.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class proxy_category_type final : public boost::system::error_category
{
public:
    constexpr proxy_category_type() noexcept : boost::system::error_category{0x3b7fe1d2a9405c68} {}

    char const* name() const noexcept override { return "duet.proxy"; }

    std::string message(int value) const override
    {
        switch (static_cast<proxy_errc>(value))
        {
        case proxy_errc::no_header:
            return "the connection does not begin with a PROXY header";
        case proxy_errc::bad_line:
            return "malformed PROXY line";
        case proxy_errc::line_too_long:
            return "the PROXY line has no end within 107 bytes";
        case proxy_errc::bad_version:
            return "unknown version of the PROXY protocol";
        case proxy_errc::bad_command:
            return "unknown command in the PROXY header";
        case proxy_errc::bad_family:
            return "unknown address family or transport in the PROXY header";
        case proxy_errc::bad_length:
            return "the PROXY header is too short for its addresses";
        case proxy_errc::bad_tlv:
            return "malformed TLV in the PROXY header";
        case proxy_errc::bad_checksum:
            return "wrong checksum of the PROXY header";
        case proxy_errc::too_large:
            return "the PROXY header is larger than the limit";
        case proxy_errc::untrusted:
            return "the peer is not trusted to send a PROXY header";
        case proxy_errc::timed_out:
            return "no whole PROXY header in time";
        }
        return "unknown error of the PROXY protocol";
    }

    bool equivalent(int value, error_condition const& wanted) const noexcept override
    {
        if (wanted.category() == condition_category())
            return wanted == condition::timed_out && static_cast<proxy_errc>(value) == proxy_errc::timed_out;
        return boost::system::error_category::equivalent(value, wanted);
    }
};

#pragma GCC diagnostic pop

}  // namespace detail

DUET_DECL boost::system::error_category const& proxy_category() noexcept
{
    static detail::proxy_category_type const category;
    return category;
}

DUET_DECL std::optional<std::string_view> proxy_tlvs::find(proxy_tlv_type type) const noexcept
{
    auto const found = std::find_if(begin(), end(), [&](proxy_tlv const& each) { return each.type == type; });
    return found == end() ? std::nullopt : std::optional{(*found).value};
}

DUET_DECL void proxy_tlvs::add(proxy_tlv_type type, std::string_view value)
{
    if (value.size() > detail::proxy_largest_rest)
        throw session_error{proxy_errc::too_large, "proxy_tlvs::add", {}, 0};
    bytes_.reserve(bytes_.size() + head + value.size());
    detail::put_number(bytes_, static_cast<std::uint32_t>(type), 1);
    detail::put_number(bytes_, static_cast<std::uint32_t>(value.size()), 2);
    bytes_ += value;
}

DUET_DECL bool proxy_tlvs::assign(std::string_view bytes)
{
    for (auto rest = bytes; !rest.empty(); rest.remove_prefix(head + size_of(rest)))
        if (rest.size() < head || rest.size() - head < size_of(rest))
            return false;
    bytes_ = bytes;
    return true;
}

DUET_DECL std::optional<proxy_ssl> proxy_ssl::from(std::string_view value)
{
    constexpr std::size_t fixed = 5;  // the flags, and the result of the verification
    std::optional<proxy_ssl> result{std::in_place};
    if (value.size() < fixed || !result->details.assign(value.substr(fixed)))
        return {};
    auto const flags = static_cast<std::uint8_t>(value[0]);
    result->tls = (flags & 1) != 0;
    result->certificate = (flags & 2) != 0;
    result->session_certificate = (flags & 4) != 0;
    // Zero is success, also where the client has shown no certificate at all.
    result->verified = (flags & 6) != 0 && value.substr(1, 4) == std::string_view{"\0\0\0\0", 4};
    return result;
}

DUET_DECL std::optional<proxy_ssl> proxy_header::ssl() const
{
    auto const value = tlvs.find(proxy_tlv_type::ssl);
    return value ? proxy_ssl::from(*value) : std::nullopt;
}

DUET_DECL std::string encode(proxy_header const& header)
{
    return header.version == proxy_version::v1 ? detail::encode_line(header) : detail::encode_binary(header);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
