// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Any file is read as a trace, or refused with a place that is within it; what is read is written, and then read as the
// same; and a file that is cut off is read up to there.
//
// The input: where the file is cut, from its end on, and the file.

#include "fuzz/input.hpp"

#include <duet/trace_file.hpp>
#include <duet/trace_reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

using duet_test::require;

namespace {

duet::trace_log read(std::string const& text, duet::trace_read_report& report)
{
    std::istringstream in{text};
    return duet::read_trace(in, &report);
}

void check(std::string const& text, std::size_t cut)
{
    duet::trace_read_report report;
    auto const log = read(text, report);
    std::ostringstream out;
    duet::write_trace(out, log);
    auto const again = read(out.str(), report);
    require(again == log, "what is written is read");
    require(!report.cut_off && report.skipped == 0, "all of it");

    auto const part = text.substr(0, text.size() - std::min(cut, text.size()));
    auto const less = read(part, report);
    require(less.events.size() <= log.events.size(), "no event comes of a cut");
    require(less.sessions.size() <= log.sessions.size(), "no session comes of a cut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    duet_test::fuzz_input input{data, size};
    auto const cut = input.number();
    auto const text = input.rest();
    try
    {
        check(text, cut);
    }
    catch (duet::trace_format_error const& error)
    {
        auto const lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
        require(error.line() >= 1 && error.line() <= lines, "the line is there");
        require(error.column() >= 1 && error.column() <= text.size() + 1, "the column is there");
    }
    return 0;
}
