// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_LOG_IPP
#define DUET_DETAIL_TRACE_TRACE_LOG_IPP

#include <array>
#include <utility>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL std::string_view to_string(evidence value) noexcept
{
    return value == evidence::observed ? "observed" : "inferred";
}

DUET_DECL std::string_view to_string(trace_kind value) noexcept
{
    switch (value)
    {
    case trace_kind::begin:
        return "begin";
    case trace_kind::call:
        return "call";
    case trace_kind::result:
        return "result";
    case trace_kind::transfer:
        return "transfer";
    case trace_kind::state:
        return "state";
    case trace_kind::segment:
        return "segment";
    case trace_kind::end:
        return "end";
    case trace_kind::lost:
        return "lost";
    case trace_kind::note:
        return "note";
    }
    return "?";
}

DUET_DECL std::string_view to_string(segment_label value) noexcept
{
    switch (value)
    {
    case segment_label::none:
        return "";
    case segment_label::retransmission:
        return "retransmission";
    case segment_label::out_of_order:
        return "out of order";
    case segment_label::keep_alive_probe:
        return "keep-alive probe";
    case segment_label::keep_alive_answer:
        return "answer to a keep-alive probe";
    case segment_label::zero_window:
        return "zero window";
    case segment_label::zero_window_probe:
        return "zero-window probe";
    case segment_label::zero_window_answer:
        return "answer to a zero-window probe";
    case segment_label::window_update:
        return "window update";
    case segment_label::duplicate_acknowledgement:
        return "duplicate acknowledgement";
    }
    return "";
}

DUET_DECL std::string to_string(tcp_flags value)
{
    static constexpr std::array<std::pair<tcp_flags, char const*>, 8> names{
        {{tcp_flags::syn, "SYN"}, {tcp_flags::fin, "FIN"}, {tcp_flags::rst, "RST"}, {tcp_flags::psh, "PSH"},
            {tcp_flags::urg, "URG"}, {tcp_flags::ack, "ACK"}, {tcp_flags::ece, "ECE"}, {tcp_flags::cwr, "CWR"}}};
    std::string result;
    for (auto const& [flag, name] : names)
        if (contains(value, flag))
            result.append(result.empty() ? "" : ", ").append(name);
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
