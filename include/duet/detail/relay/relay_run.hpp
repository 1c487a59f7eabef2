// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_RUN_HPP
#define DUET_DETAIL_RELAY_RELAY_RUN_HPP

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <duet/detail/completion/try_post.hpp>
#include <duet/detail/socket/splice_pipe.hpp>
#include <duet/error.hpp>
#include <duet/relay_options.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A further session object on the connection of `session`, for tasks that may outlive it.
template <class Session>
Session further(Session const& session) noexcept
{
    return session_access::make<Session>(session_access::connection(session));
}

/// A relay under way: one pump for each direction, and one watch on each session. The watch is needed because a pump
/// that waits for one session does not notice that the other one dies.
///
/// It has session objects of its own. If memory runs out, Asio destroys the coroutine that called relay(), and the
/// sessions there, while these tasks still run.
template <class First, class Second>
class relay_run : public std::enable_shared_from_this<relay_run<First, Second>>
{
public:
    using executor_type = typename First::executor_type;
    using self = std::shared_ptr<relay_run>;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    relay_run(First const& first, Second const& second, relay_options const& options)
        : first_{further(first)}, second_{further(second)}, options_{options}, changed_{first.get_executor()}
    {
        if constexpr (session_access::splices<First> && session_access::splices<Second>)
        {
            auto& context = boost::asio::query(changed_.get_executor(), boost::asio::execution::context);
            if (options_.splice)
                pipes_ = &boost::asio::use_service<splice_pipes>(context);
        }
        changed_.expires_at(changed_.expiry().max());
        forward_.sent_before = second_.bytes_sent();
        backward_.sent_before = first_.bytes_sent();
        set_deadlines(first_);
        set_deadlines(second_);
    }

    /// Reset both sessions. That ends all tasks.
    void abort() noexcept
    {
        first_.abort();
        second_.abort();
    }

    void cancel() noexcept
    {
        cancelled_ = true;
        abort();
    }

    /// Reset both sessions, and say why.
    void no_memory() noexcept
    {
        for (auto* const each : {&forward_, &backward_})
            if (!each->told.finished && !each->told.error)
                each->told.error = boost::asio::error::no_memory;
        abort();
    }

    relay_report report() const
    {
        relay_report result;
        result.forward = forward_.told;
        result.backward = backward_.told;
        result.forward.bytes = second_.bytes_sent() - forward_.sent_before;
        result.backward.bytes = first_.bytes_sent() - backward_.sent_before;
        result.first = first_.report();
        result.second = second_.report();
        return result;
    }

    executor_type get_executor() noexcept { return changed_.get_executor(); }

    /// Run the relay to its end. Throws std::bad_alloc.
    static awaitable<void> drive(self run)
    {
        boost::asio::use_awaitable_t<executor_type> const token;
        error_code ignored;
        run->start(run);
        while (run->pumps_ > 0)
            co_await run->changed_.async_wait(boost::asio::redirect_error(token, ignored));
        run->finish(run);
        while (run->others_ > 0)
            co_await run->changed_.async_wait(boost::asio::redirect_error(token, ignored));
    }

private:
    /// The completion handler of a task. If memory runs out, Asio destroys a task before it ends: then the relay ends.
    class task_end
    {
    public:
        task_end(self run, int& group) noexcept : run_{std::move(run)}, group_{group} { ++group_; }

        task_end(task_end&&) noexcept = default;

        ~task_end()
        {
            if (!run_)
                return;
            if (!ended_)
                run_->no_memory();
            --group_;
            run_->changed_.cancel();
        }

        void operator()(std::exception_ptr const& failure) noexcept { ended_ = !failure; }

    private:
        self run_;
        int& group_;
        bool ended_ = false;
    };

    struct direction
    {
        relay_direction told{};
        std::uint64_t sent_before = 0;  // what the receiver was sent before the relay
        bool writing = false;           // a write to the receiver is under way
        bool sender_gone = false;       // set by watch()
    };

    template <class Session>
    void set_deadlines(Session& session)
    {
        auto values = session.deadlines();
        values.idle = options_.idle;
        values.half_closed = options_.half_closed;
        session.set_deadlines(values);
    }

    void start(self const& run) noexcept
    try
    {
        spawn(run, pumps_, pump(run, first_, second_, forward_));
        spawn(run, pumps_, pump(run, second_, first_, backward_));
        spawn(run, others_, watch(run, first_, second_, forward_));
        spawn(run, others_, watch(run, second_, first_, backward_));
        end_together(run, first_, second_);
        end_together(run, second_, first_);
    }
    catch (std::bad_alloc const&)
    {
        no_memory();
    }

    /// Count activity of one session as activity of both: a receiver that slowly takes what the other has sent is not
    /// idle.
    template <class Side, class Other>
    static void end_together(self const& run, Side& side, Other& other)
    {
        auto const quiet = [run, &side, &other](error_code const& error, std::size_t)
        {
            bool const due = error == errc::idle_timed_out || error == errc::half_closed_timed_out;
            if (due && session_access::join_activity(side, other))
                end_together(run, side, other);
        };
        session_access::when_quiet(side, quiet);
    }

    void finish(self const& run) noexcept
    try
    {
        spawn(run, others_, end(run, first_, backward_.told.finished));
        spawn(run, others_, end(run, second_, forward_.told.finished));
    }
    catch (std::bad_alloc const&)
    {
        no_memory();
    }

    void spawn(self const& run, int& group, awaitable<void> task)
    {
        boost::asio::co_spawn(changed_.get_executor(), std::move(task), task_end{run, group});
    }

    /// Carry one direction until its FIN or its failure. Does not throw.
    template <class From, class To>
    static awaitable<void> pump(self run, From& from, To& to, direction& way)
    {
        error_code failure;
        try
        {
            co_await run->carry(from, to, way);
            way.told.finished = true;
        }
        catch (boost::system::system_error const& error)
        {
            failure = error.code();
        }
        catch (std::bad_alloc const&)
        {
            failure = boost::asio::error::no_memory;
        }
        way.writing = false;
        if (way.told.finished || !way.told.error)
            way.told.error = failure;
        // `aborted` and `operation_aborted` come from this relay's own reaction to a failure of the other side. Report
        // that failure instead.
        for (auto const& cause : {from.report().error, to.report().error})
            if ((way.told.error == errc::aborted || way.told.error == boost::asio::error::operation_aborted) && cause)
                way.told.error = cause;
        if (run->cancelled_ && !way.told.finished)
            way.told.error = boost::asio::error::operation_aborted;
        // The receiver has only a part of the data, which must not look complete, so reset it. That also ends the pump
        // that reads from it.
        if (!way.told.finished)
            to.abort();
        else if (way.sender_gone)
            to.cancel();
    }

    template <class From, class To>
    awaitable<void> carry(From& from, To& to, direction& way)
    {
        std::vector<char> buffer(std::clamp<std::size_t>(options_.buffer_size, 1, small_buffer));
        for (;;)
        {
            std::size_t size = 0;
            try
            {
                size = co_await from.read_some(boost::asio::buffer(buffer));
            }
            catch (boost::system::system_error const& error)
            {
                // Asked to finish before the first byte, so nothing would be lost: an end like the peer's FIN.
                if (error.code() != errc::draining)
                    throw;
            }
            if (size == 0)
                break;
            from.first_message_received();
            begin_write(to, way);
            co_await to.write(boost::asio::buffer(buffer.data(), size));
            way.writing = false;
            if (size < buffer.size())
                continue;
            bool spliced = false;
            if (size >= bulk)
                spliced = co_await splice(from, to, way, size);
            if (!spliced && size < options_.buffer_size)
                buffer = std::vector<char>(std::min(options_.buffer_size, size * 3));
        }
        co_await to.shutdown_send();
    }

    /// Move bytes by splice(2) as long as at least `bulk` bytes arrive at once; the last read brought `before` bytes.
    /// When splice(2) gets nothing, an ordinary read finds out why. False: splice(2) was not used at all.
    template <class From, class To>
    awaitable<bool> splice(From& from, To& to, direction& way, std::size_t before)
    {
        bool begun = false;
        if constexpr (session_access::splices<From> && session_access::splices<To>)
        {
            for (bool more = true; more && pipes_;)
            {
                auto at_once = std::exchange(before, 0);
                {
                    borrowed_pipe pipe{*pipes_};
                    for (auto size = session_access::splice(from, *pipe); size > 0;
                         size = session_access::splice(from, *pipe))
                    {
                        at_once += size;
                        begin_write(to, way);
                        piped_bytes const bytes{&*pipe, size};
                        co_await session_access::write(to, bytes);
                        way.writing = false;
                    }
                    if (!pipe->reusable())
                        pipes_ = nullptr;  // no pipe is left, or the system refuses splice(2): stop trying
                }
                begun = begun || pipes_;
                if (at_once < bulk)
                    break;
                more = co_await session_access::wait_input(from);
            }
        }
        co_return begun;
    }

    /// Begin a write. If the sender is gone and the receiver does not accept the bytes at once, reset the receiver:
    /// watch() has already ended and would not notice.
    template <class To>
    void begin_write(To& to, direction& way)
    {
        way.writing = true;
        if (!way.sender_gone)
            return;
        auto const abort_if_it_waits = [run = this->shared_from_this(), &to, &way]
        {
            if (way.writing)
                to.abort();
        };
        if (!try_post(changed_.get_executor(), abort_if_it_waits))
            to.abort();
    }

    /// Notice that `side` is gone when no pump reads from it. Does not throw.
    template <class Side, class Other>
    static awaitable<void> watch([[maybe_unused]] self run, Side& side, Other& other, direction& from_side)
    {
        try
        {
            close_reason const reason = co_await side.wait_peer_gone();
            if (reason == close_reason::clean)
                co_return;
        }
        catch (boost::system::system_error const&)
        {
            co_return;
        }
        from_side.sender_gone = true;
        if (from_side.told.finished)
            other.cancel();  // `other` has everything from `side`, and nobody is left to receive its bytes
        else if (from_side.writing)
            other.abort();  // the pump waits for `other` to accept bytes, and would not see the failure
    }

    /// End one session: close it if it got everything that was meant for it, otherwise reset it.
    template <class Session>
    static awaitable<void> end(self run, Session& session, bool complete)
    {
        if (!complete || run->cancelled_)
            session.abort();
        else
            co_await session.close();
    }

    static constexpr std::size_t small_buffer = std::size_t{16} * 1024;
    static constexpr std::size_t bulk = std::size_t{48} * 1024;  // with so many bytes at once splice(2) is faster

    First first_;
    Second second_;
    relay_options options_;
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
        executor_type>
        changed_;  // never expires; cancelled whenever a task ends
    direction forward_;
    direction backward_;
    int pumps_ = 0;
    int others_ = 0;
    bool cancelled_ = false;
    splice_pipes* pipes_ = nullptr;  // null if splice(2) is not to be used
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
