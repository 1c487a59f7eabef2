// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RUN_HPP
#define DUET_RUN_HPP

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>

#include <duet/server.hpp>

namespace duet {
inline namespace v0 {

/// Run `context` and serve until SIGINT or SIGTERM; then drain `served` (server_options::drain_timeout), tell on stderr
/// how that went, and return. A second signal resets what is left. For main programs: while it runs, the two signals
/// are its own; other handlers on `context` run as usual.
///
/// Returns 0 when every session finished by itself, 1 when some were reset or the listener failed. An exception that
/// leaves a handler of the context leaves this function too.
template <class Protocol>
int run(boost::asio::io_context& context, basic_server<Protocol>& served)
{
    struct
    {
        std::optional<drain_report> report;
        bool draining = false;
    } state;
    auto const begin_drain = [&]
    {
        state.draining = true;
        boost::asio::co_spawn(context, served.drain(served.options().drain_timeout),
            [&state](std::exception_ptr, drain_report report) { state.report = report; });
    };
    boost::asio::signal_set signals{context, SIGINT, SIGTERM};
    auto const on_signal = [&](auto const& self, error_code const& error) -> void
    {
        if (error)
            return;
        if (state.draining)
            served.abort();
        else
            begin_drain();
        signals.async_wait([&self](error_code const& next, int) { self(self, next); });
    };
    signals.async_wait([&on_signal](error_code const& error, int) { on_signal(on_signal, error); });
    // One handler at a time: what else lives on the context must not keep the program once the drain is over.
    while (!state.report)
    {
        context.restart();
        context.run_one();
        if (!state.draining && served.listener_failure())
            begin_drain();
    }
    std::fprintf(
        stderr, "duet: drained: %zu finished, %zu aborted\n", state.report->finished, state.report->aborted);
    if (auto const failure = served.listener_failure())
        std::fprintf(stderr, "duet: %s\n", session_end{{}, {}, failure}.what().c_str());
    return state.report->aborted == 0 && !served.listener_failure() ? 0 : 1;
}

}  // namespace v0
}  // namespace duet

#endif
