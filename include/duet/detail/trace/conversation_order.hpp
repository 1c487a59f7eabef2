// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_ORDER_HPP
#define DUET_DETAIL_TRACE_CONVERSATION_ORDER_HPP

#include <vector>

#include <duet/detail/trace/conversation_part.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The parts in an order that follows from what each end did and knew before, not from the times: two runs of programs
/// that do the same have the same. What TCP does on its own goes by time. Where nothing decides, the client comes
/// first.
DUET_DECL std::vector<conversation_part> in_order(
    std::vector<conversation_part> parts, std::vector<trace_segment> const& segments);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/conversation_order.ipp>
#endif

#endif
