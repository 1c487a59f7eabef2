// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TAKEN_HPP
#define DUET_TEST_TAKEN_HPP

#include "support/raw_peer.hpp"

#include <duet/hand_over.hpp>

#include <vector>

#include <fcntl.h>

namespace duet_test {

/// The copies, as the other program has them: it owns what inherited_descriptors() returns.
inline std::vector<duet::inherited_descriptor> taken(duet::handed_listeners const& handed)
{
    auto result = handed.descriptors();
    for (auto& each : result)
        each.descriptor = checked(::fcntl(each.descriptor, F_DUPFD_CLOEXEC, 0), "dup");
    return result;
}

}  // namespace duet_test

#endif
