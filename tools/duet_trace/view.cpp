// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <duet/trace_reader.hpp>

#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"

namespace tool {
namespace {

duet::trace_log read(std::string const& file)
{
    duet::trace_read_report report;
    duet::trace_log result;
    try
    {
        if (file == "-")
            result = duet::read_trace(std::cin, &report);
        else
        {
            errno = 0;
            std::ifstream in{file, std::ios::binary};
            if (!in)
                throw std::runtime_error{std::strerror(errno != 0 ? errno : EIO)};
            result = duet::read_trace(in, &report);
            if (in.bad())  // a directory, say; to the reader it has only ended
                throw std::runtime_error{std::strerror(errno != 0 ? errno : EIO)};
        }
    }
    catch (std::runtime_error const& error)
    {
        throw std::runtime_error{file + ": " + error.what()};
    }
    if (report.cut_off)
        std::cerr << "duet-trace: " << file << " ends in the middle of a line; what is before is shown\n";
    if (report.skipped > 0)
        std::cerr << "duet-trace: " << file << ": " << report.skipped << " lines are of a newer version, and left out\n";
    return result;
}

std::string describe(duet::trace_log const& log, duet::trace_session const& one)
{
    std::string end = "has not ended";
    for (auto const& event : log.events)
        if (event.session == one.number && event.kind == duet::trace_kind::end)
            end = event.text;
    return std::to_string(one.number) + (one.client ? "  client " : "  server ") + one.local + " - " + one.remote + "  " +
           one.name + (one.name.empty() ? "" : ": ") + end;
}

/// One session of each connection.
std::vector<std::uint32_t> connections_of(duet::trace_log const& log)
{
    std::vector<std::uint32_t> result;
    std::set<std::uint32_t> drawn;
    for (auto const& each : log.sessions)
    {
        if (drawn.contains(each.number))
            continue;
        result.push_back(each.number);
        if (auto const* const other = log.other_end(each))
            drawn.insert(other->number);
    }
    return result;
}

}  // namespace

int view(std::vector<std::string> const& words)
{
    arguments const given{words, {"session", "format", "out", "width"}, {"list", "all"}};
    if (given.rest().size() != 1)
        throw usage_error{"view needs one file, or - for standard input"};
    output out;
    out.file = given.text("out");
    if (!out.file.empty())
        out.format = format_of(out.file);
    if (given.has("format"))
        out.format = format_named(given.text("format"));
    out.width = given.number("width", 0, 48, 1000);
    if (given.has("all"))
        out.picture.fold_after = 0;
    auto const session = given.number("session", 0, 1, std::numeric_limits<std::uint32_t>::max());

    auto const log = read(given.rest().front());
    if (given.has("list"))
    {
        for (auto const& each : log.sessions)
            std::cout << describe(log, each) << '\n';
        return 0;
    }
    auto numbers = connections_of(log);
    if (session != 0)
        numbers = {static_cast<std::uint32_t>(session)};
    if (numbers.empty())
        throw std::runtime_error{"the trace has no session"};
    bool const one_only = !out.file.empty() || (out.format != format::terminal && out.format != format::text);
    if (one_only && numbers.size() > 1)
    {
        std::cerr << "duet-trace: this is the first of " << numbers.size()
                  << " connections; --list names them, --session chooses\n";
        numbers.erase(numbers.begin() + 1, numbers.end());  // g++ 12 -O3 takes a resize() for one that grows
    }
    for (std::size_t i = 0; i < numbers.size(); ++i)
    {
        if (i > 0)
            std::cout << '\n';
        out.write(log, numbers[i]);
    }
    return 0;
}

}  // namespace tool
