// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RUN_HPP
#define DUET_RUN_HPP

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>

#include <duet/detail/serve/runner.hpp>
#include <duet/server.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Why run() has returned.
enum class run_end
{
    signal,            ///< SIGINT or SIGTERM; the servers have drained
    listener_failure,  ///< a listener failed; the servers have drained
    drained,           ///< the program has drained or aborted every server
    stopped,           ///< the program has stopped the context
};

/// What run() did. It converts to the exit status of the program: `return duet::run(context, server);`
struct run_report
{
    run_end end = run_end::drained;
    int signal = 0;  ///< the first signal that came; 0: none

    std::size_t finished = 0;  ///< sessions that ended by themselves during the drains
    std::size_t aborted = 0;   ///< sessions that were reset, or that the end of the context cuts

    std::exception_ptr listener_failure{};  ///< of the first server that has one

    /// 0 if no session was cut and no listener failed, otherwise 1.
    int exit_status() const noexcept { return aborted == 0 && !listener_failure ? 0 : 1; }

    operator int() const noexcept { return exit_status(); }
};

/// One line, or two if a listener failed: "drained: 3 finished, 0 aborted".
DUET_DECL std::string to_string(run_report const& report);

struct run_options
{
    /// Print the report on stderr at the end, behind "duet: ". A reader of stderr that is gone or full delays nothing.
    bool print = false;

    /// Tell the service manager that has started the program (systemd, `Type=notify`): READY=1 when run() begins, since
    /// the servers listen by then; STOPPING=1 when the drain begins, and how long it may take, so that
    /// TimeoutStopSec= does not cut it (server_options::drain_delay, drain_timeout and one second); WATCHDOG=1 twice in
    /// the time of `WatchdogSec=`, from a handler on the context, so that a context that hangs is noticed. A program
    /// that nobody waits for tells nobody. See service_manager.
    bool notify = false;
};

/// Run `context` and serve until the servers have drained: after SIGINT or SIGTERM, each with its own
/// server_options::drain_timeout and all together; after the failure of a listener, in the same way; or because the
/// program has called drain() or abort() of every server. A second signal resets the sessions that are left. If the
/// program stops the context, run() returns at once.
///
/// While it runs, it handles both signals itself, except one that is ignored when it begins (nohup, background jobs of
/// a shell); other handlers on `context` run as usual. An exception from a handler of the context leaves this function,
/// except std::bad_alloc: then only the operation that was being started is lost, and the servers go on. A signal is
/// not lost: the drain begins as soon as there is memory.
///
/// The servers must use `context`, and only one thread may run it; or they run on an executor, whose threads belong to
/// the program.
template <class... Protocols>
    requires(sizeof...(Protocols) > 0)
run_report run(boost::asio::io_context& context, run_options options, basic_server<Protocols>&... served);

template <class... Protocols>
    requires(sizeof...(Protocols) > 0)
run_report run(boost::asio::io_context& context, basic_server<Protocols>&... served)
{
    return duet::run(context, run_options{}, served...);
}

/// Block this thread until servers on executors have drained, as above, while the threads of the program serve:
///
/// ```cpp
/// asio::thread_pool pool{4};
/// duet::server server{pool, {.port = 7777, .threads = 4}, echo};
/// return duet::run(server);
/// ```
///
/// The signals are handled on this thread. The executors go on: end the server, then their threads, as the order above
/// does. Throws session_error (invalid_argument) if a server is on an io_context, which must be run.
template <class... Protocols>
    requires(sizeof...(Protocols) > 0)
run_report run(run_options options, basic_server<Protocols>&... served);

template <class... Protocols>
    requires(sizeof...(Protocols) > 0)
run_report run(basic_server<Protocols>&... served)
{
    return duet::run(run_options{}, served...);
}

namespace detail {

DUET_DECL run_report run_all(boost::asio::io_context& context, run_options options, runner::server_list servers);
DUET_DECL run_report run_all(run_options options, runner::server_list servers);

template <class... Protocols>
runner::server_list list_of(basic_server<Protocols>&... served)
{
    runner::server_list servers;
    (servers.push_back(std::make_unique<served_server_of<Protocols>>(served)), ...);
    return servers;
}

}  // namespace detail

template <class... Protocols>
    requires(sizeof...(Protocols) > 0)
run_report run(boost::asio::io_context& context, run_options options, basic_server<Protocols>&... served)
{
    return detail::run_all(context, options, detail::list_of(served...));
}

template <class... Protocols>
    requires(sizeof...(Protocols) > 0)
run_report run(run_options options, basic_server<Protocols>&... served)
{
    return detail::run_all(options, detail::list_of(served...));
}

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
extern template class served_server_of<boost::asio::ip::tcp>;
extern template class served_server_of<boost::asio::local::stream_protocol>;
}  // namespace detail
#endif

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/serve/run.ipp>
#endif

#endif
