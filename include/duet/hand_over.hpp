// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_HAND_OVER_HPP
#define DUET_HAND_OVER_HPP

#include <string>
#include <utility>
#include <vector>

#include <duet/detail/config.hpp>
#include <duet/inherited.hpp>

#include <sys/types.h>

namespace duet {
inline namespace DUET_ABI {

/// Copies of listening sockets, for a program that takes them over: acceptor::hand_over() and server::hand_over()
/// return them. Both programs then accept from the same queue, so the old one may end at any time and no client
/// notices.
///
/// ```cpp
/// ::pid_t const child = server.hand_over().start("/usr/bin/my_server", {"--port", "7777"});
/// // When the successor says that it serves: co_await server.drain(10s), or return from duet::run().
/// ...
/// // In the successor, and in the first program alike:
/// duet::server server{context, duet::inherited_descriptors(), {.port = 7777}, handler};
/// ```
///
/// Let the successor tell when it serves, for example by a SIGTERM to this process. If it never does, this process goes
/// on serving. examples/restarting_server.cpp is such a program.
///
/// Owns the copies, and closes them in its destructor; they are close-on-exec. Distinct objects: safe. Shared objects:
/// unsafe.
class handed_listeners
{
public:
    handed_listeners() = default;

    handed_listeners(handed_listeners&& other) noexcept : all_{std::exchange(other.all_, {})} {}

    handed_listeners& operator=(handed_listeners&& other) noexcept
    {
        all_.swap(other.all_);
        return *this;
    }

    ~handed_listeners() { close(); }

    /// Also hand over these, after those that are here already.
    DUET_DECL void add(handed_listeners&& others);

    /// The copies with their names, for other ways to pass them (SCM_RIGHTS, a service manager's store of descriptors).
    std::vector<inherited_descriptor> const& descriptors() const noexcept { return all_; }

    /// Start a program, which finds the copies with inherited_descriptors(): fork(2), and execve(2) of the file
    /// `program`. Its first argument is `program`, and `arguments` follow. Its environment is that of this process with
    /// LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES set as systemd does, or without them if there are no copies. It
    /// inherits what else is open and not close-on-exec: of duet's, nothing.
    ///
    /// Returns the child's number when the program runs: wait for its end as for that of any child. Blocks until then,
    /// usually for a millisecond. Throws session_error, which names the failed call and the program.
    DUET_DECL ::pid_t start(std::string const& program, std::vector<std::string> const& arguments = {}) const;

    /// Take over a copy of this listening socket. Throws session_error.
    DUET_DECL void add_copy_of(int descriptor, std::string name);

private:
    DUET_DECL void close() noexcept;

    std::vector<inherited_descriptor> all_{};
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/accept/hand_over.ipp>
#endif

#endif
