// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_LOAD_OPTIONS_HPP
#define BENCH_LOAD_OPTIONS_HPP

#include <cstddef>
#include <cstdint>
#include <string>

namespace load {

struct options
{
    std::string mode;        ///< echo, connect, faults, idle, up, down; ask, of the programs of bench/clients
    std::uint16_t port = 0;  ///< of the server, on 127.0.0.1
    std::size_t connections = 64;
    std::size_t size = 64;        ///< bytes per message
    std::size_t depth = 1;        ///< messages under way per connection
    std::size_t echoes = 0;       ///< so many in all, instead of `seconds`; for connect, connections
    std::size_t bytes = 1 << 30;  ///< for up and down, over all connections
    double seconds = 1;
    double warmup = 0.2;
    int server = 0;         ///< a process: its processor time is measured with ours
    bool framed = false;    ///< each message begins with the size of what follows, in four bytes
    bool lockstep = false;  ///< send to every connection, wait for every answer, again: counts that repeat
};

/// Prints what is wrong and ends the program with 2 if it understands something not.
options parse(int argc, char** argv);

}  // namespace load

#endif
