// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_MEMORY_BEHAVIOUR_HPP
#define DUET_TESTING_MEMORY_BEHAVIOUR_HPP

#include <cstddef>
#include <limits>
#include <string>

namespace duet {
inline namespace v0 {
namespace testing {

/// How one end of a memory stream behaves. It may be changed at any time: memory_stream::behaviour().
struct memory_behaviour
{
    /// Bytes that are on their way to the peer at most; a write takes no more.
    std::size_t capacity = 64 * 1024;

    /// Bytes that one read or one write moves at most, for tests of short ones.
    std::size_t most_per_read = std::numeric_limits<std::size_t>::max();
    std::size_t most_per_write = std::numeric_limits<std::size_t>::max();
};

struct memory_endpoint
{
    std::string name;

    friend bool operator==(memory_endpoint const&, memory_endpoint const&) = default;
};

}  // namespace testing
}  // namespace v0
}  // namespace duet

#endif
