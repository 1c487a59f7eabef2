// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVER_CORE_HPP
#define DUET_DETAIL_SERVER_CORE_HPP

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <duet/detail/server_shard.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace duet {
inline namespace v0 {
namespace detail {

inline acceptor_options acceptor_options_of(server_options const& options)
{
    acceptor_options result;
    result.backlog = options.backlog;
    result.reuse_port = options.threads > 1;
    result.session = options.session;
    result.on_resource_failure = options.on_resource_failure;
    // With a limit of sessions no client is to be taken out of the kernel's queue before its turn.
    if (options.max_sessions != 0)
        result.batch = 1;
    return result;
}

/// The first listener, as address and port say.
inline acceptor listen_for(boost::asio::io_context& context, server_options const& options)
{
    using boost::asio::ip::tcp;
    auto const accept_options = acceptor_options_of(options);
    if (!options.address.empty())
    {
        error_code error;
        auto const address = boost::asio::ip::make_address(options.address, error);
        if (error)
            throw session_error{error, "listen", options.address, 0};
        return acceptor{context, tcp::endpoint{address, options.port}, accept_options};
    }
    try
    {
        return acceptor{context, tcp::endpoint{tcp::v6(), options.port}, accept_options};
    }
    catch (session_error const& error)
    {
        // A system without IPv6 says so when the socket is opened, or when it is bound.
        if (error.code() != boost::asio::error::address_family_not_supported &&
            error.code() != boost::system::errc::address_not_available)
            throw;
    }
    return acceptor{context, tcp::endpoint{tcp::v4(), options.port}, accept_options};
}

/// Run, and go on when memory has run out: what was being begun is gone, and no more than that.
inline void run_on(boost::asio::io_context& context)
{
    for (bool over = false; !over;)
    {
        try
        {
            context.run();
            over = true;
        }
        catch (std::bad_alloc const&)
        {
            // Asio's way to tell that an operation could not begin.
        }
    }
}

/// The inside of a server: its shards, and the threads of those beyond the first.
template <class Protocol>
class server_core
{
public:
    using state_type = server_state<Protocol>;
    using shard_type = server_shard<Protocol>;
    using acceptor_type = basic_acceptor<Protocol>;

    server_core(boost::asio::io_context& context, acceptor_type first, server_options const& options,
        typename state_type::handler_type handler)
        // From here on it is destroyed in good order, also if the rest fails.
        : server_core{std::make_shared<state_type>(context.get_executor(), options, std::move(handler))}
    {
        auto const threads = std::max<std::size_t>(options.threads, 1);
        auto const inherited = first.native_handle();
        auto const endpoint = first.local_endpoint();
        state_->shards().push_back(std::make_shared<shard_type>(std::move(first)));
        for (std::size_t i = 1; i < threads; ++i)
        {
            workers_.push_back(std::make_unique<worker>());
            state_->shards().push_back(
                std::make_shared<shard_type>(listen_again(workers_.back()->context, inherited, endpoint, options)));
        }
        for (auto const& shard : state_->shards())
            shard->start(state_);
        for (auto const& each : workers_)
            each->thread = std::thread{[context = &each->context] { run_on(*context); }};
    }

    server_core(server_core const&) = delete;
    server_core& operator=(server_core const&) = delete;

    ~server_core()
    {
        auto& shards = state_->shards();
        if (!shards.empty())
            shards.front()->abort(state_);
        for (std::size_t i = 1; i < shards.size(); ++i)
            workers_[i - 1]->end(state_, *shards[i]);
        // Their I/O objects before their contexts; the first shard's handlers may still hold the state.
        if (!shards.empty())
            shards.resize(1);
        workers_.clear();
    }

    boost::asio::awaitable<drain_report> drain(std::chrono::steady_clock::duration timeout)
    {
        return drain_all(state_, timeout);
    }

    void abort() { abort_all(state_); }

    auto const& local_endpoint() const noexcept { return state_->shards().front()->acceptor().local_endpoint(); }

    server_counters counters() const noexcept
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

    std::exception_ptr listener_failure() const { return state_->listener_failure(); }

    void on_listener_failure(std::function<void()> hook) { state_->on_listener_failure(std::move(hook)); }

    server_options const& options() const noexcept { return state_->options(); }

private:
    using state_ref = std::shared_ptr<state_type>;

    explicit server_core(state_ref state) : state_{std::move(state)} {}

    /// A thread beyond the first, and its context.
    struct worker
    {
        // One thread does all of its I/O, and others do no more than post: the locks for I/O are left out.
        boost::asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
        boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
        std::thread thread;

        worker() = default;
        worker(worker const&) = delete;
        worker& operator=(worker const&) = delete;

        /// A server that could not be made whole: its threads so far end here.
        ~worker()
        {
            if (!thread.joinable())
                return;
            context.stop();
            thread.join();
        }

        /// Reset the shard's sessions, give their handlers a second to end, and join.
        void end(state_ref const& state, shard_type& shard)
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
    };

    /// The listener of a further thread: of its own on the same endpoint, or the same socket where that cannot be.
    static acceptor_type listen_again(boost::asio::io_context& context, int first,
        typename Protocol::endpoint const& endpoint, server_options const& options)
    {
        int reuse_port = 0;
#if defined(SO_REUSEPORT)
        ::socklen_t size = sizeof(reuse_port);
        ::getsockopt(first, SOL_SOCKET, SO_REUSEPORT, &reuse_port, &size);
#endif
        if (reuse_port != 0)
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

    static void abort_all(state_ref const& state)
    {
        for (auto const& shard : state->shards())
            boost::asio::post(shard->executor(), [state, each = shard.get()] { each->abort(state); });
    }

    static boost::asio::awaitable<drain_report> drain_all(state_ref state, std::chrono::steady_clock::duration timeout)
    {
        using clock = std::chrono::steady_clock;
        for (auto const& shard : state->shards())
            boost::asio::post(shard->executor(), [state, each = shard.get()] { each->begin_drain(state); });
        auto const now = clock::now();
        bool const for_ever = timeout >= clock::time_point::max() - now;
        co_await state_type::wait_drained(state, for_ever ? clock::time_point::max() : now + timeout);
        if (!state->drained())
        {
            abort_all(state);
            co_await state_type::wait_drained(state, clock::now() + std::chrono::seconds{1});
        }
        co_return drain_report{state->counts.drain_finished.load(), state->counts.drain_aborted.load()};
    }

    state_ref state_;
    std::vector<std::unique_ptr<worker>> workers_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
