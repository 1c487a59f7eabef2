// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef TOOLS_DUET_TRACE_OUTPUT_HPP
#define TOOLS_DUET_TRACE_OUTPUT_HPP

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>

#include <duet/diagram_options.hpp>
#include <duet/trace_log.hpp>

namespace tool {

enum class format
{
    terminal,
    text,
    svg,
    html,
    mermaid,
    markdown,
    pcapng,
    jsonl,
};

/// By its name. Throws usage_error.
format format_named(std::string const& name);

/// By the ending of a file's name. Throws usage_error.
format format_of(std::string const& file);

/// What is drawn, and where.
struct output
{
    tool::format format = tool::format::terminal;
    std::string file;       ///< empty: standard output
    std::size_t width = 0;  ///< columns; 0: of the terminal, or 100
    duet::diagram_options picture{};

    /// Draw the connection of this session. Throws if it cannot be written.
    void write(duet::trace_log const& log, std::uint32_t number) const;

    /// Not into the file, but there.
    void write(std::ostream& out, duet::trace_log const& log, std::uint32_t number) const;
};

/// Standard output is a terminal.
bool on_terminal();

/// The columns of that terminal, or 100.
std::size_t columns();

}  // namespace tool

#endif
