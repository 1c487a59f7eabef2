// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "output.hpp"

#include <array>
#include <cstring>
#include <fstream>
#include <iostream>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <cerrno>

#include <sys/ioctl.h>
#include <unistd.h>

#include <duet/diagram.hpp>
#include <duet/pcapng.hpp>
#include <duet/trace_file.hpp>
#include <duet/trace_segments.hpp>

#include "arguments.hpp"

namespace tool {
namespace {

constexpr std::array<std::pair<char const*, format>, 8> names{{{"terminal", format::terminal}, {"text", format::text},
    {"svg", format::svg}, {"html", format::html}, {"mermaid", format::mermaid}, {"markdown", format::markdown},
    {"pcapng", format::pcapng}, {"jsonl", format::jsonl}}};

constexpr std::array<std::pair<char const*, format>, 7> endings{{{".txt", format::text}, {".svg", format::svg},
    {".html", format::html}, {".mmd", format::mermaid}, {".md", format::markdown}, {".pcapng", format::pcapng},
    {".jsonl", format::jsonl}}};

/// The connection of one session: both ends of it, if both were traced, and what belongs to no session.
duet::trace_log part_of(duet::trace_log const& log, duet::trace_session const& one)
{
    auto const* const other = log.other_end(one);
    auto const belongs = [&](std::uint32_t number)
    { return number == 0 || number == one.number || (other != nullptr && number == other->number); };
    duet::trace_log result;
    result.program = log.program;
    result.began = log.began;
    result.lost = log.lost;
    for (auto const& each : log.sessions)
        if (belongs(each.number))
            result.sessions.push_back(each);
    for (auto const& event : log.events)
        if (belongs(event.session))
            result.events.push_back(event);
    return result;
}

void draw(std::ostream& out, output const& how, duet::trace_log const& log, duet::trace_session const& one)
{
    if (how.format == format::jsonl)
        return duet::write_trace(out, part_of(log, one));
    if (how.format == format::pcapng)
        return duet::write_pcapng(out, log, one, duet::segments_of(log, one));
    duet::diagram const picture{log, one.number, how.picture};
    auto const width = how.width != 0 ? how.width : columns();
    switch (how.format)
    {
    case format::text:
        out << picture.text(width);
        break;
    case format::terminal:
        out << picture.terminal(width, how.file.empty() && on_terminal());
        break;
    case format::svg:
        out << picture.svg();
        break;
    case format::html:
        out << picture.html();
        break;
    case format::mermaid:
        out << picture.mermaid();
        break;
    case format::markdown:
        out << picture.markdown();
        break;
    case format::pcapng:
    case format::jsonl:
        break;
    }
}

}  // namespace

bool on_terminal()
{
    return ::isatty(STDOUT_FILENO) == 1;
}

std::size_t columns()
{
    ::winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 100;
}

format format_named(std::string const& name)
{
    for (auto const& [known, result] : names)
        if (name == known)
            return result;
    throw usage_error{"there is no format '" + name + "'"};
}

format format_of(std::string const& file)
{
    for (auto const& [ending, result] : endings)
        if (file.ends_with(ending))
            return result;
    throw usage_error{"'" + file + "' does not end as any format does: .txt, .svg, .html, .mmd, .md, .pcapng or .jsonl"};
}

void output::write(std::ostream& out, duet::trace_log const& log, std::uint32_t number) const
{
    auto const* const one = log.find(number);
    if (one == nullptr)
        throw std::runtime_error{"the trace has no session " + std::to_string(number)};
    draw(out, *this, log, *one);
}

void output::write(duet::trace_log const& log, std::uint32_t number) const
{
    if (file.empty())
    {
        write(std::cout, log, number);
        std::cout.flush();
        if (!std::cout)
            throw std::runtime_error{"standard output cannot be written"};
        return;
    }
    errno = 0;
    std::ofstream out{file, std::ios::binary};
    if (out)
        write(out, log, number);
    out.close();
    if (!out)
        throw std::runtime_error{file + ": " + (errno != 0 ? std::strerror(errno) : "cannot be written")};
}

}  // namespace tool
