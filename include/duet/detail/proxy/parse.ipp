// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_PROXY_PARSE_IPP
#define DUET_DETAIL_PROXY_PARSE_IPP

// Parsing PROXY headers, as far as they have arrived.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <duet/detail/proxy/signature.hpp>
#include <duet/proxy_header.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline proxy_parsed not_proxied(proxy_errc why)
{
    proxy_parsed result;
    result.error = why;
    return result;
}

inline proxy_parsed more_of_header(std::size_t wanted)
{
    proxy_parsed result;
    result.wanted = wanted;
    return result;
}

inline proxy_parsed whole_header(proxy_header&& header, std::size_t size)
{
    proxy_parsed result;
    result.size = size;
    result.header = std::move(header);
    return result;
}

/// One of the two begins with the other.
inline bool agree(std::string_view one, std::string_view other) noexcept
{
    auto const size = std::min(one.size(), other.size());
    return one.substr(0, size) == other.substr(0, size);
}

// ---- Version 1
// -------------------------------------------------------------------------------------------------------

inline constexpr std::string_view line_of_four = "PROXY TCP4 ";
inline constexpr std::string_view line_of_six = "PROXY TCP6 ";
inline constexpr std::string_view line_of_unknown = "PROXY UNKNOWN";

/// A number without leading zeros, at most `most`.
inline std::optional<std::uint16_t> number_of(std::string_view text, std::uint16_t most) noexcept
{
    std::uint16_t result = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
    bool const whole = error == std::errc{} && end == text.data() + text.size();
    if (!whole || result > most || (text.size() > 1 && text.front() == '0'))
        return {};
    return result;
}

/// What is in front of `mark`, which is taken from `text` with it; all of it if there is no mark.
inline std::string_view take_field(std::string_view& text, char mark) noexcept
{
    auto const size = std::min(text.find(mark), text.size());
    auto const field = text.substr(0, size);
    text.remove_prefix(std::min(size + 1, text.size()));
    return field;
}

inline std::optional<boost::asio::ip::address> address_of_four(std::string_view text)
{
    boost::asio::ip::address_v4::bytes_type bytes{};
    if (std::count(text.begin(), text.end(), '.') != 3)
        return {};
    for (auto& each : bytes)
    {
        auto const part = number_of(take_field(text, '.'), 255);
        if (!part)
            return {};
        each = static_cast<std::uint8_t>(*part);
    }
    return boost::asio::ip::address_v4{bytes};
}

/// Also a mapped IPv4 address as inet_ntop(3) writes it, which many senders use.
inline std::optional<boost::asio::ip::address> address_of_six(std::string_view text)
{
    std::array<char, 46> terminated{};  // the longest address has 45 characters
    if (text.size() >= terminated.size() || text.find_first_not_of("0123456789abcdefABCDEF:.") != text.npos)
        return {};
    std::copy(text.begin(), text.end(), terminated.begin());
    error_code error;
    auto const address = boost::asio::ip::make_address_v6(terminated.data(), error);
    return error ? std::nullopt : std::optional<boost::asio::ip::address>{address};
}

/// The addresses and ports of a line, between its first words and its CR LF.
inline std::optional<proxy_ends> ends_of_line(std::string_view text, bool four)
{
    if (std::count(text.begin(), text.end(), ' ') != 3)
        return {};
    auto const read = four ? address_of_four : address_of_six;
    auto const source = read(take_field(text, ' '));
    auto const destination = read(take_field(text, ' '));
    auto const from_port = number_of(take_field(text, ' '), 65535);
    auto const to_port = number_of(text, 65535);
    if (!source || !destination || !from_port || !to_port)
        return {};
    using endpoint = boost::asio::ip::tcp::endpoint;
    return proxy_ends{endpoint{*source, *from_port}, endpoint{*destination, *to_port}};
}

/// At least so many characters follow the begin of an IPv4 address, which may be whole.
inline std::size_t rest_of_four(std::string_view part) noexcept
{
    auto const dots = static_cast<std::size_t>(std::count(part.begin(), part.end(), '.'));
    bool const digit_due = part.empty() || part.ends_with('.');
    return 2 * (3 - std::min<std::size_t>(dots, 3)) + (digit_due ? 1 : 0);
}

inline std::size_t rest_of_six(std::string_view part) noexcept
{
    bool const shortened = part.find("::") != part.npos || part.find('.') != part.npos;
    if (shortened || std::count(part.begin(), part.end(), ':') >= 7)
        return 0;
    return part.ends_with(':') ? 1 : 2;
}

/// At least so many bytes follow a part of a line, which has no CR LF.
inline std::size_t rest_of_line(std::string_view part) noexcept
{
    if (part.ends_with('\r'))
        return 1;
    if (part.starts_with(line_of_unknown))
        return 2;
    bool const four = part.starts_with(line_of_four);
    if (!four && !part.starts_with(line_of_six))
        return line_of_unknown.size() + 2 - part.size();
    auto fields = part.substr(line_of_four.size());
    std::size_t result = 2;
    for (int field = 0; field < 4; ++field)
    {
        bool const ends = fields.find(' ') != fields.npos;
        auto const begun = take_field(fields, ' ');
        if (ends)
            continue;
        std::size_t const port = begun.empty() ? 1 : 0;
        result += field >= 2 ? port : four ? rest_of_four(begun) : rest_of_six(begun);
        result += field < 3 ? 1 : 0;  // the space behind it
    }
    return result;
}

inline proxy_parsed parse_line(std::string_view bytes)
{
    bool const known = agree(bytes, line_of_four) || agree(bytes, line_of_six) || agree(bytes, line_of_unknown);
    if (!known)
        return not_proxied(agree(bytes, "PROXY ") ? proxy_errc::bad_line : proxy_errc::no_header);
    auto const line = bytes.substr(0, proxy_longest_line);
    auto const end = line.find_first_of("\r\n");
    if (end == line.npos)
        return line.size() == proxy_longest_line
                   ? not_proxied(proxy_errc::line_too_long)
                   : more_of_header(std::min(rest_of_line(line), proxy_longest_line - line.size()));
    if (line[end] == '\n' || (end + 1 < line.size() && line[end + 1] != '\n'))
        return not_proxied(proxy_errc::bad_line);
    if (end + 1 == line.size())
        return line.size() == proxy_longest_line ? not_proxied(proxy_errc::line_too_long) : more_of_header(1);

    proxy_header header;
    header.version = proxy_version::v1;
    auto const text = line.substr(0, end);
    if (text.starts_with(line_of_unknown))
    {
        if (text.size() > line_of_unknown.size() && text[line_of_unknown.size()] != ' ')
            return not_proxied(proxy_errc::bad_line);
        return whole_header(std::move(header), end + 2);
    }
    bool const four = text.starts_with(line_of_four);
    if (four || text.starts_with(line_of_six))
        header.ends = ends_of_line(text.substr(line_of_four.size()), four);
    return header.ends ? whole_header(std::move(header), end + 2) : not_proxied(proxy_errc::bad_line);
}

// ---- Version 2
// -------------------------------------------------------------------------------------------------------

inline std::size_t number_at(std::string_view bytes, std::size_t at, std::size_t size) noexcept
{
    std::size_t result = 0;
    for (char const each : bytes.substr(at, size))
        result = result << 8 | static_cast<std::uint8_t>(each);
    return result;
}

/// The size of both addresses and ports of a family.
constexpr std::size_t size_of_ends(unsigned family) noexcept
{
    constexpr std::array<std::size_t, 4> sizes{0, 12, 36, 2 * proxy_unix_path_size};
    return sizes[family];
}

template <class Address>
any_endpoint endpoint_at(std::string_view ends, std::size_t index)
{
    typename Address::bytes_type bytes{};
    std::copy_n(ends.begin() + static_cast<std::ptrdiff_t>(index * bytes.size()), bytes.size(),
        reinterpret_cast<char*>(bytes.data()));
    auto const port = number_at(ends, 2 * bytes.size() + 2 * index, 2);
    return boost::asio::ip::tcp::endpoint{Address{bytes}, static_cast<std::uint16_t>(port)};
}

/// Nothing if the path is none that this system can have.
inline std::optional<any_endpoint> path_at(std::string_view ends, std::size_t index)
try
{
    auto path = ends.substr(index * proxy_unix_path_size, proxy_unix_path_size);
    // An abstract name (Linux) begins with a NUL, and its size is not told: it ends where only NULs follow.
    if (path.front() == '\0')
        path = path.substr(0, path.find_last_not_of('\0') + 1);
    else
        path = path.substr(0, path.find('\0'));
    return any_endpoint{boost::asio::local::stream_protocol::endpoint{path}};
}
catch (boost::system::system_error const&)
{
    return {};
}

inline std::optional<proxy_ends> ends_of(std::string_view ends, unsigned family)
{
    using namespace boost::asio;  // NOLINT(google-build-using-namespace)
    if (family == 1)
        return proxy_ends{endpoint_at<ip::address_v4>(ends, 0), endpoint_at<ip::address_v4>(ends, 1)};
    if (family == 2)
        return proxy_ends{endpoint_at<ip::address_v6>(ends, 0), endpoint_at<ip::address_v6>(ends, 1)};
    auto source = path_at(ends, 0);
    auto destination = path_at(ends, 1);
    if (!source || !destination)
        return {};
    return proxy_ends{std::move(*source), std::move(*destination)};
}

/// Take the TLVs of a header that is whole. The checksum is checked, and is none of them then.
inline error_code take_tlvs(proxy_header& to, std::string_view header, std::size_t begin)
{
    proxy_tlvs all;
    if (!all.assign(header.substr(begin)))
        return proxy_errc::bad_tlv;
    for (proxy_tlv const each : all)
    {
        if (each.type == proxy_tlv_type::ssl && !proxy_ssl::from(each.value))
            return proxy_errc::bad_tlv;
        if (each.type != proxy_tlv_type::crc32c)
        {
            to.tlvs.add(each.type, each.value);
            continue;
        }
        if (to.checksum || each.value.size() != proxy_checksum_size)
            return proxy_errc::bad_tlv;
        auto const at = begin + static_cast<std::size_t>(each.value.data() - all.bytes().data());
        crc32c sum;
        sum.add(header.substr(0, at));
        sum.add({"\0\0\0\0", proxy_checksum_size});
        sum.add(header.substr(at + proxy_checksum_size));
        if (sum.value() != number_at(header, at, proxy_checksum_size))
            return proxy_errc::bad_checksum;
        to.checksum = true;
    }
    return {};
}

inline proxy_parsed parse_binary(std::string_view bytes, std::size_t limit)
{
    // Each byte is judged as soon as it is there.
    auto const has = [&](std::size_t size) { return bytes.size() >= size; };
    proxy_header header;
    std::size_t ends_size = 0;
    unsigned family = 0;
    unsigned transport = 0;
    if (has(13))
    {
        auto const version = number_at(bytes, 12, 1);
        if (version >> 4 != 2)
            return not_proxied(proxy_errc::bad_version);
        if ((version & 15) > 1)
            return not_proxied(proxy_errc::bad_command);
        header.local = (version & 15) == 0;
    }
    if (has(14) && !header.local)
    {
        family = static_cast<unsigned>(number_at(bytes, 13, 1)) >> 4;
        transport = static_cast<unsigned>(number_at(bytes, 13, 1)) & 15;
        if (family > 3 || transport > 2)
            return not_proxied(proxy_errc::bad_family);
        ends_size = size_of_ends(family);
    }
    // With a family comes at least the size of its addresses.
    auto const least = proxy_fixed_size + ends_size;
    if (least > limit)
        return not_proxied(proxy_errc::too_large);
    if (!has(proxy_fixed_size))
        return more_of_header(least - bytes.size());
    auto const rest = number_at(bytes, 14, 2);
    auto const size = proxy_fixed_size + rest;
    if (rest < ends_size)
        return not_proxied(proxy_errc::bad_length);
    if (size > limit)
        return not_proxied(proxy_errc::too_large);
    if (!has(size))
        return more_of_header(size - bytes.size());
    if (header.local)
        return whole_header(std::move(header), size);
    header.datagram = transport == 2;
    if (ends_size > 0 && transport != 0)
        header.ends = ends_of(bytes.substr(proxy_fixed_size, ends_size), family);
    if (auto const error = take_tlvs(header, bytes.substr(0, size), proxy_fixed_size + ends_size))
    {
        proxy_parsed result;
        result.error = error;
        return result;
    }
    return whole_header(std::move(header), size);
}

}  // namespace detail

DUET_DECL proxy_parsed parse_proxy_header(std::string_view bytes, std::size_t limit)
{
    if (bytes.empty())  // the shortest is "PROXY UNKNOWN", CR, LF
        return detail::more_of_header(detail::line_of_unknown.size() + 2);
    if (detail::agree(bytes, detail::proxy_signature))
        return detail::parse_binary(bytes, limit);
    return detail::parse_line(bytes);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
