// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TCP_INFO_HPP
#define DUET_TCP_INFO_HPP

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// The TCP states of RFC 9293 3.3.2, as the kernel reports them for a descriptor.
///
/// Linux reports TIME_WAIT as `closed`, because the descriptor's socket has then been replaced by a smaller one. It
/// also reports `closed` after a reset.
enum class tcp_state : std::uint8_t
{
    unknown = 0,
    established,
    syn_sent,
    syn_received,
    fin_wait_1,
    fin_wait_2,
    time_wait,
    closed,
    close_wait,
    last_ack,
    listen,
    closing,
};

DUET_DECL std::string_view to_string(tcp_state value) noexcept;

/// The kernel's information about a TCP connection: a snapshot that may be outdated when you read it. (The system's own
/// `struct tcp_info` of <netinet/tcp.h> is in the global namespace.)
struct tcp_snapshot
{
    friend bool operator==(tcp_snapshot const&, tcp_snapshot const&) = default;

    tcp_state state = tcp_state::unknown;
    std::chrono::microseconds round_trip_time{};
    std::chrono::microseconds round_trip_variance{};
    std::uint32_t congestion_window = 0;        ///< in segments
    std::uint32_t segments_unacknowledged = 0;  ///< sent and not acknowledged; on a listener: the accept queue's length
    std::uint32_t segments_sacked = 0;          ///< on a listener: the accept queue's limit
    std::uint32_t retransmits_in_a_row = 0;     ///< of the oldest unacknowledged segment
    std::uint32_t probes_in_a_row = 0;          ///< unanswered: of keepalive, or of a closed window
    std::uint32_t segments_retransmitted = 0;   ///< over the connection's life
    std::uint32_t maximum_segment_size = 0;     ///< in bytes

    // In bytes; 0 if the system does not tell (Linux tells the window from 5.4 on).
    std::uint64_t bytes_acknowledged = 0;  ///< sent, and acknowledged by the peer, over the connection's life
    std::uint32_t bytes_unsent = 0;        ///< in the send buffer, and not sent yet
    std::uint32_t send_window = 0;         ///< what the peer offers to take, from the last byte it has acknowledged

    /// The time since the peer's TCP was last heard of: data, an acknowledgement, or the answer to a probe.
    std::chrono::milliseconds last_received{};

    /// True if the peer's FIN has arrived, even if bytes before it are unread.
    bool peer_finished() const noexcept
    {
        return state == tcp_state::close_wait || state == tcp_state::last_ack || state == tcp_state::closing ||
               state == tcp_state::time_wait;
    }
};

/// Query the kernel about the TCP socket `descriptor`. Needs no privilege. Consumes no pending error, as reading
/// SO_ERROR would.
///
/// Errors: operation_not_supported if the system is not Linux, or the socket is not TCP.
DUET_DECL tcp_snapshot query_tcp_info(int descriptor, boost::system::error_code& error) noexcept;

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/socket/tcp_info.ipp>
#endif

#endif
