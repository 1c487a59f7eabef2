// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_CLOSE_REPORT_HPP
#define DUET_CLOSE_REPORT_HPP

#include <boost/system/error_code.hpp>

#include <cstdint>

#include <duet/lifecycle.hpp>

namespace duet {
inline namespace DUET_ABI {

/// How a connection ended: the result of close(). Plain data, trivially destructible.
struct close_report
{
    close_reason reason = close_reason::none;

    /// The first terminal error, if there was one: connection_reset, errc::dead_peer, errc::close_timed_out, ... Not
    /// set after a clean end.
    boost::system::error_code error{};

    /// The final state of each direction.
    receive_state receive = receive_state::open;
    send_state send = send_state::open;

    /// The numbers of bytes over the whole session. `bytes_discarded` is the input that close() discarded;
    /// `bytes_received` does not include it.
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_discarded = 0;

    /// Bytes that the kernel had accepted but the peer had not acknowledged when the descriptor was closed; the FIN
    /// counts as one. 0 after a clean end. "Written" is not "delivered": these bytes may never have arrived.
    std::uint64_t bytes_unacknowledged = 0;

    /// True if both directions sent FIN, and the peer acknowledged everything.
    bool clean() const noexcept { return reason == close_reason::clean || reason == close_reason::discarded_input; }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
