// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIFECYCLE_DISPLAY_HPP
#define EXAMPLES_LIFECYCLE_DISPLAY_HPP

#include <chrono>
#include <string>
#include <string_view>

#include <duet/session.hpp>

namespace example {

/// Prints the life of a connection: who called what, what TCP did because of it, what came back, and then the states.
/// What a return or the kernel told is printed as it is; what only follows from the rules of TCP stands in brackets.
class display
{
public:
    display();

    /// A call before there is a session, or without one.
    void step(std::string_view who, std::string_view call, std::string_view inferred, std::string_view returned);

    /// A call of a session, with both directions' states and the kernel's state after it.
    void step(std::string_view who, duet::session const& session, std::string_view call, std::string_view inferred,
        std::string_view returned);

private:
    void print(std::string_view who, std::string_view call, std::string_view inferred, std::string_view returned,
        std::string const& states);

    std::chrono::steady_clock::time_point begun_;
    bool colours_;
};

}  // namespace example

#endif
