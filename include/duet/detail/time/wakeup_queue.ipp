// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_WAKEUP_QUEUE_IPP
#define DUET_DETAIL_TIME_WAKEUP_QUEUE_IPP

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include <duet/detail/completion/context_service.hpp>
#include <duet/detail/time/wakeup_queue.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A handler whose operation uses memory inside the queue. One at a time.
template <void (wakeup_queue::*Function)(error_code)>
struct wakeup_queue::handler
{
    using allocator_type = operation_allocator<std::byte, operation_memory<192>>;

    void operator()(error_code error = {}) const { (self->*Function)(error); }

    allocator_type get_allocator() const noexcept { return allocator_type{self->memory_}; }

    wakeup_queue* self;
};

/// The context that is being destroyed destroys it after shutdown(): then what was set since then is abandoned.
class wakeup_queue::end_handler
{
public:
    explicit end_handler(wakeup_queue& self) noexcept : self_{&self} {}

    end_handler(end_handler&& other) noexcept : self_{std::exchange(other.self_, nullptr)} {}

    ~end_handler()
    {
        if (!self_)
            return;
        self_->ending_ = false;
        self_->abandon_all();
    }

    void operator()() const noexcept {}

private:
    wakeup_queue* self_;
};

DUET_DECL wakeup_queue::wakeup_queue(boost::asio::execution_context& context)
    : service{context}, executor_{static_cast<boost::asio::io_context&>(context).get_executor()}, timer_{executor_}
{
}

DUET_DECL wakeup_queue::~wakeup_queue()
{
    context_service<wakeup_queue>::changed();
}

DUET_DECL void wakeup_queue::use(boost::asio::io_context& context) noexcept
{
    if (of(&context))
        return;
    try
    {
        boost::asio::use_service<wakeup_queue>(context);
        context_service<wakeup_queue>::changed();
    }
    catch (std::exception const&)
    {
        // Each session then has a timer of its own.
    }
}

DUET_DECL wakeup_queue* wakeup_queue::of(boost::asio::io_context* context) noexcept
{
    return context_service<wakeup_queue>::of(context);
}

DUET_DECL bool wakeup_queue::set(queued_wakeup& who, time_point when) noexcept
{
    bool const is_new = who.place_ == queued_wakeup::nowhere;
    if (is_new)
    {
        try
        {
            heap_.push_back({when, &who});
        }
        catch (std::exception const&)
        {
            return false;
        }
        who.place_ = static_cast<std::uint32_t>(heap_.size() - 1);
    }
    who.at_ = heap_[who.place_].at = when;
    rise(who.place_);
    if (!telling_ && !start())
    {
        remove(who);
        return false;
    }
    if (is_new)
        who.owner_.add_reference();
    return true;
}

DUET_DECL void wakeup_queue::cancel(queued_wakeup& who) noexcept
{
    if (who.place_ == queued_wakeup::nowhere)
        return;
    remove(who);
    if (heap_.empty() && timing_)
        timer_.cancel();  // the context may run out of work now
    who.owner_.remove_reference();
}

/// Wait for the earliest wake-up, unless the timer expires by then anyway. False: Asio has no memory for the wait.
inline bool wakeup_queue::start() noexcept
{
    if (heap_.empty())
        return true;
    if (shut_down_)
        return abandon_later();
    auto const when = heap_.front().at;
    if (timing_)
    {
        if (when < std::exchange(timer_at_, std::min(when, timer_at_)))
            timer_.cancel();  // on_timer() then waits again
        return true;
    }
    try
    {
        timer_.expires_at(when);
        timer_.async_wait(handler<&wakeup_queue::on_timer>{this});
    }
    catch (std::exception const&)
    {
        return false;
    }
    timer_at_ = when;
    timing_ = true;
    return true;
}

/// RAII: on leaving a function that the timer called, also by an exception from a handler, wait again.
struct wakeup_queue::leave_timer
{
    ~leave_timer()
    {
        self.telling_ = false;
        if (self.shut_down_ || self.start())
            return;
        // Without memory for the wait, the first owner tries again, and fails. The post cannot fail: its memory is in
        // the queue.
        self.timing_ = true;
        self.timer_at_ = time_point::min();
        boost::asio::post(self.executor_, handler<&wakeup_queue::on_no_memory>{&self});
    }

    wakeup_queue& self;
};

inline void wakeup_queue::on_timer(error_code error)
{
    timing_ = false;
    telling_ = true;
    leave_timer const leaves{*this};
    if (error)
        return;
    auto const now = timer_.clock().now();
    // Those that set a time in the past have to wait for the others, and for the context's other handlers.
    for (auto turns = heap_.size(); turns > 0 && !heap_.empty() && heap_.front().at <= now; --turns)
        tell_first();
}

inline void wakeup_queue::on_no_memory(error_code)
{
    timing_ = false;
    if (heap_.empty() || start())
        return;
    leave_timer const leaves{*this};
    tell_first();  // its next set() finds out whether there is memory
}

inline void wakeup_queue::tell_first()
{
    auto& first = *heap_.front().who;
    owner_ref<operation_owner> const keep{&first.owner_};
    remove(first);
    first.owner_.remove_reference();
    first.owner_.on_wakeup();
}

/// The context is being destroyed.
DUET_DECL void wakeup_queue::shutdown()
{
    shut_down_ = true;
    timer_.cancel();
    abandon_all();
}

/// Each may set others.
DUET_DECL void wakeup_queue::abandon_all() noexcept
{
    while (!heap_.empty())
    {
        auto& first = *heap_.front().who;
        owner_ref<operation_owner> const keep{&first.owner_};
        remove(first);
        first.owner_.remove_reference();
        first.owner_.abandon();
    }
}

/// False: there is no memory for that.
inline bool wakeup_queue::abandon_later() noexcept
{
    try
    {
        if (!ending_)
            boost::asio::post(executor_, end_handler{*this});
        ending_ = true;
    }
    catch (std::exception const&)
    {
    }
    return ending_;
}

// ---- The heap -------------------------------------------------------------------------------------------------------

inline void wakeup_queue::place(std::size_t index, entry const& what) noexcept
{
    heap_[index] = what;
    what.who->place_ = static_cast<std::uint32_t>(index);
}

/// The entry at this index may be earlier than those above it.
inline void wakeup_queue::rise(std::size_t index) noexcept
{
    auto const what = heap_[index];
    for (; index > 0 && what.at < heap_[(index - 1) / 2].at; index = (index - 1) / 2)
        place(index, heap_[(index - 1) / 2]);
    place(index, what);
}

/// The entry at this index may be later than those below it.
inline void wakeup_queue::sink(std::size_t index) noexcept
{
    auto const what = heap_[index];
    for (;;)
    {
        auto below = 2 * index + 1;
        if (below + 1 < heap_.size() && heap_[below + 1].at < heap_[below].at)
            ++below;
        if (below >= heap_.size() || what.at <= heap_[below].at)
            break;
        place(index, heap_[below]);
        index = below;
    }
    place(index, what);
}

inline void wakeup_queue::remove(queued_wakeup& who) noexcept
{
    auto const index = std::exchange(who.place_, queued_wakeup::nowhere);
    who.at_ = queued_wakeup::never;
    auto const last = heap_.back();
    heap_.pop_back();
    if (index == heap_.size())
        return;
    place(index, last);
    rise(index);
    sink(last.who->place_);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
