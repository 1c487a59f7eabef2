// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_PART_HPP
#define DUET_DETAIL_TRACE_CONVERSATION_PART_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// One step of a conversation: a call, or TCP on its own, what was sent because of it, and what returned because of
/// that.
struct conversation_part
{
    enum class what : std::uint8_t
    {
        call,     ///< of the end's program
        failure,  ///< a call has failed, and no segment told of it
        program,  ///< the end's program, by a call that is not in the trace
        tcp,      ///< the end's TCP on its own
        both,     ///< the TCP of both ends: each acknowledges a FIN that has crossed its own
    };

    what kind = what::call;
    bool client = true;                      ///< the end that acts
    trace_event const* call = nullptr;       ///< may be unknown
    std::vector<std::size_t> segments{};     ///< indices, in the order in which they were sent
    std::vector<trace_event const*> told{};  ///< what returned

    /// Its FIN arrives, for TCP, with that segment: the other end's FIN, which it crosses; or one that is repeated and
    /// comes before it.
    std::optional<std::size_t> lands{};

    /// The FIN that is acknowledged here, alone or with what was sent next.
    std::optional<std::size_t> acknowledged{};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
