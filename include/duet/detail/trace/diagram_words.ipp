// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_WORDS_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_WORDS_IPP

#include <algorithm>
#include <array>
#include <cstdio>

#include <duet/detail/trace/diagram_words.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/detail/trace/trace_facts.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Three digits that count, and a unit.
inline std::string scaled(double value, std::string_view unit)
{
    std::array<char, 32> text{};
    int const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    std::string result(text.data());
    if (decimals != 0)
    {
        result.erase(result.find_last_not_of('0') + 1);
        if (result.back() == '.')
            result.pop_back();
    }
    return result.append(" ").append(unit);
}

DUET_DECL std::string bytes_text(std::uint64_t bytes)
{
    if (bytes == 1)
        return "1 byte";
    if (bytes < 10'000)
        return std::to_string(bytes) + " bytes";
    auto const value = static_cast<double>(bytes);
    if (bytes < 1'000'000)
        return scaled(value / 1e3, "kB");
    return bytes < 1'000'000'000 ? scaled(value / 1e6, "MB") : scaled(value / 1e9, "GB");
}

DUET_DECL std::string duration_text(std::chrono::nanoseconds time)
{
    auto const count = static_cast<double>(time.count());
    if (count < 1e6)
        return scaled(count / 1e3, "us");
    return count < 1e9 ? scaled(count / 1e6, "ms") : scaled(count / 1e9, "s");
}

DUET_DECL std::string clock_text(std::chrono::nanoseconds time)
{
    auto const count = static_cast<double>(time.count());
    std::array<char, 48> text{};
    auto const* const format = count < 1e6 ? "%.0f us" : count < 1e9 ? "%.3f ms" : "%.4f s";
    std::snprintf(text.data(), text.size(), format, count / (count < 1e6 ? 1e3 : count < 1e9 ? 1e6 : 1e9));
    return text.data();
}

DUET_DECL std::string_view state_name(tcp_state state) noexcept
{
    return state == tcp_state::closed ? "CLOSED" : to_string(state);
}

inline std::string outcome_words(trace_event const& result, bool told_of_fin)
{
    if (result.error)
        return result.error.text.empty() ? result.error.category + " " + std::to_string(result.error.value)
                                         : result.error.text;
    if (told_of_fin)
        return result.bytes != 0 ? bytes_text(result.bytes) + ", end" : "end";
    if (is_read(result.name) || is_write(result.name))
        return bytes_text(result.bytes);
    return "done";
}

DUET_DECL std::string event_words(trace_event const& event, bool told_of_fin)
{
    switch (event.kind)
    {
    case trace_kind::begin:
        return printable(event.name);
    case trace_kind::call:
        return printable(event.name) + (is_write(event.name) && event.bytes != 0 ? " " + bytes_text(event.bytes) : "");
    case trace_kind::result:
        return printable(event.name + ": " + outcome_words(event, told_of_fin));
    case trace_kind::transfer:
        return printable((event.name == "peer_fin" ? "(FIN has come)" : "(" + event.name + ")") +
                         (event.error ? ": " + event.error.text : ""));
    case trace_kind::end:
        return "ended: " + std::string(to_string(event.reason));
    case trace_kind::lost:
        return std::to_string(event.bytes) + " events lost";
    case trace_kind::note:
        return printable(event.text);
    case trace_kind::state:
    case trace_kind::segment:
        break;
    }
    return std::string(to_string(event.kind));
}

DUET_DECL std::string call_words(trace_event const& call, trace_event const& result, bool told_of_fin)
{
    if (result.error || told_of_fin || (is_read(call.name) && result.name == call.name))
        return event_words(result, told_of_fin);
    auto words = event_words(call, false);
    if (is_write(call.name) && result.bytes != call.bytes)
        words += ": " + bytes_text(result.bytes);
    return words;
}

/// Short enough for an arrow.
inline std::string_view label_words(segment_label label) noexcept
{
    if (is_answer(label))
        return "answers probe";
    if (label == segment_label::retransmission)
        return "repeated";
    return label == segment_label::duplicate_acknowledgement ? "duplicate" : to_string(label);
}

DUET_DECL std::string segment_words(trace_segment const& segment)
{
    auto words = to_string(segment.flags);
    if (segment.bytes != 0)
        words += " " + bytes_text(segment.bytes);
    auto const label = label_words(segment.label);
    return label.empty() ? words : words.append(", ").append(label);
}

inline std::string known_words(evidence value)
{
    return value == evidence::observed ? "observed" : "inferred";
}

DUET_DECL fact_lines event_facts(trace_event const& event)
{
    fact_lines facts;
    auto const add = [&](char const* name, std::string value) { facts.emplace_back(name, printable(value)); };
    add("event", "#" + std::to_string(event.number) + ", " + std::string(to_string(event.kind)));
    add("time", clock_text(event.time));
    if (!event.name.empty())
        add("operation", event.name);
    if (event.bytes != 0)
        add("bytes", std::to_string(event.bytes));
    if (event.call != 0)
        add("completes", "#" + std::to_string(event.call));
    if (event.error)
        add("error", event.error.text + " (" + event.error.category + " " + std::to_string(event.error.value) + ")");
    add("receives", std::string(to_string(event.receive)));
    add("sends", std::string(to_string(event.send)));
    if (event.reason != close_reason::none)
        add("ended", std::string(to_string(event.reason)));
    if (event.kernel)
    {
        auto const& kernel = *event.kernel;
        add("kernel says", std::string(state_name(kernel.state)));
        add("round trip", duration_text(kernel.round_trip_time));
        add("unacknowledged", std::to_string(kernel.segments_unacknowledged) + " segments");
        if (kernel.segments_retransmitted != 0)
            add("retransmitted", std::to_string(kernel.segments_retransmitted) + " segments");
        if (kernel.send_window != 0)
            add("peer's window", bytes_text(kernel.send_window));
    }
    if (!event.text.empty())
        add("text", event.text);
    return facts;
}

/// "#4 write 5 bytes".
inline std::string reference(numbered_events const& events, std::uint64_t number)
{
    auto const* const event = events.find(number);
    return "#" + std::to_string(number) + (event != nullptr ? " " + event_words(*event, false) : "");
}

DUET_DECL fact_lines segment_facts(trace_segment const& segment, numbered_events const& events)
{
    fact_lines facts;
    auto const add = [&](char const* name, std::string value) { facts.emplace_back(name, printable(value)); };
    add("segment", segment_words(segment));
    if (segment.label != segment_label::none)
        add("label", std::string(to_string(segment.label)));
    add("from", segment.from_client ? "client to server" : "server to client");
    add("sequence", std::to_string(segment.sequence));
    if (contains(segment.flags, tcp_flags::ack))
        add("acknowledges", std::to_string(segment.acknowledgement));
    auto const& window = segment.window;
    if (window && (*window != 0 || segment.evidence == evidence::observed))
        add("window", bytes_text(*window));
    if (segment.sent)
        add("sent", clock_text(*segment.sent));
    if (segment.lost)
        add("arrived", "never: it was lost");
    else
        add("arrived", segment.received ? clock_text(*segment.received) : "not known");
    add("caused by", segment.cause != 0 ? reference(events, segment.cause) : "TCP itself");
    if (segment.told != 0)
        add("told by", reference(events, segment.told));
    add("known", known_words(segment.evidence));
    return facts;
}

inline std::string reason_words(close_reason reason, std::string const& who)
{
    switch (reason)
    {
    case close_reason::none:
        return "";
    case close_reason::clean:
        return "both ends finished";
    case close_reason::discarded_input:
        return "both ends finished; the " + who + " discarded input";
    case close_reason::peer_reset:
        return "reset by the " + std::string(who == "client" ? "server" : "client");
    case close_reason::dead_peer:
        return "the " + std::string(who == "client" ? "server" : "client") + " no longer answered";
    case close_reason::timed_out:
        return "a deadline of the " + who + " passed";
    case close_reason::discard_limit:
        return "the " + who + " would not discard more";
    case close_reason::left_to_kernel:
        return "the " + who + " left the rest to its kernel";
    case close_reason::aborted:
        return "aborted by the " + who;
    case close_reason::dropped:
        return "dropped by the " + who + " without close()";
    case close_reason::failed:
        return "failed at the " + who;
    }
    return "";
}

DUET_DECL std::string verdict_of(
    trace_log const& log, trace_session const& one, std::vector<trace_segment> const& segments)
{
    traced_ends const ends(log, one);
    std::string first_fin;
    trace_event const* best = nullptr;
    for (auto const& event : log.events)
    {
        bool const client = ends.client != nullptr && event.session == ends.client->number;
        if (!client && (ends.server == nullptr || event.session != ends.server->number))
            continue;
        auto const who = std::string(client ? "client" : "server");
        auto const other = std::string(client ? "server" : "client");
        if (event.kind == trace_kind::result && event.name == "connect" && event.error)
            return "connect failed: " + printable(event.error.text);
        if (first_fin.empty() && event.kind == trace_kind::transfer &&
            (event.name == "fin" || event.name == "peer_fin"))
            first_fin = event.name == "fin" ? who : other;
        // Who was reset knows less than who reset it.
        bool const better =
            best == nullptr || (best->reason == close_reason::peer_reset && event.reason != close_reason::peer_reset);
        if (event.kind == trace_kind::end && event.reason != close_reason::none && better)
            best = &event;
    }
    if (best == nullptr)
        return "";
    auto const who = ends.client != nullptr && best->session == ends.client->number ? "client" : "server";
    auto words = reason_words(best->reason, who);
    bool const by_client = std::string_view(who) == "client";
    bool const reset = std::any_of(segments.begin(), segments.end(),
        [&](auto const& segment)
        { return segment.from_client == by_client && contains(segment.flags, tcp_flags::rst); });
    if (best->reason == close_reason::dropped && reset)
        words += ", which reset it";
    if (best->reason == close_reason::clean && !first_fin.empty())
        words += ", the " + first_fin + " first";
    return words;
}

DUET_DECL std::vector<std::string> post_mortems(trace_log const& log, trace_session const& one)
{
    traced_ends const ends(log, one);
    std::vector<std::string> result;
    for (auto const* end : {ends.client, ends.server})
        for (auto const& event : log.events)
            if (end != nullptr && event.session == end->number && event.kind == trace_kind::end && !event.text.empty())
                result.push_back(std::string(end->client ? "client: " : "server: ") + printable(event.text));
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
