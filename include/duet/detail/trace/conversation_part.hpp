// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_PART_HPP
#define DUET_DETAIL_TRACE_CONVERSATION_PART_HPP

#include <cstddef>
#include <cstdint>
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
    bool crosses = false;                    ///< its FIN arrives when the other end has sent its own
    bool acknowledged = false;  ///< its FIN is acknowledged, alone or with what was sent next: that belongs here
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
