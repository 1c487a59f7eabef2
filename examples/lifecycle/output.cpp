// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include <duet/diagram.hpp>
#include <duet/pcapng.hpp>
#include <duet/trace_file.hpp>
#include <duet/trace_segments.hpp>

namespace example {
namespace {

using drawing = std::string (*)(duet::diagram const&);

constexpr std::array<std::pair<char const*, drawing>, 5> formats{{
    {".svg", [](duet::diagram const& picture) { return picture.svg(); }},
    {".html", [](duet::diagram const& picture) { return picture.html(); }},
    {".mmd", [](duet::diagram const& picture) { return picture.mermaid(); }},
    {".md", [](duet::diagram const& picture) { return picture.markdown(); }},
    {".txt", [](duet::diagram const& picture) { return picture.text(); }},
}};

auto format_of(std::string const& file)
{
    return std::ranges::find_if(formats, [&](auto const& each) { return file.ends_with(each.first); });
}

std::size_t columns()
{
    ::winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 100;
}

std::string title_of(scene const& played, stage::recording const& seen, std::size_t index)
{
    std::string const number = seen.connections.size() > 1 ? fmt::format(", connection {}", index + 1) : "";
    return played.title + number;
}

duet::diagram picture_of(scene const& played, stage::recording const& seen, std::size_t index)
{
    return duet::diagram{seen.log, seen.connections[index], {.title = title_of(played, seen, index)}};
}

/// "talk.svg", then "talk-2.svg".
std::string file_of(std::string file, std::size_t index)
{
    if (index > 0)
        file.insert(file.rfind('.'), fmt::format("-{}", index + 1));
    return file;
}

template <class Write>
void write(std::string const& file, Write const& content)
{
    errno = 0;
    std::ofstream out{file, std::ios::binary};
    if (out)
        content(out);
    out.close();
    if (!out)
        throw std::runtime_error{file + ": " + (errno != 0 ? std::strerror(errno) : "cannot be written")};
    fmt::print("{}\n", file);
}

}  // namespace

bool is_picture(std::string const& file)
{
    return format_of(file) != formats.end();
}

void print(scene const& played, stage::recording const& seen)
{
    bool const colours = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    fmt::print("{}\n", played.about);
    for (std::size_t index = 0; index != seen.connections.size(); ++index)
        fmt::print("\n{}", picture_of(played, seen, index).terminal(columns(), colours));
    if (std::fflush(stdout) != 0)
        throw std::runtime_error{"standard output cannot be written"};
}

void write_diagrams(scene const& played, stage::recording const& seen, std::string const& file)
{
    auto const& draw = format_of(file)->second;
    for (std::size_t index = 0; index != seen.connections.size(); ++index)
        write(file_of(file, index), [&](std::ostream& out) { out << draw(picture_of(played, seen, index)); });
}

void write_packets(stage::recording const& seen, std::string const& file)
{
    if (seen.tapped)
        return write(file, [&](std::ostream& out) { duet::write_pcapng(out, seen.log, seen.capture.segments); });
    for (std::size_t index = 0; index != seen.connections.size(); ++index)
    {
        auto const& one = *seen.log.find(seen.connections[index]);
        write(file_of(file, index),
            [&](std::ostream& out) { duet::write_pcapng(out, seen.log, one, duet::segments_of(seen.log, one)); });
    }
}

void write_trace(stage::recording const& seen, std::string const& file)
{
    write(file, [&](std::ostream& out) { duet::write_trace(out, seen.log); });
}

}  // namespace example
