// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "options.hpp"

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <string_view>

namespace load {
namespace {

[[noreturn]] void refuse(std::string const& problem)
{
    std::cerr << "load: " << problem << R"(
usage: load MODE --port PORT [--OPTION VALUE]...
  echo     sends messages, checks what comes back
  connect  connect + one message + half-close + read to the end, again and again, on --connections at once
  faults   echo, while a tenth of the connections resets now and then, and a tenth sends and does not read
  idle     opens connections, one echo on each, prints "ready", holds them until the end of stdin
  up, down --bytes to or from a server of bench/bulk
options: --connections N  --size BYTES  --depth N  --seconds S  --warmup S  --echoes N  --bytes N  --server PID
         --lockstep 1  --framed 1
Prints one line of JSON.
)";
    std::exit(2);
}

double number(std::string_view name, char const* text)
{
    char* end = nullptr;
    double const value = text ? std::strtod(text, &end) : -1;
    if (!text || *text == '\0' || *end != '\0' || !std::isfinite(value) || value < 0)
        refuse(std::string{name} + " needs a number");
    return value;
}

}  // namespace

options parse(int argc, char** argv)
{
    options result;
    if (argc < 2)
        refuse("no mode");
    result.mode = argv[1];
    for (int i = 2; i < argc; i += 2)
    {
        std::string_view const name = argv[i];
        double const value = number(name, i + 1 < argc ? argv[i + 1] : nullptr);
        auto const whole = static_cast<std::size_t>(value);
        if (name == "--port" && value <= std::numeric_limits<std::uint16_t>::max())
            result.port = static_cast<std::uint16_t>(value);
        else if (name == "--connections")
            result.connections = whole;
        else if (name == "--size")
            result.size = whole;
        else if (name == "--depth")
            result.depth = whole;
        else if (name == "--echoes")
            result.echoes = whole;
        else if (name == "--bytes")
            result.bytes = whole;
        else if (name == "--seconds")
            result.seconds = value;
        else if (name == "--warmup")
            result.warmup = value;
        else if (name == "--server")
            result.server = static_cast<int>(value);
        else if (name == "--lockstep")
            result.lockstep = value > 0;
        else if (name == "--framed")
            result.framed = value > 0;
        else
            refuse("do not understand " + std::string{name});
    }
    if (result.port == 0 || result.connections == 0 || result.size == 0 || result.depth == 0)
        refuse("--port, --connections, --size and --depth are at least 1");
    if (result.framed && result.size < 4)
        refuse("a framed message has at least 4 bytes");
    return result;
}

}  // namespace load
