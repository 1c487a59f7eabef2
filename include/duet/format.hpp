// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_FORMAT_HPP
#define DUET_FORMAT_HPP

// fmt formatters for duet's enumerations and reports, and for endpoints. Link duet::fmt.

#include <fmt/format.h>

#include <string_view>

#include <duet/close_report.hpp>
#include <duet/endpoint.hpp>
#include <duet/lifecycle.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class T>
struct word_formatter : fmt::formatter<std::string_view>
{
    template <class Context>
    auto format(T const& value, Context& context) const
    {
        return fmt::formatter<std::string_view>::format(to_string(value), context);
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

/// As duet::to_string(): "127.0.0.1:80", "[::1]:80", "unix:/run/server".
template <>
struct fmt::formatter<boost::asio::ip::tcp::endpoint> : duet::detail::word_formatter<boost::asio::ip::tcp::endpoint>
{
};

template <>
struct fmt::formatter<boost::asio::local::stream_protocol::endpoint>
    : duet::detail::word_formatter<boost::asio::local::stream_protocol::endpoint>
{
};

template <>
struct fmt::formatter<duet::receive_state> : duet::detail::word_formatter<duet::receive_state>
{
};

template <>
struct fmt::formatter<duet::send_state> : duet::detail::word_formatter<duet::send_state>
{
};

template <>
struct fmt::formatter<duet::session_state> : duet::detail::word_formatter<duet::session_state>
{
};

template <>
struct fmt::formatter<duet::close_reason> : duet::detail::word_formatter<duet::close_reason>
{
};

template <>
struct fmt::formatter<duet::tcp_state> : duet::detail::word_formatter<duet::tcp_state>
{
};

/// Formats as "clean, 12 bytes received, 7 sent", followed by the other members that are not zero.
template <>
struct fmt::formatter<duet::close_report>
{
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }

    template <class Context>
    auto format(duet::close_report const& report, Context& context) const
    {
        auto out = fmt::format_to(context.out(), "{}, {} bytes received, {} sent", to_string(report.reason),
            report.bytes_received, report.bytes_sent);
        if (report.bytes_discarded != 0)
            out = fmt::format_to(out, ", {} discarded", report.bytes_discarded);
        if (report.bytes_unacknowledged != 0)
            out = fmt::format_to(out, ", {} unacknowledged", report.bytes_unacknowledged);
        if (report.error)
            out = fmt::format_to(out, ": {}", report.error.message());
        return out;
    }
};

#endif
