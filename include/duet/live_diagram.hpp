// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_LIVE_DIAGRAM_HPP
#define DUET_LIVE_DIAGRAM_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/trace_log.hpp>
#include <duet/trace_segments.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What the lines of a live_diagram look like.
struct live_diagram_options
{
    std::size_t width = 80;  ///< columns of a line with its prefix; without it 48 at least
    bool unicode = true;     ///< UTF-8 with line drawing; otherwise ASCII
    bool colours = false;    ///< those of ECMA-48
    std::string prefix{};    ///< before each line
};

/// The sequence diagram of a connection while it goes on: lines for a terminal, in the columns of diagram::terminal().
///
/// ```cpp
/// duet::live_diagram live(1, {.width = 100});
/// ...
/// auto const more = trace.log(seen);  // trace_options::on_event tells when
/// for (auto const& event : more.events)
///     seen = std::max(seen, event.number);
/// std::cout << live.add(more);
/// ```
///
/// It knows what this end of the connection knows, at that time. So an arrow from this end says that the segment was
/// sent, not that it has arrived; a reset is the last thing that is drawn; acknowledgements that change no state are
/// left out. Many segments at once are folded into a line. The whole picture, which may know more, is duet::diagram.
///
/// Keeps of a connection only what it needs to go on: bytes that have been drawn take no memory. Time: that of the
/// events that are added. Text in the trace may come from a peer; it can be no command to a terminal.
///
/// Distinct objects: safe. Shared objects: unsafe.
class live_diagram
{
public:
    /// Of the connection that session `number` of a trace is an end of.
    explicit live_diagram(std::uint32_t number, live_diagram_options options = {})
        : number_{number}, options_{std::move(options)}
    {
    }

    /// The lines of what happened since the log that was added before; empty if that was nothing. `more` has the
    /// sessions, and the events that came since: trace::log() with the number of the last one. Events of other sessions
    /// are ignored. Throws std::bad_alloc.
    DUET_DECL std::string add(trace_log const& more);

    /// Who ended the connection, and why. Empty as long as it goes on.
    DUET_DECL std::string verdict() const;

private:
    /// What has been drawn of the segments from one end.
    struct progress
    {
        std::optional<std::uint32_t> sequence{};
        std::optional<std::uint32_t> acknowledgement{};
        bool reset = false;
        bool finished = false;
        std::uint32_t states = 0;  // one bit each
    };

    progress& of(bool client) noexcept { return drawn_[client ? 0 : 1]; }

    bool is_news(trace_segment const& segment);
    std::string draw(trace_session const& one);
    void forget();

    std::uint32_t number_;
    live_diagram_options options_;
    trace_log known_{};    // the session, and those of its events that are needed
    std::size_t old_ = 0;  // events of it that have been drawn
    std::array<progress, 2> drawn_{};
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/live_diagram.ipp>
#endif

#endif
