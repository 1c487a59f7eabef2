// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef TOOLS_DUET_TRACE_COMMANDS_HPP
#define TOOLS_DUET_TRACE_COMMANDS_HPP

#include <string>
#include <vector>

namespace tool {

// The commands, each with the words behind its name. They return the program's status. They throw usage_error, and
// other exceptions for what fails.

int view(std::vector<std::string> const& words);
int proxy(std::vector<std::string> const& words);
int attach(std::vector<std::string> const& words);

}  // namespace tool

#endif
