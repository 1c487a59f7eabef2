// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TRACE_OPTIONS_HPP
#define DUET_TRACE_OPTIONS_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a duet::trace records.
struct trace_options
{
    /// trace_log::program: what is traced.
    std::string program{};

    /// Write the events to this file as JSON lines (docs/trace_format.md), and keep none in memory: trace::log() is
    /// then empty. An existing file is replaced. What is recorded is in the file when a session has ended, otherwise at
    /// the latest with the first event after 20 ms, or when the trace is destroyed. Empty: no file.
    std::string file{};

    /// How many events are kept in memory, of all sessions. Further ones are counted as lost.
    std::size_t most_events = 1'000'000;

    /// A flight recorder: keep only the last events of each session, in a ring of this size, until the session ends. 0:
    /// keep all. Earlier events of a session are counted as lost.
    std::size_t last_events = 0;

    /// With last_events: called when a session has ended otherwise than cleanly (close_report::clean()), with that
    /// session and its last events. It runs on the session's executor, after the session's end. Exceptions leave the
    /// run() of its context.
    std::function<void(trace_log const&)> on_unclean_end{};

    /// Called after an event has been kept in memory, or a few that happened at once, on the thread that recorded it:
    /// trace::log() has it now, so a program can follow a trace. It may wake another part of the program; it does not
    /// block, does not throw, and uses no session. Not called for a file or a flight recorder.
    std::function<void()> on_event{};

    /// How often, in a second, the kernel is asked for its view of a connection (trace_event::kernel), over all
    /// sessions. As long as that is not exceeded, each event has it. 0: never.
    std::uint32_t kernel_queries = 1'000;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
