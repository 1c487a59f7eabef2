// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_VERSION_HPP
#define DUET_VERSION_HPP

#include <duet/detail/config.hpp>

/// The version as a number, for `#if`: major * 10000 + minor * 100 + patch.
#define DUET_VERSION 100

/// The version as text.
#define DUET_VERSION_STRING "0.1.0"

namespace duet {
inline namespace DUET_ABI {

inline constexpr int version_major = DUET_VERSION / 10000;
inline constexpr int version_minor = DUET_VERSION / 100 % 100;
inline constexpr int version_patch = DUET_VERSION % 100;

}  // namespace DUET_ABI
}  // namespace duet

#endif
