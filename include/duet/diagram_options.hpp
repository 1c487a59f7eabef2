// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DIAGRAM_OPTIONS_HPP
#define DUET_DIAGRAM_OPTIONS_HPP

#include <cstddef>
#include <string>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a diagram shows.
struct diagram_options
{
    /// The title; empty: the two addresses.
    std::string title{};

    /// Draw segments that only acknowledge. Those of the handshake and of a FIN are always drawn.
    bool acknowledgements = true;

    /// A run of more items than this that only carry bytes (segments, reads, writes) is folded: its begin and its end
    /// stay, the rest becomes one line. 0 folds nothing. A run of fewer than 12 is never folded.
    std::size_t fold_after = 24;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
