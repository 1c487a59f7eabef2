// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_FORMAT_HPP
#define DUET_FORMAT_HPP

// fmt formatters for duet's enumerations and reports, and for endpoints. Link duet::fmt.

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <duet/close_report.hpp>
#include <duet/endpoint.hpp>
#include <duet/lifecycle.hpp>
#include <duet/server_options.hpp>
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

/// Formats as "127.0.0.1:80, 1.503 s: clean, 12 bytes received, 7 sent", with the note behind the time, as in
/// "127.0.0.1:80, 1.503 s (GET /): ...", and with what the handler threw at the end.
template <>
struct fmt::formatter<duet::session_end>
{
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }

    template <class Context>
    auto format(duet::session_end const& end, Context& context) const
    {
        auto const seconds = std::chrono::duration<double>(end.duration).count();
        auto out = fmt::format_to(context.out(), "{}, {:.3f} s", end.peer, seconds);
        if (!end.note.empty())
            out = fmt::format_to(out, " ({})", end.note);
        out = fmt::format_to(out, ": {}", end.report);
        if (end.failure)
            out = fmt::format_to(out, "; the handler threw: {}", end.what());
        return out;
    }
};

/// Formats as "4 accepted, 1 active, 120 bytes received, 80 sent; 2 clean, 1 timed_out", followed by the failures that
/// are not zero.
template <>
struct fmt::formatter<duet::server_counters>
{
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }

    template <class Context>
    auto format(duet::server_counters const& counters, Context& context) const
    {
        auto out = fmt::format_to(context.out(), "{} accepted, {} active, {} bytes received, {} sent",
            counters.accepted, counters.active, counters.bytes_received, counters.bytes_sent);
        char const* separator = "; ";
        auto const add = [&](std::uint64_t count, std::string_view what)
        {
            if (count != 0)
                out = fmt::format_to(out, "{}{} {}", std::exchange(separator, ", "), count, what);
        };
        for (std::size_t reason = 0; reason < duet::close_reasons; ++reason)
            add(counters.by_reason[reason], to_string(static_cast<duet::close_reason>(reason)));
        add(counters.handler_failures, "failures of the handler");
        add(counters.proxy_failures, "without a right PROXY header");
        add(counters.handshake_failures, "failed handshakes");
        add(counters.shed, "shed");
        add(counters.connection_failures, "failed before accept");
        add(counters.resource_failures, "failures for lack of resources");
        return out;
    }
};

#endif
