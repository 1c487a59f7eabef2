// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_REACTOR_IPP
#define DUET_DETAIL_CHANNEL_REACTOR_IPP

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <iterator>
#include <memory>
#include <utility>

#include <duet/detail/channel/reactor.hpp>
#include <duet/detail/completion/context_service.hpp>
#include <duet/detail/completion/prefetch.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The handler of our wait in Asio, which uses memory inside the reactor.
struct reactor::wait_handler
{
    using allocator_type = operation_allocator<std::byte, decltype(wait_memory_)>;

    void operator()(boost::system::error_code error) const { self->on_wait(error); }

    allocator_type get_allocator() const noexcept { return allocator_type{self->wait_memory_}; }

    reactor* self;
};

/// What schedule() posts; it uses memory inside the reactor, too. The context that is being destroyed destroys it after
/// shutdown(): then what has begun to wait since then is ended.
struct reactor::schedule_handler
{
    using allocator_type = operation_allocator<std::byte, decltype(schedule_memory_)>;

    struct shut_down_rest
    {
        void operator()(reactor* home) const noexcept
        {
            home->scheduled_ = false;
            if (home->shut_down_)
                home->shut_down_all();
        }
    };

    void operator()() { self.release()->on_schedule(); }

    // Must work after a move: Asio calls this on handlers that were moved from.
    allocator_type get_allocator() const noexcept { return allocator_type{*memory}; }

    std::unique_ptr<reactor, shut_down_rest> self;
    decltype(schedule_memory_)* memory;
};

inline int reactor::make_epoll()
{
    int const descriptor = ::epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0)
        throw boost::system::system_error{errno, boost::system::system_category(), "epoll_create1"};
    return descriptor;
}

DUET_DECL reactor::reactor(boost::asio::execution_context& context)
    : service{context}, epoll_{static_cast<boost::asio::io_context&>(context)}
{
    int const descriptor = make_epoll();
    boost::system::error_code error;
    epoll_.assign(descriptor, error);
    if (error)
    {
        ::close(descriptor);
        throw boost::system::system_error{error};
    }
}

DUET_DECL reactor::~reactor()
{
    context_service<reactor>::changed();
}

DUET_DECL void reactor::use(boost::asio::io_context& context, std::size_t others) noexcept
{
    if (of(&context))
        return;
    try
    {
        boost::asio::use_service<reactor>(context).others_ = others;
        context_service<reactor>::changed();
    }
    catch (std::exception const&)
    {
        // The context then has no reactor, and its sessions use Asio.
    }
}

DUET_DECL reactor* reactor::of(boost::asio::io_context* context) noexcept
{
    return context_service<reactor>::of(context);
}

inline int reactor::control(int operation, std::uint32_t index) noexcept
{
    auto const& each = slots_[index];
    ::epoll_event event{};
    // EPOLLOUT is there for a connect, or added when a write has to wait: nearly all sockets are writable nearly all
    // the time.
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET | (each.who->writable_ ? EPOLLOUT : 0U);
    event.data.u64 = std::uint64_t{each.generation} << 32U | index;
    return ::epoll_ctl(epoll_.native_handle(), operation, each.descriptor, &event);
}

DUET_DECL bool reactor::add(watched& who, int descriptor, bool writable) noexcept
{
    if (free_ < 0)
    {
        try
        {
            slots_.push_back({});
            free_ = static_cast<int>(slots_.size() - 1);
        }
        catch (std::exception const&)
        {
            return false;
        }
    }
    auto const index = static_cast<std::uint32_t>(free_);
    auto& place = slots_[index];
    int const next_free = place.descriptor;
    place.who = &who;
    place.descriptor = descriptor;
    who.writable_ = writable;
    if (control(EPOLL_CTL_ADD, index) != 0)
    {
        place.who = nullptr;
        place.descriptor = next_free;
        return false;
    }
    free_ = next_free;
    who.slot_ = index;
    return true;
}

DUET_DECL void reactor::replace(watched& who, watched& next) noexcept
{
    next.slot_ = std::exchange(who.slot_, reactor_place::nowhere);
    next.writable_ = who.writable_;
    slots_[next.slot_].who = &next;
}

DUET_DECL void reactor::ask(watched& who, bool writable) noexcept
{
    if (writable)
        who.writable_ = true;
    control(EPOLL_CTL_MOD, who.slot_);
}

DUET_DECL void reactor::remove(watched& who, int open_descriptor) noexcept
{
    if (who.slot_ == reactor_place::nowhere)
        return;
    auto const index = std::exchange(who.slot_, reactor_place::nowhere);
    auto& place = slots_[index];
    if (open_descriptor >= 0)
        control(EPOLL_CTL_DEL, index);
    place.who = nullptr;
    ++place.generation;
    place.descriptor = std::exchange(free_, static_cast<int>(index));
}

DUET_DECL void reactor::begin(watched& who) noexcept
{
    who.waits_ = true;
    ++waiting_;
    if (!armed_)
        arm();
}

DUET_DECL void reactor::end(watched& who) noexcept
{
    who.waits_ = false;
    if (--waiting_ == 0 && !dispatching_)
        disarm();
}

DUET_DECL void reactor::turn(watched& who) noexcept
{
    if (std::exchange(who.has_turn_, true))
        return;
    who.next_turn_ = nullptr;
    (last_turn_ ? last_turn_->next_turn_ : first_turn_) = &who;
    last_turn_ = &who;
    if (!dispatching_)
        schedule();
}

/// Ask Asio to report when the epoll has events.
inline void reactor::arm() noexcept
{
    if (shut_down_)
        return schedule();  // which ends what waits
    armed_ = true;
    if (in_asio_)
        return;  // when the cancelled wait completes, on_wait() starts the next one
    in_asio_ = true;
    // Cannot fail for lack of memory: the operation uses wait_memory_.
    epoll_.async_wait(epoll_.wait_read, wait_handler{this});
}

/// Nothing waits any more: cancel our wait, so that the context can run out of work.
inline void reactor::disarm() noexcept
{
    if (!std::exchange(armed_, false) || !in_asio_)
        return;
    boost::system::error_code ignored;
    epoll_.cancel(ignored);
}

/// Post a dispatch of the remaining turns and of the remaining events in events_, which epoll reports only once.
inline void reactor::schedule() noexcept
{
    if (!std::exchange(scheduled_, true))
        boost::asio::post(epoll_.get_executor(), schedule_handler{{this, {}}, &schedule_memory_});
}

inline void reactor::on_wait(boost::system::error_code error)
{
    in_asio_ = false;
    if (error == boost::asio::error::operation_aborted)
        return armed_ ? arm() : void();
    armed_ = false;
    if (!error)  // after a fork() the child's epoll is closed if it could not get its own
        dispatch();
}

inline void reactor::on_schedule()
{
    scheduled_ = false;
    dispatch();
}

/// RAII: also when a handler throws, dispatch the remaining events and turns later.
struct reactor::leave_dispatch
{
    ~leave_dispatch()
    {
        self.dispatching_ = false;
        if (self.next_ < self.count_ || self.first_turn_)
            self.schedule();
        if (self.waiting_ == 0)
            self.disarm();
    }

    reactor& self;
};

inline void reactor::dispatch()
{
    time_.forget();
    if (next_ == count_)
    {
        next_ = 0;
        int const count = ::epoll_wait(epoll_.native_handle(), events_, static_cast<int>(std::size(events_)), 0);
        count_ = count > 0 ? static_cast<std::uint32_t>(count) : 0;
    }
    dispatching_ = true;
    leave_dispatch const leaves{*this};
    // Re-arm after the epoll was read, and before calling handlers, because they may throw.
    if (waiting_ != 0 && !armed_)
        arm();
    while (next_ < count_)
    {
        look_ahead();
        auto const& event = events_[next_++];
        if (auto* const who = owner_of(event))
            who->on_events(event.events);
    }
    take_turns();
}

/// Null: it has left.
inline watched* reactor::owner_of(::epoll_event const& event) noexcept
{
    auto const& place = slots_[static_cast<std::uint32_t>(event.data.u64)];
    return place.generation == event.data.u64 >> 32U ? place.who : nullptr;
}

/// What a session and its handler use is in a dozen places of the memory, each behind a pointer in another one. Of many
/// sessions, none of that is in the cache: it would be waited for a dozen times. So it is fetched, one pointer after
/// the other, while the sessions before it are served.
inline void reactor::look_ahead() noexcept
{
    constexpr std::size_t more_than_the_cache_holds = 256;
    constexpr std::uint32_t farthest = 4;
    if (sessions_ < more_than_the_cache_holds)
        return;
    auto const others = std::min(farthest, count_ - next_ - 1);
    if (others == farthest)
        prefetch(owner_of(events_[next_ + farthest]), std::size_t{2} * 64);
    for (auto distance = std::min(others, farthest - 1); distance > 0; --distance)
        if (auto* const who = owner_of(events_[next_ + distance]))
            who->on_near(distance);
}

inline watched* reactor::take_first_turn() noexcept
{
    auto* const who = first_turn_;
    first_turn_ = who->next_turn_;
    if (!first_turn_)
        last_turn_ = nullptr;
    who->has_turn_ = false;
    return who;
}

/// Serve only the turns requested so far. An object that requests another turn has to let the context's other handlers
/// run first.
inline void reactor::take_turns()
{
    auto const* const last = last_turn_;
    while (first_turn_)
    {
        auto* const who = take_first_turn();
        bool const was_last = who == last;
        who->on_turn();
        if (was_last)
            break;
    }
}

inline void reactor::leave_epoll() noexcept
{
    boost::system::error_code ignored;
    if (process_ != fork_watch::get().process())
        give_up_copy(epoll_.native_handle());
    epoll_.close(ignored);
}

/// False: it did not wait.
inline bool reactor::shut_down(watched& who) noexcept
{
    if (!who.waits())
        return false;
    end(who);
    who.on_shutdown();
    return true;
}

/// End all that wait. Each may destroy or end others, which then wait for their turn, or begin something on them.
DUET_DECL void reactor::shut_down_all() noexcept
{
    for (bool any = true; any;)
    {
        any = false;
        for (std::size_t index = 0; index <= slots_.size(); ++index)
        {
            while (first_turn_)
                any |= shut_down(*take_first_turn());
            if (auto* const who = index < slots_.size() ? slots_[index].who : nullptr)
                any |= shut_down(*who);
        }
    }
}

DUET_DECL void reactor::shutdown()
{
    // shutdown() runs while Asio's services still exist.
    shut_down_ = true;
    leave_epoll();
    shut_down_all();
}

/// After fork() the child must not share the parent's epoll.
DUET_DECL void reactor::notify_fork(boost::asio::execution_context::fork_event event)
{
    if (event != boost::asio::execution_context::fork_child)
        return;
    leave_epoll();
    process_ = fork_watch::get().process();
    epoll_.assign(make_epoll());
    for (std::uint32_t index = 0; index < slots_.size(); ++index)
        if (slots_[index].who && control(EPOLL_CTL_ADD, index) != 0)
            throw boost::system::system_error{errno, boost::system::system_category(), "epoll_ctl"};
    if (waiting_ != 0 && !armed_)
        arm();
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
