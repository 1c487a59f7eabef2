// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVER_OPTIONS_HPP
#define DUET_SERVER_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>

#include <duet/acceptor_options.hpp>
#include <duet/close_report.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace v0 {

/// What a server does with one client more than max_sessions.
enum class limit_policy
{
    wait,  ///< stop accepting: it waits in the kernel's queue until a session ends
    shed,  ///< accept it and reset it at once, so that it can go elsewhere
};

/// How one session ended: told to server_options::on_session_end.
struct session_end
{
    std::string peer;            ///< its endpoint
    close_report report;         ///< as close() or abort() left it
    std::exception_ptr failure;  ///< what the handler threw; null if it returned

    /// What the handler threw, in words; empty if it returned.
    std::string what() const;
};

/// What a server is made with. It has members with destructors: hand it to constructors only, never within an awaited
/// call (g++ 12 destroys such a temporary twice).
struct server_options
{
    /// The TCP port, on `address`; 0 lets the system choose: see server::local_endpoint(). Not used with an acceptor
    /// of your own.
    std::uint16_t port = 0;

    /// A numeric address. The default is every address of this host, IPv6 and IPv4 alike; where the system has no
    /// IPv6, every IPv4 address.
    std::string address{};

    /// The most sessions at once, over all threads; 0 is no limit. Keep it below the limit of descriptors: a server at
    /// its own limit behaves as `at_limit` says, one at the system's can only wait.
    std::size_t max_sessions = 0;
    limit_policy at_limit = limit_policy::wait;

    /// 1: everything on the context given. More: that context and one of the server's own for each further thread,
    /// each with its own listener (SO_REUSEPORT), so that sessions never share a core's state. The handler is then
    /// called on several threads at once.
    std::size_t threads = 1;

    /// Keep each thread on a core of its own, and let it take the connections whose packets the system handles on that
    /// core (Linux: sched_setaffinity(2), SO_INCOMING_CPU). Otherwise, with two threads, half of the connections have
    /// their packets handled on the other's core, which wakes this one up for each message: measured, half as much
    /// again of the processor. The cores are those that the thread which makes the server may run on, in order, and
    /// from the first again when there are more threads.
    ///
    /// It is for a network card that spreads its connections over these cores (RSS): where one core handles all
    /// packets, its thread gets all connections. A client on this host comes from the core that it runs on. The thread
    /// that runs the context given stays on its core until the server is destroyed on it; a thread that a handler
    /// starts begins on the handler's core. What the system refuses is left out, as it is for speed alone: a Linux
    /// before 6.2, or an acceptor of your own without reuse_port, spreads the connections over the threads as ever.
    bool pin_threads = false;

    /// What duet::run() gives the sessions to finish.
    std::chrono::steady_clock::duration drain_timeout = std::chrono::seconds{10};

    /// Spread the requests to finish over this time, so that the clients do not all come back to another server at the
    /// same instant. It is part of the drain's time.
    std::chrono::steady_clock::duration drain_spread{};

    /// The accept queue: see acceptor_options::backlog. Not used with an acceptor of your own.
    int backlog = 4096;

    /// For every session. Not used with an acceptor of your own.
    session_options session{};

    /// The system has no descriptor or memory for another connection: see acceptor_options::on_resource_failure. Not
    /// used with an acceptor of your own.
    std::function<void(accept_failure const&)> on_resource_failure{};

    /// Called once for every session that ended, on the session's executor. Must not throw.
    std::function<void(session_end const&)> on_session_end{};
};

/// What a server has done so far.
struct server_counters
{
    std::uint64_t accepted = 0;          ///< sessions that were given to the handler
    std::uint64_t active = 0;            ///< of them: running now
    std::uint64_t completed = 0;         ///< of them: the handler returned
    std::uint64_t handler_failures = 0;  ///< of them: the handler threw
    std::uint64_t unclean = 0;           ///< of them: the handler returned, but the connection did not end cleanly
    std::uint64_t shed = 0;              ///< refused because of max_sessions
    std::uint64_t connection_failures = 0;
    std::uint64_t resource_failures = 0;
};

/// How a drain went.
struct drain_report
{
    std::size_t finished = 0;  ///< sessions that ended by themselves in time
    std::size_t aborted = 0;   ///< sessions that were reset
};

inline std::string session_end::what() const
{
    if (!failure)
        return {};
    try
    {
        std::rethrow_exception(failure);
    }
    catch (std::exception const& error)
    {
        return error.what();
    }
    catch (...)
    {
        return "an exception that is not a std::exception";
    }
}

}  // namespace v0
}  // namespace duet

#endif
