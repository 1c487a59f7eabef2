// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TRACE_READER_HPP
#define DUET_TRACE_READER_HPP

// Needs Boost.JSON, as no other header of duet does: link Boost::json, or include <boost/json/src.hpp> in one file of
// the program. duet/duet.hpp does not include this header.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What read_trace() has to say of a file that it could read.
struct trace_read_report
{
    /// The file ends in the middle of a line: the program that wrote it has crashed, or still writes. Everything before
    /// that line has been read.
    bool cut_off = false;

    /// How many lines were left out, because they are of a kind, or have a value, that this version does not know.
    std::uint64_t skipped = 0;
};

/// A file is not a trace. what() tells the place and what is wrong there.
class trace_format_error : public std::runtime_error
{
public:
    trace_format_error(std::size_t line, std::size_t column, std::string const& wrong)
        : std::runtime_error{"line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + wrong},
          line_{line}, column_{column}
    {
    }

    /// From 1 on.
    std::size_t line() const noexcept { return line_; }

    /// In bytes, from 1 on.
    std::size_t column() const noexcept { return column_; }

private:
    std::size_t line_;
    std::size_t column_;
};

/// Reads what trace_writer and write_trace() have written (docs/trace_format.md), to the end of the stream. The
/// sessions of the result are ordered by number and its events by time, whatever their order in the file.
///
/// Members that are not known are skipped, so that files of newer versions are read, too. A last line that is cut off
/// is no error. `report`, if it is not null, is told.
///
/// Throws trace_format_error if the file is no trace, or of a version that this one would misunderstand. The stream may
/// throw what its exceptions() ask for.
inline trace_log read_trace(std::istream& in, trace_read_report* report = nullptr);

}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/trace/trace_reader.ipp>

#endif
