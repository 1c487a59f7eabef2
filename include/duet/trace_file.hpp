// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TRACE_FILE_HPP
#define DUET_TRACE_FILE_HPP

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

// A trace as a file of JSON lines: a header, and a line for each session and each event, as they come.
// docs/trace_format.md describes the lines. duet/trace_reader.hpp reads them again; only that needs Boost.JSON.

/// What the header's "version" says. It becomes greater only if older readers would misunderstand the file: they skip
/// members, kinds and lines that they do not know.
inline constexpr std::uint64_t trace_file_version = 1;

/// Writes a trace while it is recorded. Each call writes one line with one call of the stream's write(), so a file that
/// is cut off anywhere can be read up to there.
///
/// The writer does not flush. If every event shall be in the file when the program crashes, set std::unitbuf on the
/// stream. Errors are those of the stream: check its state, or set its exceptions(). Without memory for a line, write()
/// throws std::bad_alloc and has written nothing of it.
///
/// Distinct objects: safe. Shared objects: unsafe.
class trace_writer
{
public:
    /// Writes the header. `out` has to outlive the writer. `program` says what is traced, and may be empty; `began` is
    /// when event time 0 is.
    DUET_DECL trace_writer(std::ostream& out, std::string_view program, std::chrono::system_clock::time_point began);

    /// A session has to be written before its events. Written again, for example with a name that was not known before,
    /// it replaces what was written.
    DUET_DECL void write(trace_session const& one);

    DUET_DECL void write(trace_event const& one);

    /// So many events, in total, were not kept: trace_log::lost. The last one counts.
    DUET_DECL void write_lost(std::uint64_t events);

private:
    DUET_DECL void put();

    std::ostream* out_;
    std::string line_;
};

/// Writes the whole of a trace. Errors are those of the stream.
DUET_DECL void write_trace(std::ostream& out, trace_log const& log);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/trace_file.ipp>
#endif

#endif
