// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_LINE_READER_HPP
#define DUET_LINE_READER_HPP

#include <cstddef>

#include <duet/frame_layout.hpp>
#include <duet/framing.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Reads a session line by line, to where lines end: a frame_reader of duet::lines, which end with LF or CR LF.
///
/// ```cpp
/// duet::line_reader lines{peer, 4096};
/// for (;;)
/// {
///     auto const line = co_await lines.next();
///     if (!line)
///         break;
///     co_await peer.write(answer_to(*line));
/// }
/// ```
///
/// A line is given without its end. See frame_reader::next() for what ends the lines, for errors and for cancellation.
class line_reader : public frame_reader<lines>
{
public:
    /// `limit` is the longest line that is accepted, in bytes and with its end.
    template <class Session>
    line_reader(Session& from, std::size_t limit) : frame_reader{from, lines{}, limit}
    {
    }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
