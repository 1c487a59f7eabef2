// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_MEMORY_BEHAVIOUR_HPP
#define DUET_TESTING_MEMORY_BEHAVIOUR_HPP

#include <cstddef>
#include <limits>
#include <string>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace testing {

/// The behaviour of one end of a memory stream. It may be changed at any time, by memory_stream::behaviour().
struct memory_behaviour
{
    /// The maximum number of bytes that the peer has not read yet; a write accepts no more.
    std::size_t capacity = 64 * 1024;

    /// The maximum number of bytes that one read or one write transfers, for tests of short reads and writes.
    std::size_t most_per_read = std::numeric_limits<std::size_t>::max();
    std::size_t most_per_write = std::numeric_limits<std::size_t>::max();
};

struct memory_endpoint
{
    std::string name;

    friend bool operator==(memory_endpoint const&, memory_endpoint const&) = default;
};

}  // namespace testing
}  // namespace DUET_ABI
}  // namespace duet

#endif
