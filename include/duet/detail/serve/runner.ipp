// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_RUNNER_IPP
#define DUET_DETAIL_SERVE_RUNNER_IPP

#include <algorithm>
#include <chrono>
#include <csignal>
#include <new>

#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/runner.hpp>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL runner::runner(boost::asio::io_context& context, server_list servers)
    : context_{context}, servers_{std::move(servers)}, signals_{context}
{
    take_signals();
}

DUET_DECL runner::runner(server_list servers)
    : own_{std::make_unique<boost::asio::io_context>()}, context_{*own_}, servers_{std::move(servers)}, signals_{
                                                                                                            context_}
{
    take_signals();
}

/// A signal that is ignored stays ignored: nohup(1) and a shell's background jobs mean it so.
inline void runner::take_signals()
{
    for (int const number : {SIGINT, SIGTERM})
    {
        struct ::sigaction before
        {
        };
        bool const ignored = ::sigaction(number, nullptr, &before) == 0 && (before.sa_flags & SA_SIGINFO) == 0 &&
                             before.sa_handler == SIG_IGN;
        if (!ignored)
            signals_.add(number);
    }
}

/// From the begin of a drain until the last server has ended: see server::drain().
inline service_link::duration runner::longest_drain() const noexcept
{
    constexpr service_link::duration most = std::chrono::hours{24 * 365};  // of each, for sums without overflow
    auto result = service_link::duration::zero();
    for (auto const& each : servers_)
        result = std::max(
            result, std::min(each->options().drain_delay, most) + std::min(each->options().drain_timeout, most));
    return result + std::chrono::seconds{1};
}

/// Leave the context's run(), so that run() sees what is to be done.
inline void runner::wake() noexcept
{
    awake_ = true;
    context_.stop();
}

inline void runner::wait_signal()
{
    signals_.async_wait(
        [self = shared_from_this()](error_code const& error, int number)
        {
            if (!error && !self->left_)
                self->on_signal(number);
        });
    waits_signal_ = true;
}

/// The second signal resets the sessions that are left. Allocates nothing: there may be no memory.
inline void runner::on_signal(int number) noexcept
{
    waits_signal_ = false;
    if (signal_ == 0)
        signal_ = number;
    wants_abort_ = wants_drain_;
    wants_drain_ = true;
    wake();
}

/// Begin what is to be done. Throws std::bad_alloc; the next call goes on from there.
inline void runner::start()
{
    if (!waits_signal_)
        wait_signal();
    if (service_)
        service_->watch(weak_from_this());
    if (service_ && wants_drain_)
        service_->stopping(longest_drain());
    for (auto const& each : servers_)
        if (wants_drain_ && each->now == served_server::phase::serving)
            each->drain(shared_from_this());
    if (!wants_abort_)
        return;
    for (auto const& each : servers_)
        each->abort();
    wants_abort_ = false;
}

DUET_DECL void runner::drain_ended(served_server& server) noexcept
{
    if (server.now == served_server::phase::draining)
    {
        server.now = served_server::phase::serving;
        pauses_ = true;
    }
    if (!left_)
        wake();
}

/// A server that has drained without us was drained by the program.
inline bool runner::all_over() const noexcept
{
    using phase = served_server::phase;
    auto const is_over = [](auto const& each)
    { return each->now == phase::over || (each->now == phase::serving && each->drained()); };
    return std::all_of(servers_.begin(), servers_.end(), is_over);
}

inline void runner::listener_failed()
{
    wants_drain_ = true;
    wake();
}

inline std::function<void()> runner::hook_of(served_server const& server, void (runner::*told)())
{
    if (!server.on_strands())
        return [self = shared_from_this(), told] { (*self.*told)(); };
    // On any thread, and perhaps after leave(), when the context may be gone. What is posted must not keep the runner,
    // which may own the context.
    return [reach = reach_, told]
    {
        std::lock_guard const lock{reach->mutex};
        if (reach->target == nullptr)
            return;
        auto const call = [weak = reach->target->weak_from_this(), told]
        {
            auto const target = weak.lock();
            if (target && !target->left_)
                (*target.*told)();
        };
        try_post(reach->target->context_.get_executor(), call);
    };
}

DUET_DECL bool runner::run()
{
    {
        std::lock_guard const lock{reach_->mutex};
        reach_->target = this;
    }
    for (auto const& each : servers_)
        each->on_end(hook_of(*each, &runner::listener_failed), hook_of(*each, &runner::wake));
    for (;;)
    {
        if (all_over())
            return true;
        bool ready = false;
        awake_ = false;
        context_.restart();
        try
        {
            start();
            ready = true;
            if (service_)
                service_->ready();
            context_.run();
        }
        catch (std::bad_alloc const&)
        {
            // Only the operation that was being started is lost. Asio throws this, or start().
            if (ready)
                continue;
        }
        if (ready && !awake_)
            return false;  // the program has stopped the context
        if (ready && !std::exchange(pauses_, false))
            continue;
        try
        {
            context_.run_for(std::chrono::milliseconds{20});  // memory may be there again
        }
        catch (std::bad_alloc const&)
        {
        }
    }
}

DUET_DECL void runner::leave() noexcept
{
    error_code ignored;
    left_ = true;
    {
        std::lock_guard const lock{reach_->mutex};
        reach_->target = nullptr;
    }
    try
    {
        for (auto const& each : servers_)
            each->on_end({}, {});
    }
    catch (std::bad_alloc const&)
    {
        // A hook on another thread finds that this object has left.
    }
    signals_.clear(ignored);
    signals_.cancel(ignored);
}

DUET_DECL void print_on_stderr(std::string const& line) noexcept
{
    ::pollfd writable{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&writable, 1, 0) <= 0 || (writable.revents & POLLOUT) == 0)
        return;
    ::sigset_t pipe;
    ::sigset_t before;
    ::sigset_t pending;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::sigpending(&pending);
    if (::pthread_sigmask(SIG_BLOCK, &pipe, &before) != 0)
        return;
    bool const had_signal = ::sigismember(&pending, SIGPIPE) != 0;
    bool const failed = ::write(STDERR_FILENO, line.data(), line.size()) < 0;
    ::sigpending(&pending);
    if (failed && !had_signal && ::sigismember(&pending, SIGPIPE) != 0)
    {
        int taken = 0;
        ::sigwait(&pipe, &taken);  // the signal of this write
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
