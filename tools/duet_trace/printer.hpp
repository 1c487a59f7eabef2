// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef TOOLS_DUET_TRACE_PRINTER_HPP
#define TOOLS_DUET_TRACE_PRINTER_HPP

#include <memory>
#include <string>

namespace tool {

/// Writes to standard output and standard error in a thread of its own: who prints never waits for a terminal that is
/// stopped, or for a pipe that nobody reads.
///
/// What waits to be written is bounded. Beyond that, passing lines are left out, and a line says how many. If standard
/// output cannot be written (the reader of a pipe has gone, the disk is full), a line on standard error says so, and
/// nothing more is written there.
class printer
{
public:
    printer();

    printer(printer const&) = delete;
    printer& operator=(printer const&) = delete;

    /// Does not wait: see finish().
    ~printer();

    /// Whole lines, of which some may be left out: 64 KiB wait.
    void pass(std::string lines);

    /// What is to be seen in any case: 64 MiB wait.
    void say(std::string text);

    /// A line for standard error.
    void complain(std::string line);

    /// Wait until everything is written, as long as in five seconds any of it is. False: not all of it was written.
    bool finish();

private:
    struct state;
    std::shared_ptr<state> const state_;  // also of the thread, which may be in the middle of a write at the end
};

}  // namespace tool

#endif
