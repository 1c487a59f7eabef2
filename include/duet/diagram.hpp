// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DIAGRAM_HPP
#define DUET_DIAGRAM_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <duet/detail/trace/conversation.hpp>
#include <duet/detail/trace/diagram_html.hpp>
#include <duet/detail/trace/diagram_layout.hpp>
#include <duet/detail/trace/diagram_markdown.hpp>
#include <duet/detail/trace/diagram_mermaid.hpp>
#include <duet/detail/trace/diagram_svg.hpp>
#include <duet/detail/trace/diagram_text.hpp>
#include <duet/detail/trace/lay_out.hpp>
#include <duet/diagram_options.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The sequence diagram of a connection: a lifeline for each end with the states of its TCP, what its program called
/// and what it learned beside it, and the segments between them (duet/trace_segments.hpp tells where these come from).
///
/// ```cpp
/// duet::diagram const picture(log, 1);
/// std::cout << picture.terminal(100);
/// std::ofstream("connection.html") << picture.html();
/// ```
///
/// What was captured or reported by the kernel is drawn otherwise than what is inferred, and a legend says so. Segments
/// that cross on their way are drawn crossing, lost ones end half-way, a half-closed connection is shaded. Its title
/// says who ended the connection, and why. Silences and long runs of bytes take one line.
///
/// Text in the trace may come from a peer. Each format escapes it: it can be neither markup, nor a command to a
/// terminal.
///
/// Distinct objects: safe. Shared objects: safe, nothing changes one.
class diagram
{
public:
    /// The connection that session `number` of the trace is an end of; with the other end if it is in the trace. Keeps
    /// nothing of the trace. Without such a session the picture is empty. Throws std::bad_alloc.
    explicit diagram(trace_log const& log, std::uint32_t number, diagram_options const& options = {})
    {
        if (auto const* const one = log.find(number))
        {
            layout_ = detail::lay_out(log, *one, options);
            conversation_ = detail::conversation_of(log, *one);
        }
    }

    /// In ASCII. Lines are as wide as `width`, or narrower; 48 columns at least.
    std::string text(std::size_t width = 80) const { return detail::draw_text(layout_, {width, false, false}); }

    /// In UTF-8 with line drawing, and with the colours of ECMA-48 if `colours`. East Asian characters count as two
    /// columns.
    std::string terminal(std::size_t width = 80, bool colours = true) const
    {
        return detail::draw_text(layout_, {width, true, colours});
    }

    /// An SVG image of that many pixels in width, 320 to 4000, in the colours that the viewer prefers: light or dark.
    /// Below 640, calls and returns stand between the lifelines. It refers to nothing outside.
    std::string svg(int width = 960) const { return detail::draw_svg(layout_, {width, false}); }

    /// A Mermaid sequenceDiagram; GitHub draws it in a code block `mermaid`.
    std::string mermaid() const { return detail::draw_mermaid(layout_); }

    /// A page that needs nothing else, and no network: the image for wide and narrow screens, light and dark. Pointing
    /// at something shows what is known about it; the arrow keys step through; +, - and 0 zoom; a, c and s choose the
    /// direction. Its table has every event, also those that the image has folded.
    std::string html() const { return detail::draw_html(layout_); }

    /// A table for Markdown as GitHub has it: what the program learns of a call, step by step.
    ///
    ///     | call | segments | states | what the program sees |
    ///     |---|---|---|---|
    ///     | client: shutdown_send | → FIN, ACK<br>← ACK | FIN_WAIT2 / CLOSE_WAIT | server: read_some → 0 (the client's
    ///     FIN) |
    ///
    /// A row is a call, with the segments that it caused and those that answer these, the states of TCP at client and
    /// server after that if they changed, and what returned because of it, at either end. What TCP does on its own
    /// ("client's TCP": it repeats a segment) has rows, too; so have failures that no segment tells of, and calls that
    /// end a connection and send nothing.
    ///
    /// Two conversations in which programs and TCP did the same have the same table: it has no times, no addresses, and
    /// no sizes of windows. Rows follow from each other by cause and effect: a call comes after what its program had
    /// called and learned before. Where nothing decides, the client comes first. Segments that only acknowledge are
    /// left out, but for those of the handshake, of FINs and of probes, and those that close and open a window which
    /// TCP has had to ask for. A FIN's is in the row of the FIN, alone or with what was sent next: which of these is a
    /// matter of milliseconds. Bytes of one call are one line, however TCP has cut them. Segments that TCP repeats are
    /// one line, and what programs do three times or more, one after another, is told once and marked.
    ///
    /// diagram_options does not change it.
    std::string markdown() const { return detail::draw_markdown(conversation_); }

private:
    detail::diagram_layout layout_{};
    std::vector<detail::conversation_row> conversation_{};
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
