// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_CONVERSATION_HPP
#define DUET_DETAIL_TRACE_CONVERSATION_HPP

#include <string>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What one call did, or TCP on its own. All text is printable UTF-8; whatever means something to a format is escaped
/// by its renderer.
struct conversation_row
{
    friend bool operator==(conversation_row const&, conversation_row const&) = default;

    std::vector<std::string> calls{};     ///< "client: write 5 bytes", "server's TCP"
    std::vector<std::string> segments{};  ///< "→ PSH, ACK 5 bytes"
    std::string states{};                 ///< "FIN_WAIT2 / CLOSE_WAIT"; empty: as before
    std::vector<std::string> seen{};      ///< "server: read_some → 5 bytes"
};

/// The conversation on the connection that `one` is an end of, by cause and effect: see diagram::markdown().
DUET_DECL std::vector<conversation_row> conversation_of(trace_log const& log, trace_session const& one);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/conversation.ipp>
#endif

#endif
