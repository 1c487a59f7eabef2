// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The load generator: one thread, epoll, nothing but POSIX. See options.cpp for what it takes.

#include <cstdio>

#include "modes.hpp"
#include "options.hpp"
#include "report.hpp"
#include "system.hpp"

int main(int argc, char** argv)
{
    auto const o = load::parse(argc, argv);
    load::raise_descriptor_limit(o.connections + 32);
    load::report (*run)(load::options const&) = nullptr;
    if (o.mode == "echo" || o.mode == "faults")
        run = load::run_echo;
    else if (o.mode == "connect")
        run = load::run_connect;
    else if (o.mode == "idle")
        run = load::run_idle;
    else if (o.mode == "up" || o.mode == "down")
        run = load::run_bulk;
    if (!run)
        load::wrong("no such mode");
    run(o).print(o);
}
