// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Plays a scene from the life of a connection on this machine's TCP, and shows what was called, what TCP did, and what
// was learned. Try: lifecycle; lifecycle --scenes; lifecycle --scene half_close --tap --diagram half_close.html

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>

#include "../options.hpp"
#include "network.hpp"
#include "output.hpp"
#include "scenes.hpp"
#include "stage.hpp"

namespace {

constexpr int bad_command_line = 2;
constexpr int no_permission = 77;  // EX_NOPERM

int refuse(std::string const& problem)
{
    fmt::print(stderr, "lifecycle: {}\n", problem);
    return bad_command_line;
}

}  // namespace

int main(int argc, char** argv)
try
{
    example::options const options{argc, argv, "Plays a scene from the life of a connection, and shows it.",
        {{"scene", "whole_flow", "which one"}, {"scenes", "", "list them"},
            {"diagram", "none", "draw it into this file: .svg, .html, .mmd, .md or .txt"},
            {"pcap", "none", "write its packets into this file, for Wireshark"},
            {"trace", "none", "write its trace into this file, for duet-trace"},
            {"tap", "", "capture the segments, in a network namespace of its own"}}};
    if (options.flag("scenes"))
    {
        for (auto const& each : example::scenes())
            fmt::print("{:22}{}\n", each.name, each.title);
        return 0;
    }
    auto const* const scene = example::find_scene(options.text("scene"));
    if (scene == nullptr)
        return refuse(fmt::format("there is no scene '{}'; --scenes lists them", options.text("scene")));
    if (options.flag("diagram") && !example::is_picture(options.text("diagram")))
        return refuse(fmt::format("'{}' does not end as a picture does; see --help", options.text("diagram")));

    example::stage stage{scene->name, scene->own_network, options.flag("tap")};
    scene->play(stage);
    auto const seen = stage.end();
    if (options.flag("diagram"))
        example::write_diagrams(*scene, seen, options.text("diagram"));
    else
        example::print(*scene, seen);
    if (options.flag("pcap"))
        example::write_packets(seen, options.text("pcap"));
    if (options.flag("trace"))
        example::write_trace(seen, options.text("trace"));
}
catch (example::not_permitted const& error)
{
    fmt::print(stderr, "lifecycle: {}\n", error.what());
    return no_permission;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "lifecycle: {}\n", error.what());
    return 1;
}
