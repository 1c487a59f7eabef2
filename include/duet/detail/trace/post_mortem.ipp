// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_POST_MORTEM_IPP
#define DUET_DETAIL_TRACE_POST_MORTEM_IPP

#include <duet/post_mortem.hpp>

namespace duet {
inline namespace DUET_ABI {

DUET_DECL std::string_view to_string(ended_by value) noexcept
{
    switch (value)
    {
    case ended_by::nobody:
        return "nobody";
    case ended_by::program:
        return "program";
    case ended_by::peer:
        return "peer";
    case ended_by::deadline:
        return "deadline";
    case ended_by::network:
        return "network";
    case ended_by::system:
        return "system";
    }
    return "?";
}

DUET_DECL std::string_view to_string(direction value) noexcept
{
    switch (value)
    {
    case direction::none:
        return "none";
    case direction::receive:
        return "receive";
    case direction::send:
        return "send";
    case direction::both:
        return "both";
    }
    return "?";
}

DUET_DECL std::string_view to_string(end_phase value) noexcept
{
    switch (value)
    {
    case end_phase::before_message:
        return "before a message";
    case end_phase::in_message:
        return "in a message";
    case end_phase::answering:
        return "while answering";
    case end_phase::between_messages:
        return "between messages";
    case end_phase::half_closed:
        return "half-closed";
    case end_phase::closing:
        return "during close()";
    }
    return "?";
}

DUET_DECL std::string to_string(post_mortem const& value)
{
    if (value.by == ended_by::nobody)
        return "alive";
    auto const& report = value.report;
    std::string result{to_string(report.reason)};
    result.append(value.by == ended_by::deadline ? ", by a " : ", by the ")
        .append(to_string(value.by))
        .append(", ")
        .append(to_string(value.phase));
    if (value.where != direction::none)
        result.append(value.where == direction::both ? ", both directions" : ", direction ")
            .append(value.where == direction::both ? "" : to_string(value.where));
    result.append("; received ").append(std::to_string(report.bytes_received));
    result.append(", sent ").append(std::to_string(report.bytes_sent)).append(" bytes");
    if (report.bytes_discarded > 0)
        result.append(", discarded ").append(std::to_string(report.bytes_discarded));
    if (report.bytes_unacknowledged > 0)
        result.append(", unacknowledged ").append(std::to_string(report.bytes_unacknowledged));
    for (std::size_t i = 0; i < value.failed; ++i)
        result.append("; ")
            .append(to_string(value.failures[i].where))
            .append(": ")
            .append(value.failures[i].error.message());
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
