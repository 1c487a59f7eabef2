// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_FILE_IPP
#define DUET_DETAIL_TRACE_TRACE_FILE_IPP

#include <ostream>

#include <duet/detail/trace/json_text.hpp>
#include <duet/trace_file.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A line begins with what it is.
template <class Object>
void append_line(std::string& out, std::string_view what, Object const& object)
{
    json_object line{out};
    line.add("line", what);
    visit_fields(object, line);
}

}  // namespace detail

DUET_DECL trace_writer::trace_writer(
    std::ostream& out, std::string_view program, std::chrono::system_clock::time_point began)
    : out_{&out}
{
    {
        detail::json_object line{line_};
        line.add("line", std::string_view{"duet_trace"});
        line.add("version", trace_file_version);
        line("program", program, "");
        line.add("began_ns", std::chrono::duration_cast<std::chrono::nanoseconds>(began.time_since_epoch()));
    }
    put();
}

DUET_DECL void trace_writer::write(trace_session const& one)
{
    detail::append_line(line_, "session", one);
    put();
}

DUET_DECL void trace_writer::write(trace_event const& one)
{
    detail::append_line(line_, "event", one);
    put();
}

DUET_DECL void trace_writer::write_lost(std::uint64_t events)
{
    {
        detail::json_object line{line_};
        line.add("line", std::string_view{"lost"});
        line.add("events", events);
    }
    put();
}

DUET_DECL void trace_writer::put()
{
    line_ += '\n';
    out_->write(line_.data(), static_cast<std::streamsize>(line_.size()));
    line_.clear();
}

DUET_DECL void write_trace(std::ostream& out, trace_log const& log)
{
    trace_writer writer{out, log.program, log.began};
    for (auto const& each : log.sessions)
        writer.write(each);
    for (auto const& each : log.events)
        writer.write(each);
    if (log.lost != 0)
        writer.write_lost(log.lost);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
