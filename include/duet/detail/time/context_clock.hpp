// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_CONTEXT_CLOCK_HPP
#define DUET_DETAIL_TIME_CONTEXT_CLOCK_HPP

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/time/coarse_clock.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The time of an execution context under a test's control: see testing/manual_clock.hpp. It does not advance by
/// itself.
class manual_time : public boost::asio::execution_context::service
{
public:
    using key_type = manual_time;
    using time_point = coarse_clock::time_point;
    inline static boost::asio::execution_context::id id;

    static constexpr time_point never = time_point::max();

    /// The state of one timer. Its owner must end the wait before it destroys this object.
    struct waiting
    {
        time_point at{};
        any_completion done;
        bool waits = false;
    };

    explicit manual_time(boost::asio::execution_context& context)
        : service{context}, now_{std::chrono::steady_clock::now()}
    {
        ++number();
    }

    ~manual_time() override { --number(); }

    /// The manual clock of an executor's context; null if it has none. If the program has no manual clock at all, this
    /// costs one load and one branch.
    template <class Executor>
    static manual_time* of(Executor const& executor)
    {
        if (number().load(std::memory_order_relaxed) == 0)
            return nullptr;
        auto& context = boost::asio::query(executor, boost::asio::execution::context);
        return boost::asio::has_service<manual_time>(context) ? &boost::asio::use_service<manual_time>(context)
                                                              : nullptr;
    }

    time_point now() const noexcept { return now_; }

    /// The time when the next timer is due; `never` if there is none.
    time_point next() const noexcept { return waiting_.empty() ? never : waiting_.front()->at; }

    /// Advance to `when`, never back, and end the waits that are due by then, the earliest first. The context runs what
    /// they complete.
    void move_to(time_point when)
    {
        now_ = std::max(now_, when);
        while (next() <= now_)
            tell(*waiting_.front(), {});
    }

    /// Begin a wait. Timers that are due at the same time end in the order of their waits.
    void wait(waiting& timer)
    {
        if (shut_down_)
            return;
        auto const later =
            std::find_if(waiting_.begin(), waiting_.end(), [&](waiting const* each) { return timer.at < each->at; });
        waiting_.insert(later, &timer);
        timer.waits = true;
    }

    /// End a wait with this error.
    void tell(waiting& timer, error_code error)
    {
        waiting_.remove(&timer);
        timer.waits = false;
        auto done = std::move(timer.done);
        done(error, 0);
    }

private:
    /// Destroy the waiting handlers without calling them. That may destroy the timers.
    void shutdown() override
    {
        shut_down_ = true;
        std::list<any_completion> abandoned;
        for (auto* const each : std::exchange(waiting_, {}))
        {
            each->waits = false;
            abandoned.push_back(std::move(each->done));
        }
    }

    static std::atomic<int>& number() noexcept
    {
        static std::atomic<int> result{0};
        return result;
    }

    time_point now_;
    std::list<waiting*> waiting_;  // in the order of their times
    bool shut_down_ = false;
};

/// The clock of an executor's context: the system's, or a manual clock that a test advances.
class context_clock
{
public:
    using time_point = coarse_clock::time_point;

    template <class Executor>
    explicit context_clock(Executor const& executor) : manual_{manual_time::of(executor)}
    {
    }

    time_point now() const noexcept { return manual_ ? manual_->now() : std::chrono::steady_clock::now(); }

    /// See coarse_clock.
    time_point coarse_now() const noexcept { return manual_ ? manual_->now() : coarse_clock::now(); }

    manual_time* manual() const noexcept { return manual_; }

private:
    manual_time* manual_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
