// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_ACCEPT_QUEUE_HPP
#define DUET_DETAIL_ACCEPT_ACCEPT_QUEUE_HPP

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include <duet/acceptor_options.hpp>
#include <duet/backoff.hpp>
#include <duet/detail/accept/listener.hpp>
#include <duet/detail/accept/listening_socket.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The implementation of an acceptor: the listener, and the sessions that were taken from the kernel's queue and not
/// yet handed out.
template <class Protocol, class Executor>
class accept_queue
{
public:
    using endpoint_type = typename Protocol::endpoint;
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using session_type = basic_session<stream_type>;
    using traits = stream_traits<stream_type>;
    using self = std::shared_ptr<accept_queue>;

    accept_queue(Executor const& executor, acceptor_options options)
        : listener_{executor}, pause_{executor}, options_{std::move(options)}
    {
        options_.batch = std::max<std::size_t>(options_.batch, 1);
    }

    void listen(endpoint_type const& endpoint) { listener_.listen(endpoint, options_); }

    void inherit(int descriptor) { listener_.inherit(descriptor, options_); }

    static boost::asio::awaitable<session_type, Executor> accept(self queue);

    /// Returns the next session of a batch that was already taken; nullopt if there is none.
    std::optional<session_type> take_queued() noexcept;

    void close() noexcept;

    void discard() noexcept;

    bool is_open() const noexcept { return listener_.is_open(); }

    endpoint_type const& local() const noexcept { return listener_.local(); }

    acceptor_counters const& counters() const noexcept { return counters_; }

    listen_queue kernel_queue(error_code& error) noexcept;

    Executor get_executor() noexcept { return listener_.get_executor(); }

    int native_handle() noexcept { return listener_.native_handle(); }

private:
    using listener_type = listening_socket<Protocol, Executor>;
    using timer_type = basic_timer<Executor>;

    static constexpr std::uint64_t most_broken_in_a_row = 16;

    /// Take connections from the kernel's queue, at most one batch.
    void take_batch() noexcept;

    /// Take one connection from the kernel's queue. False: stop taking for now.
    bool take_one() noexcept;

    bool keep(int descriptor, endpoint_type const& remote) noexcept;

    void pause(error_code const& error) noexcept;

    bool pausing() const noexcept
    {
        return paused_until_ != typename timer_type::time_point{} && pause_.clock().now() < paused_until_;
    }

    listener_type listener_;
    timer_type pause_;
    acceptor_options options_;
    acceptor_counters counters_;
    std::deque<session_type> taken_;
    error_code failure_;  // why the listener itself failed
    std::uint64_t broken_in_a_row_ = 0;
    std::uint64_t failures_ = 0;
    typename timer_type::time_point paused_until_{};
    backoff backoff_{
        {.initial = std::chrono::milliseconds{5}, .maximum = std::chrono::seconds{1}, .multiplier = 2, .jitter = 0}, 0};
    bool batch_was_full_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#include <duet/detail/accept/accept_queue.ipp>

#endif
