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
    bool own_network = false;  ///< it needs one
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

// endings.cpp: not as both want it.
void abort_by_server(stage& on);
void unread_input_by_hand(stage& on);
void unread_input(stage& on);
void simultaneous_close(stage& on);

// silence.cpp: one end says nothing any more.
void peer_vanishes(stage& on);
void keep_alive(stage& on);
void zero_window(stage& on);

// queues.cpp: behind listen().
void backlog_overflow(stage& on);
void syn_flood(stage& on);
void syn_cookies(stage& on);
void reset_in_queue(stage& on);

// connecting.cpp: before there is a connection.
void refused(stage& on);
void happy_eyeballs(stage& on);
void time_wait(stage& on);

}  // namespace example

#endif
