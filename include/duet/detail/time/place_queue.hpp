// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_PLACE_QUEUE_HPP
#define DUET_DETAIL_TIME_PLACE_QUEUE_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include <duet/detail/time/told_wait.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// How a wait for a place has ended.
enum class place_end : std::uint8_t
{
    held,       ///< the place is there
    refused,    ///< as many wait as may
    late,       ///< the time passed
    cancelled,  ///< the waiting coroutine was cancelled
    closed,     ///< there are no places any more
};

/// A number of places, for each of which one coroutine may do something. Who comes when all are held waits, and they
/// are served in their order. It is used on one executor only.
template <class Executor>
class place_queue
{
    struct entry;

public:
    using time_point = typename told_wait<Executor>::time_point;
    using self = std::shared_ptr<place_queue>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, Executor>;

    /// RAII: a place, or none. It keeps the queue alive.
    class place
    {
    public:
        place() noexcept = default;

        place(place&& other) noexcept : queue_{std::move(other.queue_)} {}

        place& operator=(place&& other) noexcept
        {
            place moved{std::move(other)};
            std::swap(queue_, moved.queue_);
            return *this;
        }

        ~place()
        {
            if (auto* const queue = queue_.get())
                queue->pass_on(std::move(queue_));
        }

    private:
        friend place_queue;

        self queue_;
    };

    place_queue(Executor const& executor, std::size_t places, std::size_t most_waiting)
        : executor_{executor}, places_{places}, most_waiting_{most_waiting}
    {
    }

    place_queue(place_queue const&) = delete;
    place_queue& operator=(place_queue const&) = delete;

    std::size_t held() const noexcept { return held_; }

    std::size_t waiting() const noexcept { return waiting_.size(); }

    bool closed() const noexcept { return closed_; }

    /// Take a place, if one is free at once. If not, take() waits, or tells why there is none.
    static bool take_now(self const& queue, place& own) noexcept
    {
        if (queue->closed_ || queue->held_ == queue->places_)
            return false;
        ++queue->held_;
        own.queue_ = queue;
        return true;
    }

    /// Wait for a place up to `by`; time_point::max() is no limit. `own` must outlive the coroutine.
    static awaitable<place_end> take(self queue, place& own, time_point by)
    {
        if (take_now(queue, own))
            co_return place_end::held;
        if (queue->closed_)
            co_return place_end::closed;
        if (queue->waiting_.size() >= queue->most_waiting_)
            co_return place_end::refused;
        entry waiter{queue, own};
        auto const end = co_await waiter.wait.wait(by);
        if (queue->closed_)
            co_return place_end::closed;
        // It may have been cancelled and got a place at once: then it leaves the place to the next.
        auto const state = co_await boost::asio::this_coro::cancellation_state;
        if (end == wait_end::cancelled || state.cancelled() != boost::asio::cancellation_type::none)
            co_return place_end::cancelled;
        co_return end == wait_end::told ? place_end::held : place_end::late;
    }

    /// Refuse those who wait, now and later. Places that are held stay held.
    void close() noexcept
    {
        closed_ = true;
        for (auto* const each : std::exchange(waiting_, {}))
            each->wait.tell();
    }

    /// Wait until no place is held. False: this was cancelled.
    static awaitable<bool> wait_unused(self queue)
    {
        while (queue->held_ > 0)
        {
            end_wait own{queue};
            auto const end = co_await own.wait.wait(time_point::max());
            if (end == wait_end::cancelled)
                co_return false;
        }
        co_return true;
    }

private:
    /// RAII: waits for a place.
    struct entry
    {
        entry(self const& to, place& for_it) : queue{*to}, own{for_it}, wait{queue.executor_}
        {
            queue.waiting_.push_back(this);
        }

        entry(entry const&) = delete;
        entry& operator=(entry const&) = delete;

        ~entry()
        {
            if (!wait.told())
                queue.waiting_.remove(this);
        }

        place_queue& queue;
        place& own;
        told_wait<Executor> wait;
    };

    /// RAII: waits until no place is held.
    struct end_wait
    {
        explicit end_wait(self const& of) : queue{*of}, wait{queue.executor_} { queue.ends_.push_back(this); }

        end_wait(end_wait const&) = delete;
        end_wait& operator=(end_wait const&) = delete;

        ~end_wait() { queue.ends_.remove(this); }

        place_queue& queue;
        told_wait<Executor> wait;
    };

    /// A place becomes free: it goes to the first who waits.
    void pass_on(self queue) noexcept
    {
        if (!waiting_.empty())
        {
            auto* const first = waiting_.front();
            waiting_.pop_front();
            first->own.queue_ = std::move(queue);
            first->wait.tell();
            return;
        }
        if (--held_ > 0)
            return;
        for (auto* const each : ends_)
            each->wait.tell();
    }

    Executor executor_;
    std::size_t places_;
    std::size_t most_waiting_;
    std::size_t held_ = 0;
    bool closed_ = false;
    std::list<entry*> waiting_;
    std::list<end_wait*> ends_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
