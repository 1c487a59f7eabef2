// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_MERGE_HPP
#define DUET_MERGE_HPP

#include <chrono>

#include <duet/captured_segment.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Adds what a tap has captured to a trace: each segment becomes an event of kind `segment`, observed, in the order of
/// time. `began` is when event time 0 was. The numbers of all events become their places again, and what refers to them
/// follows; captured_segment::event tells those of the new ones.
///
/// An event belongs to the session whose endpoints its segment has: that of the client, if both ends are in the trace.
/// Sessions that had the same endpoints one after another are told apart by their SYNs. A segment of no session belongs
/// to session 0, and `text` tells its endpoints; its client is who sent a SYN.
///
/// The window is scaled as the SYNs say. It is not known if it is not 0 and they were not captured, and in a RST, where
/// it means nothing. Sequence numbers are as on the wire. What the tap has lost becomes a note at the end.
///
/// Merge the whole of a capture at once: what one call has learned from a SYN, the next one does not know.
///
/// Throws bad_alloc, and then neither has changed.
DUET_DECL void merge(trace_log& log, tap_capture& captured, std::chrono::steady_clock::time_point began);

/// The same, with the time of day: for a trace of another process, or from a file. If the clock was set meanwhile, the
/// segments are not where they belong.
DUET_DECL void merge(trace_log& log, tap_capture& captured);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/wire/merge.ipp>
#endif

#endif
