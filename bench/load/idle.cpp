// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Connections that each had one echo and then nothing, until the end of stdin.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <unistd.h>

#include "modes.hpp"
#include "pattern.hpp"
#include "system.hpp"

namespace load {

report run_idle(options const& o)
{
    constexpr std::size_t batch = 64;  // less than any server's backlog
    report result;
    pattern const bytes{o.size};
    std::vector<char> answer(o.size);
    std::vector<int> descriptors;
    result.begin = usage::of(o.server);
    while (descriptors.size() < o.connections)
    {
        std::size_t const first = descriptors.size();
        for (std::size_t i = first; i < std::min(first + batch, o.connections); ++i)
        {
            descriptors.push_back(connect_to(o.port, i));
            send_all(descriptors[i], bytes.at(0), o.size);
        }
        for (std::size_t i = first; i < descriptors.size(); ++i)
        {
            receive_all(descriptors[i], answer.data(), answer.size());
            if (!bytes.matches(0, answer.data(), answer.size()))
                wrong("what came back is not what was sent");
        }
    }
    result.end = usage::of(o.server);
    result.requests = descriptors.size();
    std::puts("ready");
    std::fflush(stdout);

    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
    {
    }
    for (int const descriptor : descriptors)
        half_close(descriptor);
    for (int const descriptor : descriptors)
        result.count_end(receive_end(descriptor));
    return result;
}

}  // namespace load
