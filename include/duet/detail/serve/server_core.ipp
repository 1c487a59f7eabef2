// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_CORE_IPP
#define DUET_DETAIL_SERVE_SERVER_CORE_IPP

// Creating and ending a server.

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>

#include <duet/detail/accept/listener.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/server_core.hpp>
#include <duet/detail/serve/server_setup.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace duet {
inline namespace v0 {
namespace detail {

template <class Protocol>
server_core<Protocol>::server_core(boost::asio::io_context& context, acceptor_type first, server_options const& options,
    typename state_type::handler_type handler)
    // After this delegated constructor returns, the destructor runs even if the rest of this constructor throws.
    : server_core{std::make_shared<state_type>(context.get_executor(), options, std::move(handler))}
{
    using session_type = typename acceptor_type::session_type;
    auto const threads = std::max<std::size_t>(options.threads, 1);
    session_access::prepare<session_type>(context);
    auto const inherited = first.native_handle();
    auto const endpoint = first.local_endpoint();
    state_->shards().push_back(std::make_shared<shard_type>(std::move(first)));
    for (std::size_t i = 1; i < threads; ++i)
    {
        workers_.push_back(std::make_unique<worker>());
        session_access::prepare<session_type>(workers_.back()->context);
        state_->shards().push_back(
            std::make_shared<shard_type>(listen_again(workers_.back()->context, inherited, endpoint, options)));
    }
    if (options.pin_threads)
        pin_threads();
    for (auto const& shard : state_->shards())
        shard->start(state_);
    for (auto const& each : workers_)
        each->thread = std::thread{[context = &each->context] { run_on(*context); }};
}

template <class Protocol>
server_core<Protocol>::~server_core()
{
    auto& shards = state_->shards();
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
server_counters server_core<Protocol>::counters() const noexcept
{
    auto const& counts = state_->counts;
    server_counters result;
    result.accepted = counts.accepted;
    result.active = state_->active();
    result.completed = counts.completed;
    result.handler_failures = counts.handler_failures;
    result.unclean = counts.unclean;
    result.shed = counts.shed;
    result.connection_failures = counts.connection_failures;
    result.resource_failures = counts.resource_failures;
    return result;
}

template <class Protocol>
basic_acceptor<Protocol> server_core<Protocol>::listen_again(boost::asio::io_context& context, int first,
    typename Protocol::endpoint const& endpoint, server_options const& options)
{
    if (has_reuse_port(first))
        return acceptor_type{context, endpoint, acceptor_options_of(options)};
    int const copy = ::fcntl(first, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        throw session_error{{errno, boost::system::system_category()}, "dup",
            acceptor_type::session_type::traits::describe(endpoint), 0};
    try
    {
        return acceptor_type{context, inherited_descriptor{copy, {}}, acceptor_options_of(options)};
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
        auto const listener = shards[i]->acceptor().native_handle();
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
    for (auto const& shard : state->shards())
        boost::asio::post(shard->executor(), [state, each = shard.get()] { each->abort(state); });
}

template <class Protocol>
boost::asio::awaitable<drain_report> server_core<Protocol>::drain_all(
    state_ref state, std::chrono::steady_clock::duration timeout)
{
    using time_point = context_clock::time_point;
    context_clock const clock{state->executor()};
    for (auto const& shard : state->shards())
        boost::asio::post(shard->executor(), [state, each = shard.get()] { each->begin_drain(state); });
    auto const now = clock.now();
    bool const for_ever = timeout >= time_point::max() - now;
    co_await state_type::wait_drained(state, for_ever ? time_point::max() : now + timeout);
    if (!state->drained())
    {
        abort_all(state);
        co_await state_type::wait_drained(state, clock.now() + std::chrono::seconds{1});
    }
    co_return drain_report{state->counts.drain_finished.load(), state->counts.drain_aborted.load()};
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
