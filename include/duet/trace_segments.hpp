// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TRACE_SEGMENTS_HPP
#define DUET_TRACE_SEGMENTS_HPP

#include <chrono>
#include <cstdint>
#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The segments of the connection that `one` is an end of, in the order in which they left.
///
/// If the trace has captured ones, of this end or of the other, these are the result, each with the event that caused
/// it and the event that told of it, as far as bytes and sequence numbers tell, and with its label (below). Otherwise
/// the segments are inferred from what the program did and learned, at both ends if both are in the trace:
///
/// | in the trace | segments |
/// |---|---|
/// | a connect that has succeeded, an accept | SYN; SYN, ACK; ACK |
/// | a connect that was refused | SYN, answered by RST |
/// | a connect that ended without an answer | SYN, lost, and repeated after 1 s, 3 s, 7 s, ... |
/// | bytes sent, or received where the sender is not in the trace | one PSH, ACK and the ACK for it |
/// | FIN handed to the kernel, a read that met the peer's | FIN, ACK and the ACK for it |
/// | a close without FIN | FIN, ACK; RST, ACK if the peer has sent bytes that were not read |
/// | a reset, an error that tells of the peer's | RST, ACK |
/// | bytes sent to an end that is closed | the bytes, answered by RST |
/// | what was sent after the last sign of life of a peer that is dead | the segment, lost |
///
/// An inferred segment has left when the call that caused it was made, and has arrived when a return told of it: if
/// both ends are in the trace, these times differ, and segments can cross. A kernel that had everything acknowledged
/// earlier bounds the second. Of a time that only one end knows, the other is the same.
///
/// The label of a captured segment follows from what was captured before it, as in Wireshark's analysis:
///
/// | label | the segment |
/// |---|---|
/// | retransmission | takes sequence numbers, all of which its direction has sent before |
/// | out_of_order | the same, but they were left out before, and not sent |
/// | keep_alive_probe | at most one byte, one sequence number before the next, after all was acknowledged |
/// | zero_window_probe | the same, or the next byte, after the peer's window was 0 |
/// | keep_alive_answer, zero_window_answer | the peer's next acknowledgement after a probe, if it says nothing else |
/// | zero_window | otherwise: its window is 0 |
/// | window_update | only acknowledges, what was acknowledged before, with another window |
/// | duplicate_acknowledgement | the same, with the same window |
///
/// Wireshark takes a probe of Linux into a window of 0 for a keep-alive, because it has no byte. A segment is lost if
/// it was sent again before it was acknowledged; so are its last repetition that nothing answers, and a probe that
/// another one follows.
///
/// Empty if the session is not of TCP (its address is a path). Time: about that of sorting the events.
DUET_DECL std::vector<trace_segment> segments_of(trace_log const& log, trace_session const& one);

/// A change of the state of TCP at one end of a connection, RFC 9293 3.3.2.
struct tcp_state_change
{
    friend bool operator==(tcp_state_change const&, tcp_state_change const&) = default;

    bool client = true;
    tcp_state state = tcp_state::closed;
    std::chrono::nanoseconds time{};  ///< since the beginning of the trace

    /// Observed: the kernel reported this state while it lasted, in the event of the number `event`. Inferred: it
    /// follows from the segments.
    duet::evidence evidence = duet::evidence::inferred;
    std::uint64_t event = 0;

    /// 1 + the index in `segments` of the one that left or arrived; 0 if it was none: a time limit, or the kernel's
    /// word.
    std::size_t segment = 0;
};

/// The states of TCP at both ends, in order of time. The first of each end says how it began: closed, listening,
/// unknown if it never answered, or established if the trace does not go back as far as that. `segments` is what
/// segments_of() has returned.
///
/// Linux reports TIME_WAIT, and the end after RST, as closed: here TIME_WAIT is inferred.
DUET_DECL std::vector<tcp_state_change> tcp_states_of(
    trace_log const& log, trace_session const& one, std::vector<trace_segment> const& segments);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/tcp_states.ipp>
#include <duet/detail/trace/trace_segments.ipp>
#endif

#endif
