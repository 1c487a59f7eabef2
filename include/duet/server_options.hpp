// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVER_OPTIONS_HPP
#define DUET_SERVER_OPTIONS_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>

#include <duet/acceptor_options.hpp>
#include <duet/close_report.hpp>
#include <duet/endpoint.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/post_mortem.hpp>
#include <duet/proxy_options.hpp>
#include <duet/session_options.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a server does with a client beyond max_sessions.
enum class limit_policy
{
    wait,  ///< stop accepting: the client waits in the kernel's queue until a session ends
    shed,  ///< accept and reset the client at once, so that it can try another server
};

/// How one session ended; passed to server_options::on_session_end.
struct session_end
{
    std::string peer{};     ///< the peer's endpoint, as to_string() writes it; the client's, if a proxy has told it
    close_report report{};  ///< as close() or abort() left it: the reason, the error, the bytes of each direction
    std::exception_ptr failure{};  ///< what the handler threw; null if it returned
    any_endpoint endpoint{};       ///< that of `peer`: std::get<asio::ip::tcp::endpoint>(end.endpoint).address()

    /// When the server accepted it, and how long it lasted from then to the end of close() or abort().
    std::chrono::system_clock::time_point began{};
    std::chrono::steady_clock::duration duration{};

    /// What the program said by session::set_note(): what was asked for, who it was.
    std::string note{};

    /// What the kernel knew of the connection when its handler had ended, before it was closed. Only with
    /// server_options::report_tcp_info, and nothing if it could not be asked any more: the session has ended
    /// by itself, the handler has aborted or released it, or it is not TCP.
    std::optional<tcp_snapshot> tcp{};

    /// Who ended it, in which direction and phase, and the first errors: to_string() makes a line of it.
    duet::post_mortem post_mortem{};

    /// The message of the exception that the handler threw; empty if it returned. An error of the system reads the same
    /// here as in session_error, whoever has thrown it.
    std::string what() const { return detail::text_of(failure); }
};

/// The options of a server. It has members with destructors: pass it to constructors only, not inside a co_await
/// expression (g++ 12 destroys such a temporary twice).
struct server_options
{
    /// The TCP port on `address`. 0 lets the system choose: see server::local_endpoint(). Ignored if you pass an
    /// acceptor.
    std::uint16_t port = 0;

    /// A numeric address, an IPv6 one with or without brackets; anything else is refused with invalid_argument. The
    /// default (empty) is every address of this host, IPv6 and IPv4; if the system has no IPv6, every IPv4 address.
    /// Ignored if you pass an acceptor.
    std::string address{};

    /// The maximum number of sessions at once, over all threads; 0 means no limit. Keep it below the limit of
    /// descriptors: at its own limit a server behaves as `at_limit` says, at the system's limit it can only wait.
    std::size_t max_sessions = 0;
    limit_policy at_limit = limit_policy::wait;

    /// The number of threads; 0 counts as 1. 1: everything runs on the context passed in. More: that context, and an
    /// additional thread and context for each further one, each with its own listener (SO_REUSEPORT), so that sessions
    /// of different threads share no state. The handler is then called on several threads at once. Of a server on an
    /// executor, whose threads belong to the program: the number of strands, in the same way.
    std::size_t threads = 1;

    /// Share the port with other servers, in this process or in others of the same user, that set this, too: the kernel
    /// spreads the connections over all of them. Without it, a second server on the port is refused (address_in_use),
    /// whatever `threads` is. Ignored if you pass an acceptor: see acceptor_options::reuse_port.
    ///
    /// A server with several threads cannot keep out one of the same user that does set this.
    bool share_port = false;

    /// Pin each thread to its own core, and let it take the connections whose packets the system handles on that core
    /// (Linux: sched_setaffinity(2), SO_INCOMING_CPU). Without this, with two threads, the packets of half of the
    /// connections are handled on the other thread's core, which has to wake this one for each message; measured: 50 %
    /// more processor time. The cores are those that the constructing thread may run on, in order, starting again from
    /// the first if there are more threads.
    ///
    /// Use this with a network card that spreads its connections over these cores (RSS): if one core handles all
    /// packets, its thread gets all connections. The packets of a client on this host are handled on the client's core.
    /// The thread that runs the context passed in stays on its core until the server is destroyed on it; a thread that
    /// a handler starts begins on the handler's core. If the system refuses something, it is left out, because it only
    /// improves speed: Linux before 6.2, or an acceptor of yours without reuse_port, spreads the connections over the
    /// threads as before. A server on an executor has no threads to pin, and refuses this with invalid_argument.
    bool pin_threads = false;

    /// The time that duet::run() gives the sessions to finish.
    std::chrono::steady_clock::duration drain_timeout = std::chrono::seconds{10};

    /// How long a drain goes on listening and serving before it begins, while server::ready() is false already: load
    /// balancers go on sending until they have noticed. Not a part of the drain's time.
    std::chrono::steady_clock::duration drain_delay{};

    /// How long a session whose client is silent waits for another request when a drain begins. A request that is on
    /// its way meanwhile is answered: clients that keep connections open may send one at that very moment.
    std::chrono::steady_clock::duration drain_grace = std::chrono::milliseconds{200};

    /// Spread the requests to finish over this time, so that the clients do not all reconnect at the same instant. It
    /// is part of the drain's time. More than a day counts as a day.
    std::chrono::steady_clock::duration drain_spread{};

    /// The length of the accept queue: see acceptor_options::backlog. Ignored if you pass an acceptor.
    int backlog = 4096;

    /// The options of every session. Ignored if you pass an acceptor.
    session_options session{};

    /// Accept the PROXY protocol, by which a proxy in front says who the client is: see accept_proxy_header(). The
    /// header is read, within its own time, before the handler is called for the session. A connection that must not
    /// or does not begin with one is reset without a call of the handler: server_counters::proxy_failures counts it,
    /// and on_session_end gets the reason. One that finishes before its first byte, as a check of the port does, is
    /// closed, and so is one that has not begun when a drain asks it to finish. Meanwhile the session counts for
    /// max_sessions, and other sessions begin.
    ///
    /// ```cpp
    /// options.proxy_protocol = duet::proxy_options{.trusted = {"10.1.0.0/16", "unix"}};
    /// ```
    std::optional<proxy_options> proxy_protocol{};

    /// Called when the system has no descriptor or memory for another connection: see
    /// acceptor_options::on_resource_failure. Ignored if you pass an acceptor.
    std::function<void(accept_failure const&)> on_resource_failure{};

    /// Ask the kernel about each connection when its handler has ended: session_end::tcp. One system call per session.
    bool report_tcp_info = false;

    /// Called once for every session that has ended, on the session's executor. Must not throw.
    std::function<void(session_end const&)> on_session_end{};
};

/// What a server has counted so far.
struct server_counters
{
    std::uint64_t accepted = 0;            ///< sessions that were given to the handler, or failed before that
    std::uint64_t active = 0;              ///< sessions that are running now
    std::uint64_t completed = 0;           ///< sessions whose handler returned
    std::uint64_t handler_failures = 0;    ///< sessions whose handler threw
    std::uint64_t proxy_failures = 0;      ///< sessions without a PROXY header that is right: see proxy_protocol
    std::uint64_t handshake_failures = 0;  ///< sessions whose TLS handshake failed
    std::uint64_t unclean = 0;  ///< sessions whose handler returned, but whose connection did not end cleanly
    std::uint64_t shed = 0;     ///< clients refused because of max_sessions
    std::uint64_t connection_failures = 0;
    std::uint64_t resource_failures = 0;

    // Of the sessions that have ended, in all their ways: accepted - active of them.
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::array<std::uint64_t, close_reasons> by_reason{};  ///< see ended()

    /// The number of sessions that ended so.
    std::uint64_t ended(close_reason how) const noexcept { return by_reason[static_cast<std::size_t>(how)]; }
};

/// How a drain went.
struct drain_report
{
    std::size_t finished = 0;  ///< sessions that ended by themselves in time
    std::size_t aborted = 0;   ///< sessions that were reset
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
