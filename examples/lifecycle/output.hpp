// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_OUTPUT_HPP
#define EXAMPLES_LIFECYCLE_OUTPUT_HPP

#include <string>

#include "scenes.hpp"
#include "stage.hpp"

namespace example {

/// diagram() can write a file whose name ends so.
bool is_picture(std::string const& file);

/// On standard output, as wide as the terminal: what the scene shows, and the picture of each connection.
void print(scene const& played, stage::recording const& seen);

// Each writes a file, and prints its name. Where a file has one connection, the second one gets "talk-2.svg". They
// throw runtime_error if a file cannot be written.
void write_diagrams(scene const& played, stage::recording const& seen, std::string const& file);
void write_packets(stage::recording const& seen, std::string const& file);
void write_trace(stage::recording const& seen, std::string const& file);

}  // namespace example

#endif
