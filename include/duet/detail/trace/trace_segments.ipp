// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_SEGMENTS_IPP
#define DUET_DETAIL_TRACE_TRACE_SEGMENTS_IPP

#include <string_view>

#include <duet/detail/trace/segment_inference.hpp>
#include <duet/detail/trace/segment_labels.hpp>
#include <duet/detail/trace/segment_links.hpp>
#include <duet/detail/trace/segment_steps.hpp>
#include <duet/detail/trace/trace_facts.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline std::vector<trace_segment> captured_segments(trace_log const& log, trace_session const* one)
{
    std::vector<trace_segment> result;
    if (one == nullptr)
        return result;
    for (auto const& event : log.events)
        if (event.session == one->number && event.kind == trace_kind::segment && event.segment)
            result.push_back(*event.segment);
    return result;
}

inline bool is_path(std::string_view address) noexcept
{
    return address.starts_with('/') || address.starts_with('@');
}

}  // namespace detail

DUET_DECL std::vector<trace_segment> segments_of(trace_log const& log, trace_session const& one)
{
    if (detail::is_path(one.local) || detail::is_path(one.remote))
        return {};
    detail::traced_ends const ends(log, one);
    detail::facts_of_ends const facts{
        ends.client != nullptr ? detail::facts_of(log, *ends.client) : detail::fact_list(),
        ends.server != nullptr ? detail::facts_of(log, *ends.server) : detail::fact_list(), ends.client != nullptr,
        ends.server != nullptr};

    auto captured = detail::captured_segments(log, &one);
    if (captured.empty())
        captured = detail::captured_segments(log, ends.client == &one ? ends.server : ends.client);
    if (captured.empty())
        return detail::infer_segments(facts);
    detail::label_segments(captured);
    detail::link_segments(captured, facts);
    return captured;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
