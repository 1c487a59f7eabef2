// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_SEGMENT_INFERENCE_HPP
#define DUET_DETAIL_TRACE_SEGMENT_INFERENCE_HPP

#include <vector>

#include <duet/detail/trace/trace_facts.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

using fact_list = std::vector<trace_fact>;

struct facts_of_ends
{
    fact_list client;
    fact_list server;
    bool client_traced = false;
    bool server_traced = false;

    fact_list const& of(bool is_client) const noexcept { return is_client ? client : server; }

    bool traced(bool is_client) const noexcept { return is_client ? client_traced : server_traced; }
};

/// The segments that the facts imply; trace_segments.hpp has the table.
DUET_DECL std::vector<trace_segment> infer_segments(facts_of_ends const& facts);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/segment_inference.ipp>
#endif

#endif
