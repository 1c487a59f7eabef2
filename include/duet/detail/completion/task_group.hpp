// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_TASK_GROUP_HPP
#define DUET_DETAIL_COMPLETION_TASK_GROUP_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <duet/detail/completion/try_post.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The coroutines of one with_tasks(): the body, and its tasks. The first failure cancels all of them.
///
/// It is used on one executor only. The completion handlers of the coroutines share it, because the context may destroy
/// them, and whoever waits, in any order.
class task_group : public std::enable_shared_from_this<task_group>
{
    struct task
    {
        // Shared with the completion handler, because the coroutine is destroyed after the handler was called.
        std::shared_ptr<boost::asio::cancellation_signal> signal = std::make_shared<boost::asio::cancellation_signal>();
        bool told = false;  // cancel() has visited it
    };

    using task_list = std::list<task>;

public:
    explicit task_group(boost::asio::any_io_executor const& executor)
        : all_ended_{executor, boost::asio::steady_timer::time_point::max()}
    {
    }

    task_group(task_group const&) = delete;
    task_group& operator=(task_group const&) = delete;

    void begin(boost::asio::awaitable<void> coroutine) { begin(tasks_, std::move(coroutine)); }

    void begin_body(boost::asio::awaitable<void> coroutine) { begin(body_, std::move(coroutine)); }

    /// Cancel the tasks, and those that begin later, on purpose: that they were cancelled is no failure of theirs.
    void cancel() noexcept
    {
        on_purpose_ = cancelled_ = true;
        tell_of_cancellation();
    }

    /// Cancel everything because whoever waits was cancelled.
    void cancel_from_outside() noexcept
    {
        cancelled_ = cancels_body_ = true;
        tell_of_cancellation();
    }

    /// Tasks that have not ended.
    std::size_t running() const noexcept { return tasks_.size(); }

    bool all_ended() const noexcept { return tasks_.empty() && body_.empty(); }

    /// Cancelled when all have ended; never expires.
    boost::asio::steady_timer& end() noexcept { return all_ended_; }

    /// What they have thrown, the first failure first.
    std::vector<std::exception_ptr> const& failures() const noexcept { return failures_; }

    std::exception_ptr const& first_failure() const noexcept { return first_; }

    boost::asio::any_io_executor get_executor() noexcept { return all_ended_.get_executor(); }

private:
    struct start
    {
        explicit start(int& count) noexcept : starting{count} { ++starting; }
        start(start const&) = delete;
        start& operator=(start const&) = delete;
        ~start() { --starting; }

        int& starting;
    };

    /// The completion handler of a coroutine. If it is destroyed without a call, memory has run out, or the context is
    /// being destroyed.
    class end_of_task
    {
    public:
        end_of_task(std::shared_ptr<task_group> group, task_list& among, task_list::iterator which) noexcept
            : group_{std::move(group)}, among_{&among}, which_{which}, signal_{which->signal}
        {
        }

        end_of_task(end_of_task&&) noexcept = default;

        ~end_of_task()
        {
            if (group_)
                group_->lost(*among_, which_);
        }

        void operator()(std::exception_ptr const& failure)
        {
            std::exchange(group_, nullptr)->ended(*among_, which_, failure);
        }

    private:
        std::shared_ptr<task_group> group_;
        task_list* among_;
        task_list::iterator which_;
        std::shared_ptr<boost::asio::cancellation_signal> signal_;
    };

    void begin(task_list& among, boost::asio::awaitable<void> coroutine)
    {
        among.emplace_front();
        auto const signal = among.front().signal;
        bool const cancelled = among.front().told = cancelled_;
        auto const self = shared_from_this();
        end_of_task handler{self, among, among.begin()};
        {
            start const counted{starting_};
            boost::asio::co_spawn(get_executor(), std::move(coroutine),
                boost::asio::bind_cancellation_slot(signal->slot(), std::move(handler)));
        }
        if (cancelled)  // if it has ended already, it hears nothing
            signal->emit(boost::asio::cancellation_type::terminal);
        if (cancelled_)
            tell_of_cancellation();
    }

    /// Not while a coroutine is being started, which runs to its first wait: when one has ended without a wait, Asio
    /// awaits once more in its name and, if it was cancelled meanwhile, throws out of the context's run().
    void tell_of_cancellation() noexcept
    {
        if (starting_ > 0)
            return;
        if (cancels_body_)
            cancel(body_);
        cancel(tasks_);
    }

    void ended(task_list& among, task_list::iterator which, std::exception_ptr const& failure) noexcept
    {
        among.erase(which);
        bool const expected = first_ || (on_purpose_ && &among == &tasks_);
        if (failure && !(expected && was_cancelled(failure)))
            fail(failure);
        if (all_ended())
            tell_end();
    }

    /// Cancels the others later: if the context is being destroyed, what they wait for may be gone.
    void lost(task_list& among, task_list::iterator which) noexcept
    {
        among.erase(which);
        note(std::make_exception_ptr(std::bad_alloc{}));
        if (all_ended())
            tell_end();
        else
            try_post(get_executor(), [self = shared_from_this()] { self->cancel_from_outside(); });
    }

    void fail(std::exception_ptr const& failure) noexcept
    {
        note(failure);
        cancel_from_outside();
    }

    void note(std::exception_ptr const& failure) noexcept
    {
        if (!first_)
            first_ = failure;
        try
        {
            failures_.push_back(failure);
        }
        catch (std::bad_alloc const&)
        {
            // The first one is kept.
        }
    }

    static void cancel(task_list& all) noexcept
    {
        // Those that were told stand in front. Each may end, and leave the list, or begin another one, at once.
        while (!all.empty() && !all.back().told)
        {
            auto const next = std::prev(all.end());
            next->told = true;
            all.splice(all.begin(), all, next);
            auto const signal = next->signal;
            try
            {
                signal->emit(boost::asio::cancellation_type::terminal);
            }
            catch (std::bad_alloc const&)
            {
                // It ends by itself.
            }
        }
    }

    static bool was_cancelled(std::exception_ptr const& failure) noexcept
    {
        try
        {
            std::rethrow_exception(failure);
        }
        catch (boost::system::system_error const& error)
        {
            return error.code() == condition::cancelled;
        }
        catch (...)
        {
            return false;
        }
    }

    void tell_end() noexcept
    {
        try
        {
            all_ended_.cancel();
        }
        catch (boost::system::system_error const&)
        {
            // Asio's timers do not fail here.
        }
    }

    boost::asio::steady_timer all_ended_;
    task_list body_;  // one, or none
    task_list tasks_;
    std::exception_ptr first_;
    std::vector<std::exception_ptr> failures_;
    int starting_ = 0;        // coroutines that have not come to their first wait
    bool cancelled_ = false;  // tasks that begin now are cancelled at once
    bool cancels_body_ = false;
    bool on_purpose_ = false;  // so it is no failure of a task that it was cancelled
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
