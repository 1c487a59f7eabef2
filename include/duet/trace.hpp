// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TRACE_HPP
#define DUET_TRACE_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <duet/acceptor.hpp>
#include <duet/connector.hpp>
#include <duet/detail/recording/recording.hpp>
#include <duet/detail/recording/recording_watcher.hpp>
#include <duet/server.hpp>
#include <duet/session.hpp>
#include <duet/trace_log.hpp>
#include <duet/trace_options.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Records what happens to connections: what the program calls and is told, what duet does with the socket, the states
/// of both directions, and what the kernel says at that time.
///
/// ```cpp
/// duet::trace trace;
/// trace.attach(server);                        // every session that it accepts from now on
/// trace.attach(connector);                     // every attempt to connect, and the sessions that come of it
/// ...
/// duet::write_trace(file, trace.log());        // duet/trace_file.hpp
/// std::cout << duet::diagram{trace.log(), 1}.text();  // duet/diagram.hpp
/// ```
///
/// A session that is not traced pays a load and a branch for each operation. Measured for a traced server with 1,000
/// clients and six events an echo: about a twentieth of the server's processor time in memory or in a flight recorder,
/// half of it in a file. See docs/performance.md.
///
/// A call, what it sends at once and its result have one time, and so have bytes received and the result of that read.
///
/// What is recorded is bounded; what had no room is counted, in trace_log::lost.
///
/// The trace may be destroyed before what it is attached to: recording then ends. Everything that it has recorded is
/// only in this object, in the log that it returns, and in its file.
///
/// Distinct objects: safe. Shared objects: safe, except attach(), which belongs on the executor of what it is given;
/// attach(server) may be called from any thread.
class trace
{
public:
    /// Throws boost::system::system_error if trace_options::file cannot be written.
    explicit trace(trace_options options = {}) : recording_{std::make_shared<detail::recording>(std::move(options))} {}

    trace(trace const&) = delete;
    trace& operator=(trace const&) = delete;

    ~trace() { recording_->end(); }

    /// Record this session from now on, under this name. A session has one trace: a second one takes over. Nothing
    /// happens if the session is empty or has ended. Throws std::bad_alloc.
    template <class Stream>
    void attach(basic_session<Stream> const& one, std::string name = {})
    {
        auto const connection = detail::session_access::connection(one);
        if (connection && !connection->life().released())
            detail::record(recording_, *connection, "attach", {0, false, {}, {}, std::move(name)});
    }

    /// Record every session that this acceptor hands out from now on, and its errors.
    template <class Protocol, class Executor>
    void attach(basic_acceptor<Protocol, Executor>& source)
    {
        detail::acceptor_access::watch(source, watcher_);
    }

    /// Record every connect that begins from now on, its look-up, its attempts, and the sessions that it makes.
    template <class Protocol, class Executor, class Resolver>
    void attach(basic_connector<Protocol, Executor, Resolver>& source)
    {
        detail::connector_access::watch(source, watcher_);
    }

    /// Record every session that this server accepts from now on.
    template <class Protocol>
    void attach(basic_server<Protocol>& source)
    {
        detail::server_access::watch(source, watcher_);
    }

    /// What the program has to say, as an event.
    void note(std::string const& text) { recording_->put_now(trace_kind::note, "", text); }

    /// A copy of what has been recorded so far, in order of time: all sessions, and the events whose numbers are above
    /// `after`. Who follows a trace gives the greatest number that it has seen.
    trace_log log(std::uint64_t after = 0) const { return recording_->log(after); }

    /// Events that were recorded, and events that were not kept, so far.
    std::uint64_t recorded() const noexcept { return recording_->recorded(); }
    std::uint64_t lost() const noexcept { return recording_->lost(); }

private:
    std::shared_ptr<detail::recording> const recording_;
    std::shared_ptr<detail::session_watcher> const watcher_ = std::make_shared<detail::recording_watcher>(recording_);
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
