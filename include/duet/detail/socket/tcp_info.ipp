// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_TCP_INFO_IPP
#define DUET_DETAIL_SOCKET_TCP_INFO_IPP

#include <boost/asio/error.hpp>

#include <duet/tcp_info.hpp>

#if defined(__linux__)
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#endif

namespace duet {
inline namespace DUET_ABI {

DUET_DECL std::string_view to_string(tcp_state value) noexcept
{
    switch (value)
    {
    case tcp_state::unknown:
        return "unknown";
    case tcp_state::established:
        return "ESTABLISHED";
    case tcp_state::syn_sent:
        return "SYN_SENT";
    case tcp_state::syn_received:
        return "SYN_RECV";
    case tcp_state::fin_wait_1:
        return "FIN_WAIT1";
    case tcp_state::fin_wait_2:
        return "FIN_WAIT2";
    case tcp_state::time_wait:
        return "TIME_WAIT";
    case tcp_state::closed:
        return "CLOSE";
    case tcp_state::close_wait:
        return "CLOSE_WAIT";
    case tcp_state::last_ack:
        return "LAST_ACK";
    case tcp_state::listen:
        return "LISTEN";
    case tcp_state::closing:
        return "CLOSING";
    }
    return "unknown";
}

DUET_DECL tcp_snapshot query_tcp_info(int descriptor, boost::system::error_code& error) noexcept
{
    tcp_snapshot result;
#if defined(__linux__)
    ::tcp_info raw{};
    socklen_t size = sizeof(raw);
    if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &raw, &size) != 0)
    {
        // For a Unix-domain socket the error depends on the kernel (ENOTSUP, ENOPROTOOPT or EOPNOTSUPP), so report one
        // error for all of them.
        if (errno == EBADF || errno == ENOTSOCK)
            error.assign(errno, boost::system::system_category());
        else
            error = boost::asio::error::operation_not_supported;
        return result;
    }
    error.clear();
    result.state = static_cast<tcp_state>(raw.tcpi_state <= TCP_CLOSING ? raw.tcpi_state : 0);
    result.round_trip_time = std::chrono::microseconds{raw.tcpi_rtt};
    result.round_trip_variance = std::chrono::microseconds{raw.tcpi_rttvar};
    result.congestion_window = raw.tcpi_snd_cwnd;
    result.segments_unacknowledged = raw.tcpi_unacked;
    result.segments_sacked = raw.tcpi_sacked;
    result.retransmits_in_a_row = raw.tcpi_retransmits;
    result.segments_retransmitted = raw.tcpi_total_retrans;
    result.probes_in_a_row = raw.tcpi_probes;
    result.maximum_segment_size = raw.tcpi_snd_mss;
    result.last_received = std::chrono::milliseconds{std::min(raw.tcpi_last_ack_recv, raw.tcpi_last_data_recv)};
#else
    static_cast<void>(descriptor);
    error = boost::asio::error::operation_not_supported;
#endif
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
