// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_INHERITED_HPP
#define DUET_INHERITED_HPP

#include <string>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A listening socket that was open before this program started. An acceptor created from it owns the descriptor.
struct inherited_descriptor
{
    int descriptor = -1;
    std::string name{};  ///< the name that the parent process gave it (FileDescriptorName= of systemd); may be empty
};

/// The sockets passed by a service manager, or by a predecessor of this program (hand_over.hpp): systemd's socket
/// activation (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, descriptors from 3 on). Empty if there are none, or if they are
/// meant for another process. Marks them close-on-exec.
DUET_DECL std::vector<inherited_descriptor> inherited_descriptors();

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/accept/inherited.ipp>
#endif

#endif
