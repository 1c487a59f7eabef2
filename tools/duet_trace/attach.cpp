// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "arguments.hpp"
#include "commands.hpp"

namespace tool {

/// Becomes the program: its signals, its terminal and its status are its own.
int attach(std::vector<std::string> const& words)
{
    // What follows the program's name is the program's, whatever it looks like.
    auto program_name = words.begin();
    while (program_name != words.end() && program_name->starts_with("--") && *program_name != "--")
        program_name += program_name->find('=') == std::string::npos && program_name + 1 != words.end() ? 2 : 1;
    arguments const given{{words.begin(), program_name}, {"out"}};
    if (program_name != words.end() && *program_name == "--")
        ++program_name;
    std::vector<std::string> program{program_name, words.end()};
    if (program.empty() || !given.has("out") || given.text("out").empty())
        throw usage_error{"attach needs --out FILE and a program"};
    if (::setenv("DUET_TRACE", given.text("out").c_str(), 1) != 0)
        throw std::runtime_error{std::string{"setenv: "} + std::strerror(errno)};
    std::vector<char*> argv;
    for (auto& word : program)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execvp(argv.front(), argv.data());
    throw std::runtime_error{program.front() + ": " + std::strerror(errno)};
}

}  // namespace tool
