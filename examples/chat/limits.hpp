// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_LIMITS_HPP
#define EXAMPLES_CHAT_LIMITS_HPP

#include <chrono>
#include <cstddef>

namespace chat {

/// What a stranger may take. Together with server_options::max_sessions and session_options::queue_limit, they bound
/// the memory of the server.
struct limits
{
    std::size_t line = 1000;              ///< bytes of a line, with its end
    std::size_t name = 20;                ///< bytes of a name, of a member or of a room
    std::size_t tries = 3;                ///< names that one may propose
    std::size_t rooms = 100;              ///< that have members, or are remembered for their history
    std::size_t history = 50;             ///< messages that a room remembers
    std::chrono::nanoseconds pace{};      ///< between two lines of one member, on average
    std::size_t burst = 20;               ///< lines that need not keep to the pace
    std::chrono::milliseconds to_name{};  ///< for each name that is proposed
};

}  // namespace chat

#endif
