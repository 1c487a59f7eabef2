// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_CORE_HPP
#define DUET_DETAIL_SERVE_SERVER_CORE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <duet/detail/completion/coroutine_call.hpp>
#include <duet/detail/serve/server_shard.hpp>
#include <duet/detail/serve/server_state.hpp>
#include <duet/detail/socket/cpu_affinity.hpp>
#include <duet/detail/socket/fork_watch.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The implementation of a server: its shards, and, beside an io_context, the threads of all shards but the first.
template <class Protocol>
class server_core
{
public:
    using state_type = server_state<Protocol>;
    using shard_type = server_shard<Protocol>;
    using acceptor_type = typename state_type::acceptor_type;

    /// `first`: on the executor of the place.
    server_core(server_place place, acceptor_type first, server_options const& options,
        typename state_type::handler_type handler, std::vector<inherited_descriptor> const& inherited = {});

    server_core(server_core const&) = delete;
    server_core& operator=(server_core const&) = delete;

    ~server_core();

    using drain_call = coroutine_call<boost::asio::awaitable<drain_report>, state_type>;

    drain_call drain(std::chrono::steady_clock::duration timeout)
    {
        return {on_strands() ? drain_from_outside(state_, timeout) : drain_all(state_, timeout), *state_};
    }

    void abort() { abort_all(state_); }

    bool ready() const noexcept { return state_->ready(); }

    bool drained() const noexcept { return state_->drained(); }

    void on_drained(std::function<void()> hook) { state_->on_drained(std::move(hook)); }

    bool on_strands() const noexcept { return !state_->place().context(); }

    drain_report report() const noexcept { return report_of(*state_); }

    handed_listeners hand_over(std::string const& name);

    typename acceptor_type::endpoint_type const& local_endpoint() const noexcept
    {
        return state_->shards().front()->acceptor().local_endpoint();
    }

    server_counters counters() const noexcept;

    listen_queue queue(error_code& error) const noexcept;

    /// Tell this watcher of the sessions that are accepted from now on.
    void watch(std::shared_ptr<session_watcher> const& watcher)
    {
        for (auto const& shard : state_->shards())
            boost::asio::post(
                shard->executor(), [shard, watcher] { acceptor_access::watch(shard->acceptor(), watcher); });
    }

    std::exception_ptr listener_failure() const { return state_->listener_failure(); }

    void on_listener_failure(std::function<void()> hook) { state_->on_listener_failure(std::move(hook)); }

    server_options const& options() const noexcept { return state_->options(); }

private:
    using state_ref = std::shared_ptr<state_type>;

    explicit server_core(state_ref state) : state_{std::move(state)} {}

    /// An additional thread and its context.
    struct worker
    {
        // One thread runs it. It keeps its locks: a program may make sockets and timers on a session's executor, and on
        // any thread.
        boost::asio::io_context context{1};
        boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
        std::thread thread;

        worker() = default;
        worker(worker const&) = delete;
        worker& operator=(worker const&) = delete;

        /// Stops and joins the thread if the server's constructor failed.
        ~worker();

        /// Reset the shard's sessions, give their handlers one second to end, and join the thread.
        void end(state_ref const& state, shard_type& shard);
    };

    /// Create a further shard: on a thread and context of its own, or on a strand of its own.
    void add_thread(server_options const& options, std::vector<inherited_descriptor> const& inherited);
    void add_strand(server_options const& options, std::vector<inherited_descriptor> const& inherited);

    /// The listener of a further shard: its own socket on the same endpoint, or a duplicate of the first socket if
    /// that one has no SO_REUSEPORT.
    static acceptor_type listen_again(
        boost::asio::any_io_executor const& executor, acceptor_type& first, server_options const& options);

    /// Add a shard with such a listener, or with an inherited one if there is one more.
    void add_shard(boost::asio::any_io_executor const& executor, shard_strand strand, server_options const& options,
        std::vector<inherited_descriptor> const& inherited);

    /// Reset the sessions of all strands, and give their handlers one second to end.
    void end_strands();

    /// In a child of the process that made the server: give up the listeners, and leave everything else as it is. The
    /// additional threads do not exist here, and fork() may have interrupted what they were changing.
    void abandon() noexcept;

    /// See server_options::pin_threads.
    void pin_threads();

    static void begin_drain(state_ref const& state);

    static void abort_all(state_ref const& state);

    static drain_report report_of(state_type const& state) noexcept
    {
        return {state.counts.drain_finished.load(), state.counts.drain_aborted.load()};
    }

    static boost::asio::awaitable<drain_report> drain_all(state_ref state, std::chrono::steady_clock::duration timeout);

    /// As drain_all(), which runs on the first strand, for a coroutine on any executor.
    static boost::asio::awaitable<drain_report> drain_from_outside(
        state_ref state, std::chrono::steady_clock::duration timeout);

    static boost::asio::awaitable<std::size_t> count_drained(
        state_ref state, std::chrono::steady_clock::duration timeout);

    state_ref state_;
    ::pid_t const maker_ = fork_watch::get().process();
    std::vector<std::unique_ptr<worker>> workers_;
    std::vector<std::shared_ptr<thread_pin>> pins_;
};

/// Access to what run() needs of a server, and its users do not.
struct server_access
{
    template <class Server>
    static auto& core(Server& server) noexcept
    {
        return server.core_;
    }

    /// See duet::trace.
    template <class Server>
    static void watch(Server& server, std::shared_ptr<session_watcher> const& watcher)
    {
        server.core_.watch(watcher);
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/serve/server_core.ipp>

#endif
