// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_RACER_HPP
#define DUET_DETAIL_CONNECT_CONNECT_RACER_HPP

#include <boost/asio/error.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include <duet/backoff.hpp>
#include <duet/connect_error.hpp>
#include <duet/detail/accept/protocol_layer.hpp>
#include <duet/detail/connect/attempt_socket.hpp>
#include <duet/detail/connect/connect_socket.hpp>
#include <duet/detail/socket/socket_calls.hpp>
#include <duet/session.hpp>

#include <sys/socket.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The attempt on one address: its socket and its result.
template <class Protocol, class Executor, class Maker>
class connect_racer
{
public:
    using endpoint_type = typename Protocol::endpoint;
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using session_type = typename Maker::session_type;
    using traits = stream_traits<stream_type>;
    using time_point = std::chrono::steady_clock::time_point;

    explicit connect_racer(endpoint_type const& endpoint) : report_{endpoint, {}} {}

    connect_attempt<Protocol> const& report() const noexcept { return report_; }

    std::string describe() const { return traits::describe(report_.endpoint); }

    /// Where a running attempt connects from; empty if its socket has no port.
    std::string describe_local()
    {
        if constexpr (traits::is_tcp)
        {
            error_code error;
            auto const local = endpoint_of<endpoint_type>(socket_.native_handle(), ::getsockname, error);
            if (!error && local.port() != 0)
                return traits::describe(local);
        }
        return {};
    }

    bool started() const noexcept { return started_; }

    bool running() const noexcept { return socket_.is_open(); }

    /// True if `serial` belongs to the current connect, and not to one that was given up.
    bool is_current(std::uint64_t serial) const noexcept { return serial == serial_; }

    /// When to call connect() again; time_point::max() is never.
    time_point again_at() const noexcept { return again_at_; }

    /// Open a socket and set the session's options. Those that determine the window scale must precede connect: the
    /// sizes of the buffers. The others may come later: see connection::set_options_late(). Errors: those of the
    /// system; no_memory.
    error_code open(Executor const& executor, session_options const& options)
    {
        started_ = true;
        auto early = options;
        if constexpr (has_late_options)
        {
            early.no_delay = false;
            early.deadlines.dead_peer = {};
        }
        return socket_.open(executor, report_.endpoint.protocol(), early);
    }

    /// Begin to connect. Calls `done(serial, error)` at the end, from a handler or at once.
    template <class Done>
    void connect(Executor const& executor, [[maybe_unused]] time_point now, Done done)
    {
        auto const serial = ++serial_;
        again_at_ = time_point::max();
        if constexpr (traits::is_tcp)
        {
            socket_.connect(executor, report_.endpoint,
                [done = std::move(done), serial](error_code const& error) { done(serial, error); });
        }
        else
        {
            error_code error;
            connect_without_waiting(socket_.native_handle(), report_.endpoint.data(),
                static_cast<::socklen_t>(report_.endpoint.size()), error);
            // The listener's queue is full, and no event reports when it has room again: try again later.
            if (error == boost::asio::error::would_block)
                again_at_ = now + pauses_.next();
            else
                done(serial, error);
        }
    }

    /// The socket has connected: ask the system for its addresses, once for all who need them. True if it is connected
    /// to itself: the kernel chose the target port as the local port, nobody listens there, and the two SYNs met (RFC
    /// 9293 3.5, simultaneous open).
    bool is_connected_to_itself() noexcept
    {
        error_code error;
        local_ = endpoint_of<endpoint_type>(socket_.native_handle(), ::getsockname, error);
        remote_ = report_.endpoint;
        if (!error && !names_the_peer(remote_))
            remote_ = endpoint_of<endpoint_type>(socket_.native_handle(), ::getpeername, error);
        if (error)
            remote_ = report_.endpoint;
        return traits::is_tcp && !error && local_ == remote_;
    }

    /// End a connection to itself with RST, because a FIN would leave the port in TIME_WAIT, and the server of that
    /// port could not start. False: it has happened too often. The kernel chooses a new local port each time, so this
    /// rarely repeats if many ports are free.
    bool leave_itself() noexcept
    {
        socket_.reset();
        close();
        return self_connects_++ < maximum_self_connects;
    }

    /// Create the session for the connected socket. A peer that has already sent RST or FIN is no failure (P25, P44):
    /// the kernel may no longer know the remote endpoint, and the session's first read reports the rest.
    session_type take(Executor const& executor, session_options const& options, Maker const& maker)
    {
        auto made = socket_.take(executor, maker, local_, remote_, options);
        close();
        session_access::connection(made)->set_client();
        if constexpr (has_late_options)
            session_access::connection(made)->set_options_late(options.no_delay);
        return made;
    }

    void fail(error_code const& error) noexcept
    {
        close();
        report_.error =
            name_connect_error(error, report_.endpoint.data(), static_cast<::socklen_t>(report_.endpoint.size()));
    }

    /// Close the socket with the kernel's plain close: a losing attempt that has connected by now sends FIN and no data
    /// (P42).
    void close() noexcept
    {
        ++serial_;
        again_at_ = time_point::max();
        socket_.close();
    }

    std::uint32_t watched = 0;  ///< the attempt's number, if there is a session_watcher

private:
    /// Elsewhere, nobody looks at a connection on which an operation waits.
    static constexpr bool has_late_options = traits::is_tcp && has_tcp_info;

    static constexpr int maximum_self_connects = 3;

    /// False if the peer of a socket that was connected to this address may have another one: the unspecified address
    /// stands for this host, a zone may be left out, and a listener's path may be spelled in another way.
    static bool names_the_peer([[maybe_unused]] endpoint_type const& target) noexcept
    {
        if constexpr (traits::is_tcp)
        {
            auto const address = target.address();
            return !address.is_unspecified() && (address.is_v4() || address.to_v6().scope_id() == 0);
        }
        return false;
    }

    connect_attempt<Protocol> report_;
    bool started_ = false;
    int self_connects_ = 0;
    std::uint64_t serial_ = 0;
    attempt_socket<Protocol, Executor> socket_;
    endpoint_type local_;   // of the connected socket
    endpoint_type remote_;  // of its peer
    time_point again_at_ = time_point::max();
    backoff pauses_{{.initial = std::chrono::milliseconds{1},
                        .maximum = std::chrono::milliseconds{100},
                        .multiplier = 2,
                        .jitter = 0},
        0};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
