// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_FILE_IPP
#define DUET_DETAIL_TRACE_TRACE_FILE_IPP

#include <ostream>

#include <duet/detail/trace/json_text.hpp>
#include <duet/trace_file.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A line begins with what it is. What is left of one that could not be completed is dropped.
template <class Fill>
void make_line(std::string& line, std::string_view what, Fill const& fill)
{
    line.clear();
    json_object::append(line,
        [&](json_object& members)
        {
            members.add("line", what);
            fill(members);
        });
    line += '\n';
}

}  // namespace detail

DUET_DECL trace_writer::trace_writer(
    std::ostream& out, std::string_view program, std::chrono::system_clock::time_point began)
    : out_{&out}
{
    detail::make_line(line_, "duet_trace",
        [&](detail::json_object& members)
        {
            members.add("version", trace_file_version);
            members("program", program, "");
            members.add("began_ns", std::chrono::duration_cast<std::chrono::nanoseconds>(began.time_since_epoch()));
        });
    put();
}

DUET_DECL void trace_writer::write(trace_session const& one)
{
    detail::make_line(line_, "session", [&](detail::json_object& members) { visit_fields(one, members); });
    put();
}

DUET_DECL void trace_writer::write(trace_event const& one)
{
    detail::make_line(line_, "event", [&](detail::json_object& members) { visit_fields(one, members); });
    put();
}

DUET_DECL void trace_writer::write_lost(std::uint64_t events)
{
    detail::make_line(line_, "lost", [&](detail::json_object& members) { members.add("events", events); });
    put();
}

DUET_DECL void trace_writer::put()
{
    out_->write(line_.data(), static_cast<std::streamsize>(line_.size()));
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
