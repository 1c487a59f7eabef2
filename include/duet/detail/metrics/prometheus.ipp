// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_METRICS_PROMETHEUS_IPP
#define DUET_DETAIL_METRICS_PROMETHEUS_IPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>

#include <duet/lifecycle.hpp>
#include <duet/prometheus.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail::metrics {

/// Letters, digits and '_', and not a digit first. In the format, letters are those of ASCII.
inline bool is_name(std::string_view text, bool colons) noexcept
{
    auto const letter = [colons](char c)
    { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':'); };
    auto const digit = [](char c) { return c >= '0' && c <= '9'; };
    return !text.empty() && letter(text.front()) &&
           std::ranges::all_of(text, [&](char c) { return letter(c) || digit(c); });
}

/// A text with the characters escaped that would end it: in a label's value the quotation mark, too.
inline std::string escaped(std::string_view text, bool quoted)
{
    std::string result;
    for (char const c : text)
    {
        if (c == '\n')
            result += "\\n";
        else if (c == '\\' || (quoted && c == '"'))
            (result += '\\') += c;
        else
            result += c;
    }
    return result;
}

inline std::string as_text(double value)
{
    if (std::isnan(value))
        return "NaN";
    if (std::isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    // Integers are exact up to 2^53, and have no exponent: they are read by people, too.
    constexpr double exact = 9007199254740992;
    std::array<char, 32> digits;
    auto const [end, error] = value == std::floor(value) && std::abs(value) <= exact
                                  ? std::to_chars(digits.begin(), digits.end(), static_cast<std::int64_t>(value))
                                  : std::to_chars(digits.begin(), digits.end(), value);
    static_cast<void>(error);  // the longest has 24 characters
    return {digits.begin(), end};
}

/// `name="value",...`, without braces.
inline std::string as_text(prometheus_page::labels const& of)
{
    std::string result;
    for (auto const& [name, value] : of)
        ((((result += result.empty() ? "" : ",") += name) += "=\"") += escaped(value, true)) += '"';
    return result;
}

inline void add_sample(
    std::string& to, std::string_view name, std::string_view suffix, std::string const& of, std::string_view value)
{
    (to += name) += suffix;
    if (!of.empty())
        ((to += '{') += of) += '}';
    ((to += ' ') += value) += '\n';
}

/// The names that a family's samples have.
inline std::vector<std::string> names_of(std::string_view type, std::string const& name)
{
    if (type == "histogram")
        return {name, name + "_bucket", name + "_sum", name + "_count"};
    return {name};
}

inline void check_labels(std::string_view name, prometheus_page::labels const& of, std::string_view reserved)
{
    for (auto label = of.begin(); label != of.end(); ++label)
    {
        auto const refuse = [&](std::string const& why)
        { throw std::invalid_argument{std::string{name} + ": label '" + label->first + "' " + why}; };
        if (!is_name(label->first, false) || label->first.starts_with("__"))
            refuse("is no name for a label");
        if (label->first == reserved)
            refuse("is the histogram's own");
        if (std::any_of(of.begin(), label, [&](auto const& other) { return other.first == label->first; }))
            refuse("is there twice");
    }
}

}  // namespace detail::metrics

DUET_DECL void prometheus_page::counter(std::string_view name, std::string_view help, double value, labels const& of)
{
    number("counter", name, help, value, of);
}

DUET_DECL void prometheus_page::gauge(std::string_view name, std::string_view help, double value, labels const& of)
{
    number("gauge", name, help, value, of);
}

DUET_DECL void prometheus_page::number(
    std::string_view type, std::string_view name, std::string_view help, double value, labels const& of)
{
    detail::metrics::check_labels(name, of, {});
    auto const text = detail::metrics::as_text(of);
    auto& home = claim(type, name, help, text);
    detail::metrics::add_sample(home.samples, name, "", text, detail::metrics::as_text(value));
}

DUET_DECL void prometheus_page::histogram(
    std::string_view name, std::string_view help, histogram_counts const& counts, labels const& of)
{
    using detail::metrics::add_sample;
    using detail::metrics::as_text;
    detail::metrics::check_labels(name, of, "le");
    if (counts.values.size() != counts.bounds.size() + 1)
        throw std::invalid_argument{std::string{name} + ": a histogram has one bucket more than bounds"};
    auto const text = as_text(of);
    auto& home = claim("histogram", name, help, text);
    double sum = 0;
    for (std::size_t bucket = 0; bucket < counts.values.size(); ++bucket)
    {
        sum += static_cast<double>(counts.values[bucket]);
        double const bound =
            bucket < counts.bounds.size() ? counts.bounds[bucket] : std::numeric_limits<double>::infinity();
        auto const le = text + (text.empty() ? "le=\"" : ",le=\"") + as_text(bound) + '"';
        add_sample(home.samples, name, "_bucket", le, as_text(sum));
    }
    add_sample(home.samples, name, "_sum", text, as_text(counts.sum));
    add_sample(home.samples, name, "_count", text, as_text(sum));
}

/// The family of this name, to which a sample with these labels is about to be added.
DUET_DECL prometheus_page::family& prometheus_page::claim(
    std::string_view type, std::string_view name, std::string_view help, std::string const& of)
{
    std::string const known{name};
    auto const refuse = [&](char const* why) { throw std::invalid_argument{known + ' ' + why}; };
    if (!detail::metrics::is_name(name, true))
        refuse("is no name for a metric");
    auto const found = std::ranges::find(families_, name, &family::name);
    if (found != families_.end())
    {
        if (found->type != type)
            refuse("is already there with another type");
        if (found->help != help)
            refuse("is already there with another help");
        if (!found->labels.insert(of).second)
            refuse("is already there with these labels");
        return *found;
    }
    auto const wanted = detail::metrics::names_of(type, known);
    for (auto const& other : families_)
        for (auto const& taken : detail::metrics::names_of(other.type, other.name))
            if (std::ranges::find(wanted, taken) != wanted.end())
                refuse("would have samples of another metric's name");
    families_.push_back({known, std::string{type}, std::string{help}, {of}});
    return families_.back();
}

DUET_DECL void prometheus_page::add(server_sample const& sample)
{
    auto page = *this;
    // What each metric is called and says, its value, and the label that it has besides the server's name.
    using label = std::pair<std::string, std::string>;
    auto const of = [&sample](std::optional<label> other)
    {
        labels result{{"server", sample.name}};
        if (other)
            result.push_back(*std::move(other));
        return result;
    };
    auto const count =
        [&](std::string_view name, std::string_view help, std::uint64_t value, std::optional<label> other = {})
    { page.counter(name, help, static_cast<double>(value), of(std::move(other))); };
    auto const show = [&](std::string_view name, std::string_view help, std::uint64_t value)
    { page.gauge(name, help, static_cast<double>(value), of({})); };
    auto const spread = [&](std::string_view name, std::string_view help, histogram_counts const& values)
    { page.histogram(name, help, values, of({})); };

    auto const& counts = sample.counters;
    show("duet_ready", "1 while the server takes clients, 0 once it was asked to end.", sample.ready ? 1 : 0);
    count("duet_sessions_accepted_total", "Sessions accepted.", counts.accepted);
    show("duet_sessions_active", "Sessions running now.", counts.active);
    for (std::size_t how = 0; how < counts.by_reason.size(); ++how)
        if (auto const reason = static_cast<close_reason>(how); reason != close_reason::none)
            count("duet_sessions_ended_total", "Sessions that have ended, by the way in which they did.",
                counts.ended(reason), label{"reason", to_string(reason)});
    count("duet_sessions_unclean_total", "Sessions whose handler returned, but whose connection did not end cleanly.",
        counts.unclean);
    constexpr auto failures =
        "Sessions that failed: their handler threw, their TLS handshake failed, or they had no right PROXY header.";
    count("duet_session_failures_total", failures, counts.handler_failures, label{"stage", "handler"});
    count("duet_session_failures_total", failures, counts.handshake_failures, label{"stage", "handshake"});
    count("duet_session_failures_total", failures, counts.proxy_failures, label{"stage", "proxy_header"});
    count("duet_clients_shed_total", "Clients reset because there were too many sessions.", counts.shed);
    constexpr auto accepting =
        "Failures of accept: of a connection that was gone, or for lack of descriptors or memory.";
    count("duet_accept_failures_total", accepting, counts.connection_failures, label{"kind", "connection"});
    count("duet_accept_failures_total", accepting, counts.resource_failures, label{"kind", "resource"});
    count("duet_received_bytes_total", "Bytes received by sessions that have ended.", counts.bytes_received);
    count("duet_sent_bytes_total", "Bytes sent by sessions that have ended.", counts.bytes_sent);
    spread("duet_session_duration_seconds", "How long sessions lasted.", sample.duration);
    spread("duet_session_received_bytes", "Bytes received by a session.", sample.received);
    spread("duet_session_sent_bytes", "Bytes sent by a session.", sample.sent);
    spread("duet_session_round_trip_seconds", "TCP's round-trip time when a session's handler had ended.",
        sample.round_trip_time);
    count("duet_segments_retransmitted_total", "TCP segments sent again in sessions that have ended.",
        sample.segments_retransmitted);
    if (sample.queue)
    {
        show("duet_accept_queue_length", "Connections that wait to be accepted.", sample.queue->length);
        show("duet_accept_queue_limit", "The most that may wait.", sample.queue->limit);
        count("duet_listen_overflows_total",
            "How often an accept queue was full, of all listeners in this network namespace.", sample.queue->overflows);
    }
    *this = std::move(page);
}

DUET_DECL std::string prometheus_page::text() const
{
    std::string result;
    for (auto const& of : families_)
    {
        ((((result += "# HELP ") += of.name) += ' ') += detail::metrics::escaped(of.help, false)) += '\n';
        ((((result += "# TYPE ") += of.name) += ' ') += of.type) += '\n';
        result += of.samples;
    }
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
