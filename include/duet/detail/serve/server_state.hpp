// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVER_STATE_HPP
#define DUET_DETAIL_SERVE_SERVER_STATE_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <duet/acceptor.hpp>
#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/serve/server_place.hpp>
#include <duet/detail/socket/cpu_affinity.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Protocol>
class server_shard;

/// The state that the shards of a server share: the handler, the limit, the counters, and the progress of a drain.
template <class Protocol>
class server_state : public std::enable_shared_from_this<server_state<Protocol>>
{
public:
    using shard_type = server_shard<Protocol>;
    using layer = protocol_layer<Protocol>;
    using acceptor_type = basic_acceptor<typename layer::transport>;
    using session_maker = typename layer::template sessions<boost::asio::any_io_executor>;
    using session_type = typename session_maker::session_type;
    using conversation_handler = std::function<boost::asio::awaitable<void>(session_type)>;
    using message_handler = std::function<boost::asio::awaitable<bool>(session_type&)>;

    /// A handler of one of two kinds; the other is empty. And what makes the sessions for it.
    struct handler_type
    {
        session_maker sessions{};
        conversation_handler conversation{};
        message_handler message{};
    };

    server_state(server_place place, server_options options, handler_type handler)
        : options_{std::move(options)}, handler_{std::move(handler)}, place_{std::move(place)}
    {
    }

    server_place const& place() const noexcept { return place_; }

    server_options const& options() const noexcept { return options_; }

    session_maker const& sessions() const noexcept { return handler_.sessions; }

    /// Exactly one of on_conversation() and on_message() is not null.
    conversation_handler const* on_conversation() const noexcept
    {
        return handler_.conversation ? &handler_.conversation : nullptr;
    }

    message_handler const* on_message() const noexcept { return handler_.message ? &handler_.message : nullptr; }

    boost::asio::any_io_executor const& get_executor() const noexcept { return place_.executor(); }

    std::vector<std::shared_ptr<shard_type>>& shards() noexcept { return shards_; }

    bool has_place() const noexcept { return options_.max_sessions == 0 || active_.load() < options_.max_sessions; }

    /// Take a place among max_sessions. Callable from any thread.
    bool acquire() noexcept
    {
        auto active = active_.load();
        do
        {
            if (options_.max_sessions != 0 && active >= options_.max_sessions)
                return false;
        }
        while (!active_.compare_exchange_weak(active, active + 1));
        return true;
    }

    /// Give the place back, and wake the shards that wait for one. Callable from any thread.
    void release() noexcept
    {
        --active_;
        if (options_.max_sessions != 0)
            for (auto const& shard : shards_)
                shard->unpark(this->shared_from_this());
    }

    /// One shard has ended the last session of its drain. Callable from any thread.
    void shard_drained() noexcept
    {
        {
            std::lock_guard const lock{mutex_};  // who waits has not missed it
        }
        shard_ended_.notify_all();
        if (++drained_shards_ < shards_.size())
            return;
        drained_ = true;
        try_post(get_executor(),
            [self = this->shared_from_this()]
            {
                for (auto* const waiting : self->drain_waiters_)
                    waiting->cancel();
                if (self->drained_hook_ && !self->ignores_hooks_)
                    self->drained_hook_();
            });
    }

    /// Block this thread until the shards on all strands but those that run here have ended, or until `until`.
    void wait_for_strands(std::chrono::steady_clock::time_point until)
    {
        std::unique_lock lock{mutex_};
        auto const ended = [](auto const& shard) { return shard->ended() || shard->strand().runs_here(); };
        shard_ended_.wait_until(lock, until, [&] { return std::all_of(shards_.begin(), shards_.end(), ended); });
    }

    /// Wait until the drain has ended, or until `until`. Call it on get_executor(). It checks every second, because if
    /// memory runs out nothing ends the wait.
    static boost::asio::awaitable<void> wait_drained(
        std::shared_ptr<server_state> self, std::chrono::steady_clock::time_point until)
    {
        boost::asio::use_awaitable_t<> const token;
        timer waiting{self->get_executor()};
        self->drain_waiters_.push_back(&waiting);
        struct leave
        {
            server_state& state;
            timer* waiting;
            ~leave() { std::erase(state.drain_waiters_, waiting); }
        } const guard{*self, &waiting};
        error_code error;
        auto const& clock = waiting.clock();
        for (auto now = clock.now(); !self->drained_ && now < until; now = clock.now())
        {
            waiting.expires_at(std::min(until, now + std::chrono::seconds{1}));
            co_await waiting.async_wait(boost::asio::redirect_error(token, error));
            if (error && !self->drained_)
                throw session_error{error, "drain", "", 0};
        }
    }

    bool drained() const noexcept { return drained_; }

    /// `hook` will be called on get_executor() when a drain or an abort has ended.
    void on_drained(std::function<void()> hook)
    {
        at_home([this, hook = std::move(hook)]() mutable { drained_hook_ = std::move(hook); });
    }

    /// The first shard runs on this thread.
    void runs_here() noexcept { thread_ = id_of_this_thread(); }

    /// False: another thread has run the context, lives, and may be using the server at this moment.
    bool may_end_here() const noexcept
    {
        auto const id = thread_.load();
        return !place_.context() || id == 0 || id == id_of_this_thread() || place_.context()->stopped() ||
               !thread_lives(id);
    }

    /// See server_place.
    bool waits_in_vain() const { return place_.waits_in_vain(thread_); }

    /// A drain has begun: its delay is over. On get_executor().
    bool draining() const noexcept { return draining_; }

    void begin_drain() noexcept { draining_ = true; }

    /// False: it will drain soon, or drains. Callable from any thread.
    bool ready() const noexcept { return ready_; }

    void no_longer_ready() noexcept { ready_ = false; }

    struct
    {
        std::atomic<std::uint64_t> accepted{0};
        std::atomic<std::uint64_t> completed{0};
        std::atomic<std::uint64_t> handler_failures{0};
        std::atomic<std::uint64_t> proxy_failures{0};
        std::atomic<std::uint64_t> handshake_failures{0};
        std::atomic<std::uint64_t> unclean{0};
        std::atomic<std::uint64_t> shed{0};
        std::atomic<std::uint64_t> connection_failures{0};
        std::atomic<std::uint64_t> resource_failures{0};
        std::atomic<std::uint64_t> bytes_received{0};
        std::atomic<std::uint64_t> bytes_sent{0};
        std::array<std::atomic<std::uint64_t>, close_reasons> by_reason{};
        std::atomic<std::size_t> drain_finished{0};
        std::atomic<std::size_t> drain_aborted{0};
    } counts;

    std::uint64_t active() const noexcept { return active_.load(); }

    /// A session has ended. Callable from any thread.
    void count_end(close_report const& report) noexcept
    {
        ++counts.by_reason[static_cast<std::size_t>(report.reason)];
        counts.bytes_received += report.bytes_received;
        counts.bytes_sent += report.bytes_sent;
    }

    void listener_failed(std::exception_ptr failure) noexcept
    {
        {
            std::lock_guard const lock{mutex_};
            if (!listener_failure_)
                listener_failure_ = std::move(failure);
        }
        try_post(get_executor(), [self = this->shared_from_this()] { self->tell_listener_failure(); });
    }

    /// `hook` will be called on get_executor().
    void on_listener_failure(std::function<void()> hook)
    {
        auto set = [this, hook = std::move(hook)]() mutable
        {
            failure_hook_ = std::move(hook);
            if (listener_failure())
                tell_listener_failure();
        };
        at_home(std::move(set));
    }

    /// The server is being destroyed, perhaps by a hook: call none any more. On get_executor().
    void ignore_hooks() noexcept { ignores_hooks_ = true; }

    std::exception_ptr listener_failure() const
    {
        std::lock_guard const lock{mutex_};
        return listener_failure_;
    }

private:
    /// Call this on get_executor(): now on a context, whose thread this is; on a strand as soon as possible.
    template <class Function>
    void at_home(Function function)
    {
        if (place_.context())
            return function();
        boost::asio::dispatch(get_executor(),
            [self = this->shared_from_this(), function = std::move(function)]() mutable { function(); });
    }

    void tell_listener_failure()
    {
        if (failure_hook_ && !ignores_hooks_)
            failure_hook_();
    }

    server_options options_;
    handler_type handler_;
    server_place place_;
    std::vector<std::shared_ptr<shard_type>> shards_;
    std::atomic<std::size_t> active_{0};
    std::atomic<std::size_t> drained_shards_{0};
    std::atomic<bool> drained_{false};
    std::atomic<bool> ready_{true};
    std::atomic<bool> draining_{false};
    std::atomic<std::int64_t> thread_{0};  // of the first shard
    std::vector<timer*> drain_waiters_;    // on get_executor()
    std::function<void()> failure_hook_;   // on get_executor()
    std::function<void()> drained_hook_;   // on get_executor()
    bool ignores_hooks_ = false;           // on get_executor()
    mutable std::mutex mutex_;
    std::condition_variable shard_ended_;
    std::exception_ptr listener_failure_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
