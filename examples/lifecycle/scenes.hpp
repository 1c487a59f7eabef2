// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_SCENES_HPP
#define EXAMPLES_LIFECYCLE_SCENES_HPP

#include <span>
#include <string>

namespace example {

class stage;

/// Something that happens to a connection. It happens while it is played: what its picture shows is what this machine's
/// TCP has done just then.
struct scene
{
    char const* name;
    char const* title;
    char const* about;  ///< what there is to see
    void (*play)(stage&);
};

/// In the order of the book.
std::span<scene const> scenes();

/// The scene of that name, or null.
scene const* find_scene(std::string const& name);

// orderly.cpp: both ends finish.
void whole_flow(stage& on);
void question_answer(stage& on);
void half_close(stage& on);
void full_duplex(stage& on);

// endings.cpp: one of them does not.
void abort_by_server(stage& on);

// connecting.cpp: what a client meets.
void refused(stage& on);

}  // namespace example

#endif
