// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_CORE_IPP
#define DUET_DETAIL_SERVE_SERVER_CORE_IPP

// Creating and ending a server.

#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <new>
#include <type_traits>

#include <duet/detail/accept/listener.hpp>
#include <duet/detail/completion/spawned_call.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/server_core.hpp>
#include <duet/detail/serve/server_setup.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Protocol>
server_core<Protocol>::server_core(server_place place, acceptor_type first, server_options const& options,
    typename state_type::handler_type handler, std::vector<inherited_descriptor> const& inherited)
    // After this delegated constructor returns, the destructor runs even if the rest of this constructor throws.
    : server_core{std::make_shared<state_type>(std::move(place), options, std::move(handler))}
{
    auto* const context = state_->place().context();
    if (options.pin_threads && !context)
        throw session_error{boost::asio::error::invalid_argument, "pin_threads", "a server on an executor", 0};
    if (auto const& proxy = options.proxy_protocol;
        proxy && proxy->trusted.empty() && proxy->strangers == proxy_strangers::refuse)
        throw session_error{boost::asio::error::invalid_argument, "proxy_protocol", "a server that trusts nobody", 0};
    state_->shards().push_back(
        std::make_shared<shard_type>(std::move(first), true, shard_strand{state_->place().first_strand()}));
    auto const shards = std::max({options.threads, inherited.size(), std::size_t{1}});
    if (context)
        session_access::prepare<typename acceptor_type::session_type>(*context);
    for (std::size_t i = 1; i < shards; ++i)
    {
        if (context)
            add_thread(options, inherited);
        else
            add_strand(options, inherited);
    }
    if (options.pin_threads)
        pin_threads();
    for (auto const& shard : state_->shards())
        shard->start(state_);
    for (auto const& each : workers_)
        each->thread = std::thread{[own = &each->context, context] { run_on(*own, *context); }};
}

template <class Protocol>
void server_core<Protocol>::add_thread(
    server_options const& options, std::vector<inherited_descriptor> const& inherited)
{
    workers_.push_back(std::make_unique<worker>());
    auto& own = workers_.back()->context;
    session_access::prepare<typename acceptor_type::session_type>(own);
    add_shard(own.get_executor(), {}, options, inherited);
}

template <class Protocol>
void server_core<Protocol>::add_strand(
    server_options const& options, std::vector<inherited_descriptor> const& inherited)
{
    auto strand = state_->place().another_strand();
    auto const executor = strand.executor();
    add_shard(executor, std::move(strand), options, inherited);
}

template <class Protocol>
void server_core<Protocol>::add_shard(boost::asio::any_io_executor const& executor, shard_strand strand,
    server_options const& options, std::vector<inherited_descriptor> const& inherited)
{
    auto& shards = state_->shards();
    auto& first = shards.front()->acceptor();
    bool const inherits = shards.size() < inherited.size();
    auto listening = inherits ? acceptor_type{executor, inherited[shards.size()], acceptor_options_of(options)}
                              : listen_again(executor, first, options);
    bool const own_queue = inherits || has_reuse_port(acceptor_access::descriptor(listening));
    shards.push_back(std::make_shared<shard_type>(std::move(listening), own_queue, std::move(strand)));
}

template <class Protocol>
server_core<Protocol>::~server_core()
{
    assert(state_->may_end_here() &&
           "duet: destroy a server on the thread that runs its context, or when no thread runs it any more");
    auto& shards = state_->shards();
    if ((on_strands() || !workers_.empty()) && maker_ != fork_watch::get().process())
    {
        abandon();
        return;
    }
    if (on_strands())
    {
        end_strands();
        return;
    }
    if (!shards.empty())
        shards.front()->abort(state_);
    for (std::size_t i = 1; i < shards.size(); ++i)
        workers_[i - 1]->end(state_, *shards[i]);
    // Destroy the I/O objects of the additional threads before their contexts. The state itself may live on: handlers
    // of the first shard may still hold it.
    if (!shards.empty())
        shards.resize(1);
    workers_.clear();
}

template <class Protocol>
void server_core<Protocol>::end_strands()
{
    state_->no_longer_ready();
    state_->begin_drain();
    // A strand that is not busy at this moment need not wait for one that is.
    auto const now = std::chrono::steady_clock::now();
    auto const until = now + std::chrono::seconds{1};
    for (auto const& shard : state_->shards())
        shard->end_by(state_, now);
    for (auto const& shard : state_->shards())
        if (!shard->end_by(state_, until))
            try_post(shard->executor(), [state = state_, each = shard.get()] { each->abort(state); });
    if (!state_->waits_in_vain())
        state_->wait_for_strands(until);
    // The state and the shards live on until the last handler has ended.
}

template <class Protocol>
handed_listeners server_core<Protocol>::hand_over(std::string const& name)
{
    if (state_->draining())
        throw session_error{
            errc::closed, "hand_over", acceptor_type::session_type::traits::describe(local_endpoint()), 0};
    handed_listeners result;
    for (auto const& shard : state_->shards())
        result.add(shard->acceptor().hand_over(name));
    return result;
}

template <class Protocol>
void server_core<Protocol>::abandon() noexcept
{
    for (auto const& shard : state_->shards())
        ::close(acceptor_access::descriptor(shard->acceptor()));
    // Never destroyed: that would lock what a thread of the parent had locked. The list is for leak checkers.
    struct remains
    {
        state_ref state;
        std::vector<std::unique_ptr<worker>> workers;
        remains* next;
    };
    static remains* all = nullptr;
    if (auto* const kept = new (std::nothrow) remains{state_, {}, all})
    {
        kept->workers.swap(workers_);
        all = kept;
        return;
    }
    alignas(state_ref) std::byte memory[sizeof(state_ref)];
    ::new (static_cast<void*>(memory)) state_ref{state_};
    for (auto& each : workers_)
        static_cast<void>(each.release());
}

template <class Protocol>
server_counters server_core<Protocol>::counters() const noexcept
{
    auto const& counts = state_->counts;
    server_counters result;
    result.accepted = counts.accepted;
    result.active = state_->active();
    result.completed = counts.completed;
    result.handler_failures = counts.handler_failures;
    result.proxy_failures = counts.proxy_failures;
    result.handshake_failures = counts.handshake_failures;
    result.unclean = counts.unclean;
    result.shed = counts.shed;
    result.connection_failures = counts.connection_failures;
    result.resource_failures = counts.resource_failures;
    result.bytes_received = counts.bytes_received;
    result.bytes_sent = counts.bytes_sent;
    std::copy(counts.by_reason.begin(), counts.by_reason.end(), result.by_reason.begin());
    return result;
}

template <class Protocol>
listen_queue server_core<Protocol>::queue(error_code& error) const noexcept
{
    listen_queue result;
    error = errc::closed;
    for (auto const& shard : state_->shards())
    {
        auto const one = shard->queue(error);
        result.length += one.length;
        result.limit += one.limit;
        result.overflows = std::max(result.overflows, one.overflows);
    }
    return result;
}

template <class Protocol>
typename server_core<Protocol>::acceptor_type server_core<Protocol>::listen_again(
    boost::asio::any_io_executor const& executor, acceptor_type& first, server_options const& options)
{
    int const descriptor = acceptor_access::descriptor(first);
    auto const endpoint = first.local_endpoint();
    auto accept_options = acceptor_access::options(first);
    if (has_reuse_port(descriptor))
    {
        try
        {
            accept_options.reuse_port = true;
            acceptor_type result{executor, endpoint, accept_options};
            if (!options.share_port)
                acceptor_access::close_with_others(result);
            return result;
        }
        catch (session_error const& error)
        {
            // A system other than Linux may not let others join a socket that listens already.
            if (error.code() != boost::asio::error::address_in_use)
                throw;
        }
    }
    int const copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        throw session_error{{errno, boost::system::system_category()}, "dup",
            acceptor_type::session_type::traits::describe(endpoint), 0};
    try
    {
        return acceptor_type{executor, inherited_descriptor{copy, {}}, accept_options};
    }
    catch (...)
    {
        ::close(copy);
        throw;
    }
}

template <class Protocol>
void server_core<Protocol>::pin_threads()
{
    auto const cpus = cpus_of_this_thread();
    auto const& shards = state_->shards();
    for (std::size_t i = 0; i < shards.size() && !cpus.empty(); ++i)
    {
        auto const cpu = cpus[i % cpus.size()];
        auto const listener = acceptor_access::descriptor(shards[i]->acceptor());
        if (has_reuse_port(listener))  // otherwise the threads share one socket
            take_connections_of(listener, cpu);
        pins_.push_back(std::make_shared<thread_pin>(cpu));
        auto apply = [weak = std::weak_ptr{pins_.back()}]
        {
            if (auto const pin = weak.lock())
                pin->apply();
        };
        boost::asio::post(shards[i]->executor(), std::move(apply));
    }
}

template <class Protocol>
server_core<Protocol>::worker::~worker()
{
    if (!thread.joinable())
        return;
    context.stop();
    thread.join();
}

template <class Protocol>
void server_core<Protocol>::worker::end(state_ref const& state, shard_type& shard)
{
    boost::asio::steady_timer grace{context};
    auto const finish = [&]
    {
        shard.abort(state);
        shard.when_idle([&] { grace.cancel(); });
        grace.expires_after(std::chrono::seconds{1});
        grace.async_wait([this](error_code const&) { context.stop(); });
        if (shard.idle())
            grace.cancel();
    };
    if (!try_post(context.get_executor(), finish))
        context.stop();
    work.reset();
    if (thread.joinable())
        thread.join();
}

template <class Protocol>
void server_core<Protocol>::abort_all(state_ref const& state)
{
    state->no_longer_ready();
    state->begin_drain();
    for (auto const& shard : state->shards())
        boost::asio::post(shard->executor(), [state, each = shard.get()] { each->abort(state); });
}

template <class Protocol>
void server_core<Protocol>::begin_drain(state_ref const& state)
{
    state->begin_drain();
    for (auto const& shard : state->shards())
        boost::asio::post(shard->executor(), [state, each = shard.get()] { each->begin_drain(state); });
}

template <class Protocol>
boost::asio::awaitable<drain_report> server_core<Protocol>::drain_all(
    state_ref state, std::chrono::steady_clock::duration timeout)
{
    using time_point = context_clock::time_point;
    context_clock const clock{state->get_executor()};
    state->no_longer_ready();
    if (auto const delay = state->options().drain_delay; delay > delay.zero() && !state->draining())
        co_await state_type::wait_drained(state, coarse_clock::after(clock.now(), delay));
    begin_drain(state);
    auto const now = clock.now();
    auto const until = timeout < time_point::max() - now ? now + timeout : time_point::max();
    co_await state_type::wait_drained(state, until);
    if (!state->drained())
    {
        abort_all(state);
        co_await state_type::wait_drained(state, clock.now() + std::chrono::seconds{1});
    }
    co_return report_of(*state);
}

template <class Protocol>
boost::asio::awaitable<drain_report> server_core<Protocol>::drain_from_outside(
    state_ref state, std::chrono::steady_clock::duration timeout)
{
    // Whoever cancels this at once does not keep the drain from beginning.
    state->no_longer_ready();
    if (state->options().drain_delay <= std::chrono::steady_clock::duration::zero())
        begin_drain(state);
    // The signature and the token of a session's operations: one more kind of awaited operation keeps g++ from inlining
    // what each echo runs through (measured: 20 instructions).
    auto const begin = [&](auto&& handler)
    {
        using handler_type = std::decay_t<decltype(handler)>;
        spawn_call(state->get_executor(), count_drained(state, timeout), boost::asio::cancellation_type::all,
            handler_type{std::forward<decltype(handler)>(handler)});
    };
    co_await boost::asio::async_initiate<boost::asio::deferred_t const&, void(error_code, std::size_t)>(
        begin, boost::asio::deferred);
    co_return report_of(*state);
}

template <class Protocol>
boost::asio::awaitable<std::size_t> server_core<Protocol>::count_drained(
    state_ref state, std::chrono::steady_clock::duration timeout)
{
    auto const report = co_await drain_all(state, timeout);
    co_return report.finished;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
