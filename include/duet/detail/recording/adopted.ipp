// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_ADOPTED_IPP
#define DUET_DETAIL_RECORDING_ADOPTED_IPP

#include <duet/detail/recording/adopted.hpp>
#include <duet/detail/recording/recording_watcher.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL void watch_adopted(connection& made) noexcept
{
    if (auto const& watcher = program_watcher())
        watcher->on_adopted(made);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
