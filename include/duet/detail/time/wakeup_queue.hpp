// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_WAKEUP_QUEUE_HPP
#define DUET_DETAIL_TIME_WAKEUP_QUEUE_HPP

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>

#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/completion/operation_owner.hpp>
#include <duet/detail/config.hpp>
#include <duet/detail/time/block_array.hpp>
#include <duet/detail/time/coarse_clock.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A time at which the owner's on_wakeup() is to be called.
class queued_wakeup
{
    friend class wakeup_queue;

public:
    using time_point = coarse_clock::time_point;

    static constexpr time_point never = time_point::max();

    queued_wakeup(queued_wakeup const&) = delete;
    queued_wakeup& operator=(queued_wakeup const&) = delete;

    /// The time; `never` if none is set.
    time_point at() const noexcept { return at_; }

protected:
    explicit queued_wakeup(operation_owner& owner) noexcept : owner_{owner} {}
    ~queued_wakeup() = default;

    operation_owner& owner_;
    time_point at_ = never;

private:
    static constexpr std::uint32_t nowhere = UINT32_MAX;

    std::uint32_t place_ = nowhere;  // in the queue's heap
};

/// The wake-ups of one io_context, which share one timer: a timer of Asio's for each session takes 280 bytes and, from
/// accept to close, 1,100 instructions.
///
/// While a wake-up is in the queue, the context has work and its owner stays alive.
///
/// Not thread-safe: use it only on a context that a single thread runs.
class wakeup_queue : public boost::asio::execution_context::service
{
public:
    using key_type = wakeup_queue;
    using time_point = coarse_clock::time_point;
    inline static boost::asio::execution_context::id id;

    /// Create the queue of this context, unless it has one. Without memory for it, it has none.
    DUET_DECL static void use(boost::asio::io_context& context) noexcept;

    /// The queue of this context; null if it has none.
    DUET_DECL static wakeup_queue* of(boost::asio::io_context* context) noexcept;

    DUET_DECL explicit wakeup_queue(boost::asio::execution_context& context);
    DUET_DECL ~wakeup_queue() override;

    context_clock const& clock() const noexcept { return timer_.clock(); }

    /// Wake `who` up at `when`, which is earlier than its time so far. False: there is no memory, and no wake-up.
    DUET_DECL bool set(queued_wakeup& who, time_point when) noexcept;

    /// Take it out of the queue. This may release the last reference to its owner.
    DUET_DECL void cancel(queued_wakeup& who) noexcept;

private:
    struct leave_timer;

    struct entry
    {
        time_point at;
        queued_wakeup* who;
    };

    template <void (wakeup_queue::*Function)(error_code)>
    struct handler;

    class end_handler;

    DUET_DECL void shutdown() override;
    DUET_DECL void abandon_all() noexcept;
    bool abandon_later() noexcept;

    bool start() noexcept;
    void on_timer(error_code error);
    void on_no_memory(error_code);
    void tell_first();
    void place(std::size_t index, entry const& what) noexcept;
    void rise(std::size_t index) noexcept;
    void sink(std::size_t index) noexcept;
    void remove(queued_wakeup& who) noexcept;

    boost::asio::io_context::executor_type executor_;
    basic_timer<boost::asio::io_context::executor_type> timer_;
    block_array<entry> heap_;  // the earliest first; an entry is at least as late as the one at half its index
    time_point timer_at_{};
    bool timing_ = false;   // a wait of timer_ is pending, possibly one that was cancelled and has not completed yet
    bool telling_ = false;  // on_timer() is running, and starts the timer when it is left
    bool shut_down_ = false;
    bool ending_ = false;  // an end_handler is in the queue of the context
    operation_memory<192> memory_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/time/wakeup_queue.ipp>
#endif

#endif
