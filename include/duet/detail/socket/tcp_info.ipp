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
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
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

#if defined(__linux__)
namespace detail {

/// What the kernel writes for TCP_INFO. It grows from version to version, so the system's headers may know less of it
/// than the kernel does, and more.
class raw_tcp_info
{
public:
    /// The parts that <netinet/tcp.h> may not know, by their places in <linux/tcp.h>.
    enum place : std::size_t
    {
        bytes_acked = 120,
        notsent_bytes = 144,
        snd_wnd = 228,
    };

    bool query(int descriptor) noexcept
    {
        size_ = static_cast<::socklen_t>(bytes_.size());
        return ::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, bytes_.data(), &size_) == 0;
    }

    /// 0 if the kernel has not written it.
    template <class Value>
    Value at(place offset) const noexcept
    {
        Value result{};
        if (offset + sizeof(result) <= size_)
            std::memcpy(&result, bytes_.data() + offset, sizeof(result));
        return result;
    }

    ::tcp_info known() const noexcept
    {
        ::tcp_info result{};
        std::memcpy(&result, bytes_.data(), std::min<std::size_t>(sizeof(result), size_));
        return result;
    }

private:
    std::array<std::byte, 256> bytes_{};
    ::socklen_t size_ = 0;
};

}  // namespace detail
#endif

DUET_DECL tcp_snapshot query_tcp_info(int descriptor, boost::system::error_code& error) noexcept
{
    tcp_snapshot result;
#if defined(__linux__)
    detail::raw_tcp_info all;
    if (!all.query(descriptor))
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
    auto const raw = all.known();
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
    using place = detail::raw_tcp_info::place;
    result.bytes_acknowledged = all.at<std::uint64_t>(place::bytes_acked);
    result.bytes_unsent = all.at<std::uint32_t>(place::notsent_bytes);
    result.send_window = all.at<std::uint32_t>(place::snd_wnd);
#else
    static_cast<void>(descriptor);
    error = boost::asio::error::operation_not_supported;
#endif
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
