// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_HANDSHAKES_HPP
#define DUET_DETAIL_ACCEPT_HANDSHAKES_HPP

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// True if a client of this port has sent its SYN and not yet the ACK that completes the handshake, so that the
/// connection is not in the listener's queue yet. The kernel does not say to which of several listeners on a port it
/// belongs. False also if the system cannot tell (no sock_diag), and for a handshake with a SYN cookie, of which the
/// kernel itself knows nothing.
DUET_DECL bool has_handshakes_under_way(int listener) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/accept/handshakes.ipp>
#endif

#endif
