// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "lifecycle_display.hpp"

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

namespace example {

display::display()
    : begun_{std::chrono::steady_clock::now()}, colours_{
                                                    ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr}
{
    print("who", "calls", "what TCP does", "what came back", "receive / send / kernel");
}

void display::step(std::string_view who, std::string_view call, std::string_view inferred, std::string_view returned)
{
    print(who, call, inferred, returned, "");
}

void display::step(std::string_view who, duet::session const& session, std::string_view call, std::string_view inferred,
    std::string_view returned)
{
    duet::error_code error;
    auto const info = session.tcp_info(error);
    std::string states{to_string(session.receive_state())};
    states += " / ";
    states += to_string(session.send_state());
    states += " / ";
    states += error ? "(descriptor closed)" : to_string(info.state);
    print(who, call, inferred, returned, states);
}

void display::print(std::string_view who, std::string_view call, std::string_view inferred, std::string_view returned,
    std::string const& states)
{
    auto const since = std::chrono::steady_clock::now() - begun_;
    auto const microseconds = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    bool const server = who == "server";
    std::string const lane = std::string(server ? 3 : 0, ' ') + std::string{who};
    std::string const guess =
        inferred.empty() || who == "who" ? std::string{inferred} : "[" + std::string{inferred} + "]";
    char const* const tint = !colours_ ? "" : who == "who" ? "\033[1m" : server ? "\033[36m" : "\033[33m";
    char const* const faint = colours_ && who != "who" ? "\033[2m" : "";
    char const* const plain = colours_ ? "\033[0m" : "";
    std::printf("%8lld us  %s%-10s%s %-26s %s%-34s%s %-30.*s %s\n", static_cast<long long>(microseconds), tint,
        lane.c_str(), plain, std::string{call}.c_str(), faint, guess.c_str(), plain, static_cast<int>(returned.size()),
        returned.data(), states.c_str());
    std::fflush(stdout);
}

}  // namespace example
