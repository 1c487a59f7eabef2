// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RUN_HPP
#define DUET_RUN_HPP

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <duet/detail/serve/server_setup.hpp>
#include <duet/server.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// What duet::run() waits for. Shared with its handlers: the last of them may be called after run() has returned, by
/// whoever runs the context next.
template <class Protocol>
struct runner
{
    runner(boost::asio::io_context& c, basic_server<Protocol>& s) : context{c}, served{s}, signals{c, SIGINT, SIGTERM}
    {
    }

    static void wait_signal(std::shared_ptr<runner> self)
    {
        auto& signals = self->signals;
        signals.async_wait(
            [self = std::move(self)](error_code const& error, int)
            {
                if (error || self->left)
                    return;
                if (self->draining)
                    self->served.abort();
                else
                    drain(self);
                wait_signal(self);
            });
    }

    static void drain(std::shared_ptr<runner> self)
    {
        if (std::exchange(self->draining, true))
            return;
        auto& target = self->served;
        boost::asio::co_spawn(self->context, target.drain(target.options().drain_timeout),
            [self](std::exception_ptr failure, drain_report report)
            {
                if (self->left)
                    return;
                self->failed = failure != nullptr;
                self->ended = report;
                // The sessions have ended; what else lives on the context must not keep the program.
                self->context.stop();
            });
    }

    /// From now on the signals and the server's failures are others' again.
    void leave() noexcept
    {
        error_code ignored;
        left = true;
        served.on_listener_failure({});
        signals.clear(ignored);
        signals.cancel(ignored);
    }

    boost::asio::io_context& context;
    basic_server<Protocol>& served;
    boost::asio::signal_set signals;
    std::optional<drain_report> ended;
    bool draining = false;
    bool left = false;
    bool failed = false;
};

}  // namespace detail

/// Run `context` and serve until SIGINT or SIGTERM; then drain `served` (server_options::drain_timeout), tell on stderr
/// how that went, and return. A second signal resets what is left. For main programs: while it runs, the two signals
/// are its own; other handlers on `context` run as usual.
///
/// Returns 0 when every session finished by itself, 1 when some were reset or a listener failed. An exception that
/// leaves a handler of the context leaves this function too, but for std::bad_alloc: what was being begun is then gone,
/// and the server goes on.
template <class Protocol>
int run(boost::asio::io_context& context, basic_server<Protocol>& served)
{
    auto const self = std::make_shared<detail::runner<Protocol>>(context, served);
    struct guard
    {
        std::shared_ptr<detail::runner<Protocol>> running;
        ~guard() { running->leave(); }
    } const leaves{self};
    detail::runner<Protocol>::wait_signal(self);
    served.on_listener_failure([self] { detail::runner<Protocol>::drain(self); });
    while (!self->ended)
    {
        context.restart();
        detail::run_on(context);
    }
    auto const& report = *self->ended;
    std::fprintf(stderr, "duet: drained: %zu finished, %zu aborted\n", report.finished, report.aborted);
    auto const failure = served.listener_failure();
    if (failure)
        std::fprintf(stderr, "duet: %s\n", session_end{{}, {}, failure}.what().c_str());
    return report.aborted == 0 && !failure && !self->failed ? 0 : 1;
}

#if defined(DUET_SEPARATE_COMPILATION)
extern template int run(boost::asio::io_context& context, server& served);
extern template int run(boost::asio::io_context& context, unix_server& served);
#endif

}  // namespace v0
}  // namespace duet

#endif
