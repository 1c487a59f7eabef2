// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_ACCEPT_QUEUE_HPP
#define DUET_DETAIL_ACCEPT_ACCEPT_QUEUE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <duet/acceptor_options.hpp>
#include <duet/backoff.hpp>
#include <duet/detail/accept/handshakes.hpp>
#include <duet/detail/accept/listener.hpp>
#include <duet/detail/accept/listening_socket.hpp>
#include <duet/detail/accept/protocol_layer.hpp>
#include <duet/detail/engine/session_watcher.hpp>
#include <duet/detail/recording/recording_watcher.hpp>
#include <duet/detail/socket/fork_watch.hpp>
#include <duet/detail/socket/socket_calls.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/hand_over.hpp>
#include <duet/session.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A connection that was taken from the kernel's queue and is not a session yet. Its destructor resets it, as the
/// kernel does with what is left in its queue: a plain close would look like an empty answer.
template <class Endpoint>
class accepted_connection
{
public:
    accepted_connection(int descriptor, Endpoint const& local_end, Endpoint const& remote_end) noexcept
        : local{local_end}, remote{remote_end}, descriptor_{descriptor}, maker_{fork_watch::get().process()}
    {
    }

    accepted_connection(accepted_connection const&) = delete;
    accepted_connection& operator=(accepted_connection const&) = delete;

    ~accepted_connection()
    {
        if (descriptor_ >= 0 && maker_ == fork_watch::get().process())
            reset_at_close(descriptor_);
        if (descriptor_ >= 0)
            ::close(descriptor_);
    }

    int descriptor() const noexcept { return descriptor_; }

    /// Somebody else owns the descriptor now.
    void release() noexcept { descriptor_ = -1; }

    Endpoint const local;
    Endpoint const remote;

private:
    int descriptor_;
    ::pid_t maker_;
};

/// The implementation of an acceptor: the listener, and the connections that were taken from the kernel's queue and not
/// yet handed out.
template <class Protocol, class Executor>
class accept_queue : public std::enable_shared_from_this<accept_queue<Protocol, Executor>>
{
public:
    using endpoint_type = typename Protocol::endpoint;
    using stream_type = boost::asio::basic_stream_socket<Protocol, Executor>;
    using session_maker = plain_sessions<Protocol, Executor>;
    using session_type = typename session_maker::session_type;
    using traits = stream_traits<stream_type>;
    using self = std::shared_ptr<accept_queue>;

    accept_queue(Executor const& executor, acceptor_options options)
        : listener_{executor}, pause_{executor}, settling_{executor}, options_{std::move(options)}
    {
        // SYNs that reach this listener's filter are repeated after a second, and then reach the others.
        if (options_.reuse_port)
            patience_ = std::chrono::milliseconds{250};
        options_.batch = std::max<std::size_t>(options_.batch, 1);
    }

    void listen(endpoint_type const& endpoint) { listener_.listen(endpoint, options_); }

    void inherit(int descriptor) { listener_.inherit(descriptor, options_); }

    /// A queue on another executor that takes over what this one has. No accept() may be pending.
    self move_to(Executor const& executor);

    /// The other listeners on this endpoint close together with this one.
    void close_with_others() noexcept { patience_ = longest_patience; }

    /// Leave a client in the kernel's queue until it is handed out. Others have their turns after a batch all the same.
    void take_one_at_a_time() noexcept { one_at_a_time_ = true; }

    /// Completes with a session that `maker` makes, and that belongs to `executor`.
    template <class Maker = session_maker>
    static boost::asio::awaitable<typename Maker::session_type, Executor> accept(
        self queue, Executor executor, Maker maker = {});

    /// Returns the next session of a batch that has begun; nullopt if there is none, or no memory for it.
    template <class Maker>
    std::optional<typename Maker::session_type> take_queued(Executor const& executor, Maker const& maker) noexcept;

    handed_listeners hand_over(std::string name);

    void close() noexcept;

    void discard() noexcept;

    /// Tell this watcher of the sessions that are handed out from now on, and of errors.
    void watch(std::shared_ptr<session_watcher> watcher) noexcept { watcher_ = std::move(watcher); }

    void tell_accepted(connection& made) noexcept
    {
        if (watcher_)
            watcher_->on_accepted(made);
    }

    bool is_open() const noexcept { return listener_.is_open() && !closing_; }

    endpoint_type const& local() const noexcept { return listener_.local(); }

    acceptor_counters const& counters() const noexcept { return counters_; }

    acceptor_options const& options() const noexcept { return options_; }

    listen_queue kernel_queue(error_code& error) noexcept { return kernel_queue_of(listener_.native_handle(), error); }

    Executor get_executor() noexcept { return listener_.get_executor(); }

    /// For socket options that concern no other process.
    int descriptor() noexcept { return listener_.native_handle(); }

    /// For the program.
    int native_handle() noexcept { return listener_.expose(); }

private:
    using listener_type = listening_socket<Protocol, Executor>;
    using timer_type = basic_timer<Executor>;

    static constexpr std::uint64_t most_broken_in_a_row = 16;

    /// How long close() lets handshakes complete that have begun: long enough for one repetition of the SYN+ACK, which
    /// the system sends after a second.
    static constexpr std::chrono::milliseconds longest_patience{1500};

    /// While the listener closes: take what has completed, and close it when no handshake is under way any more.
    void settle() noexcept;

    /// Take connections from the kernel's queue: a batch, or the next one of it.
    void take_batch() noexcept;

    /// Take what is in the kernel's queue, for close(): at most `last_takes_` connections, failed ones included.
    void take_last() noexcept;

    /// Take one connection from the kernel's queue. False: stop taking for now.
    bool take_one() noexcept;

    bool keep(int descriptor, endpoint_type const& remote) noexcept;

    template <class Maker>
    typename Maker::session_type make(
        Executor const& executor, accepted_connection<endpoint_type>& from, Maker const& maker);

    void pause(error_code const& error) noexcept;

    void tell(error_code const& error) noexcept;

    bool pausing() const noexcept
    {
        return paused_until_ != typename timer_type::time_point{} && pause_.clock().now() < paused_until_;
    }

    /// An accept() that waits for the end of a pause. Setting the timer cancels its waits, so only the first one sets
    /// it. Another may find it set to an earlier end, and then waits again.
    class pause_waiter
    {
    public:
        explicit pause_waiter(accept_queue& queue) : queue_{queue}
        {
            if (queue.pause_waiters_ == 0)
                queue.pause_.expires_at(queue.paused_until_);
            ++queue.pause_waiters_;
        }

        pause_waiter(pause_waiter const&) = delete;
        pause_waiter& operator=(pause_waiter const&) = delete;

        ~pause_waiter() { --queue_.pause_waiters_; }

    private:
        accept_queue& queue_;
    };

    listener_type listener_;
    timer_type pause_;
    std::size_t pause_waiters_ = 0;
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        Executor>
        settling_;  // the system's time, also if a test controls that of the context
    acceptor_options options_;
    acceptor_counters counters_;
    std::deque<accepted_connection<endpoint_type>> taken_;
    error_code failure_;  // why the listener itself failed
    std::uint64_t broken_in_a_row_ = 0;
    std::uint64_t failures_ = 0;
    typename timer_type::time_point paused_until_{};
    backoff backoff_{
        {.initial = std::chrono::milliseconds{5}, .maximum = std::chrono::seconds{1}, .multiplier = 2, .jitter = 0}, 0};
    std::chrono::milliseconds patience_ = longest_patience;
    std::chrono::steady_clock::time_point settled_at_{};
    std::size_t last_takes_ = 0;
    std::size_t taken_of_batch_ = 0;
    bool one_at_a_time_ = false;
    bool batch_was_full_ = false;
    bool found_empty_ = false;  // by take_queued(), since the last wait
    bool closing_ = false;      // nobody new is let in
    std::shared_ptr<session_watcher> watcher_ = program_watcher();
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/accept/accept_queue.ipp>

#endif
