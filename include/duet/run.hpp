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

/// The state of duet::run(). Its handlers share it, because the last of them may be called after run() has returned,
/// when the program runs the context again.
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
                // All sessions have ended: stop, so that other work on the context does not keep the program running.
                self->context.stop();
            });
    }

    /// Release the signals and the server's failure hook, so that the program can use them again.
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

/// Run `context` and serve until SIGINT or SIGTERM. Then drain `served` (server_options::drain_timeout), print the
/// result on stderr, and return. A second signal resets the remaining sessions. A listener that fails also starts the
/// drain. For main programs: while this function runs, it handles both signals itself; other handlers on `context` run
/// as usual.
///
/// Returns 0 if every session finished by itself, 1 if sessions were reset or a listener failed. An exception from a
/// handler of the context leaves this function, except std::bad_alloc: then only the operation that was being started
/// is lost, and the server goes on.
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
