// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_ADOPTED_HPP
#define DUET_DETAIL_RECORDING_ADOPTED_HPP

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class connection;

/// The program has made this connection of a socket of its own, without an acceptor or a connector. It is recorded from
/// now on, if the program is: see program_watcher().
DUET_DECL void watch_adopted(connection& made) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/recording/adopted.ipp>
#endif

#endif
