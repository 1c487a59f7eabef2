// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Shows what is behind listen(): the queue of handshakes, the queue of connections that nobody has accepted, what
// happens when either is full, a SYN flood, and what SYN cookies and limit_policy::shed change. Each act has a network
// namespace of its own. Try: queue; queue --acts; queue --act overflow

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "../lifecycle/network.hpp"
#include "../options.hpp"
#include "acts.hpp"
#include "scene.hpp"

namespace {

constexpr int bad_command_line = 2;
constexpr int no_permission = 77;  // EX_NOPERM

std::string play(example::act const& what, std::chrono::milliseconds patience)
{
    // First of all: an act sets parameters and sends floods, and none of it may reach the machine's own network.
    example::enter_own_network();
    fmt::print("\n{}: {}\n", what.name, what.title);
    example::print_head();
    return fmt::format("{}: {}.", what.name, what.play(patience));
}

}  // namespace

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Shows what happens behind listen(), in a network namespace of its own.",
        {{"act", "all", "which one"}, {"acts", "", "list them"},
            {"patience", "500", "how long a client waits for connect(), in milliseconds"}}};
    if (options.flag("acts"))
    {
        for (auto const& each : example::acts())
            fmt::print("{:13}{}\n", each.name, each.title);
        return 0;
    }
    auto const& name = options.text("act");
    if (name != "all" && std::ranges::count(example::acts(), name, &example::act::name) == 0)
    {
        fmt::print(stderr, "queue: there is no act '{}'; --acts lists them\n", name);
        return bad_command_line;
    }
    std::chrono::milliseconds const patience{std::max(1U, options.number("patience"))};
    std::vector<std::string> shown;
    for (auto const& each : example::acts())
    {
        if (name != "all" && name != each.name)
            continue;
        shown.push_back(play(each, patience));
    }
    fmt::print("\n");
    example::print_legend();
    fmt::print("\nIn short\n");
    for (auto const& each : shown)
        fmt::print("- {}\n", each);
}
catch (example::not_permitted const& error)
{
    fmt::print(stderr, "queue: {}\n", error.what());
    return no_permission;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "queue: {}\n", error.what());
    return 1;
}
