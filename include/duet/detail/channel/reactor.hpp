// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_REACTOR_HPP
#define DUET_DETAIL_CHANNEL_REACTOR_HPP

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>

#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/config.hpp>
#include <duet/detail/socket/fork_watch.hpp>
#include <duet/detail/time/block_array.hpp>
#include <duet/detail/time/turn_time.hpp>

#include <sys/epoll.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class reactor;
class watched;

/// The position of a socket in the reactor. It is separate from `watched` because of g++'s -Wnon-virtual-dtor, which
/// treats the protected destructor of a class with virtual functions as accessible if the class has a friend.
class reactor_place
{
    friend reactor;

public:
    reactor_place(reactor_place const&) = delete;
    reactor_place& operator=(reactor_place const&) = delete;

    /// True between reactor::begin() and reactor::end(): it waits for events.
    bool waits() const noexcept { return waits_; }

protected:
    reactor_place() = default;
    ~reactor_place() = default;

private:
    static constexpr std::uint32_t nowhere = UINT32_MAX;

    watched* next_turn_ = nullptr;
    std::uint32_t slot_ = nowhere;
    bool waits_ = false;
    bool has_turn_ = false;
    bool writable_ = false;  // it is told of that, too
};

/// An object with a socket in the reactor, and the reactor's callbacks to it. It must not be destroyed before it is
/// removed from the reactor.
class watched : public reactor_place
{
public:
    /// `events` are epoll's flags: the current state of the socket.
    virtual void on_events(std::uint32_t events) = 0;

    /// The turn that it requested.
    virtual void on_turn() = 0;

    /// Its events come after those of `distance` others: 3, later 2, then 1. It may prefetch the memory that it will
    /// use then. What was prefetched at one distance can be read at the next.
    virtual void on_near([[maybe_unused]] unsigned distance) noexcept {}

    /// The context is being destroyed while this object waits.
    virtual void on_shutdown() noexcept = 0;

protected:
    ~watched() = default;
};

/// Reports the readiness of the sockets of one io_context. It has its own epoll instance, whose descriptor waits in
/// Asio's epoll.
///
/// Asio reports the end of an operation, and needs a failing read to learn that a socket is empty. This reactor reports
/// that a socket is ready, with one wake-up for all ready sockets, and a read that returns fewer bytes than requested
/// shows that the socket is empty. That is two system calls per message instead of three, and avoids the cost of an
/// Asio operation. On the other hand, each wake-up of the thread costs three calls (two waits, and re-arming), so a
/// session that is alone on its context is better off with Asio (see `suits`).
///
/// Not thread-safe: use it only on a context that a single thread runs. A server's context has no other thread.
class reactor : public boost::asio::execution_context::service
{
public:
    using key_type = reactor;
    inline static boost::asio::execution_context::id id;

    /// Create a reactor on this context, unless it has one. Sessions use it while the context has at least `others`
    /// other sessions. If it cannot be created (no descriptor, no memory), sessions use Asio.
    DUET_DECL static void use(boost::asio::io_context& context, std::size_t others = 1) noexcept;

    /// The reactor of `context`; null if it has none.
    DUET_DECL static reactor* of(boost::asio::io_context* context) noexcept;

    DUET_DECL explicit reactor(boost::asio::execution_context& context);
    DUET_DECL ~reactor() override;

    /// True if there are enough other sessions for one more to register its socket here.
    bool suits() const noexcept { return sessions_ >= others_; }

    /// A session on this context began (1) or ended (-1), whether or not its socket is in this reactor.
    void count(int change) noexcept { sessions_ += static_cast<std::size_t>(change); }

    /// Notify `who` when `descriptor`, which is non-blocking, becomes readable, ends or fails; if `writable`, also when
    /// it becomes writable. False: no memory.
    DUET_DECL bool add(watched& who, int descriptor, bool writable = false) noexcept;

    /// Notify `next` from now on, instead of `who`, which leaves the reactor.
    DUET_DECL void replace(watched& who, watched& next) noexcept;

    /// Report the current state again. If `writable`, report from now on also when the socket becomes writable.
    DUET_DECL void ask(watched& who, bool writable) noexcept;

    /// Stop the notifications. If the descriptor stays open, pass it, so that it is removed from the epoll.
    DUET_DECL void remove(watched& who, int open_descriptor = -1) noexcept;

    /// `who` waits for events, or for its turn: the context has work until end(). Events are also reported to those
    /// that do not wait.
    DUET_DECL void begin(watched& who) noexcept;
    DUET_DECL void end(watched& who) noexcept;

    /// Call `who`'s on_turn() soon, from the context. `who` must live until then.
    DUET_DECL void turn(watched& who) noexcept;

    /// The time of the events that are being dispatched. Whoever may call a handler makes it forget() that.
    turn_time& time() noexcept { return time_; }

private:
    struct leave_dispatch;
    struct wait_handler;
    struct schedule_handler;

    struct slot
    {
        watched* who = nullptr;
        std::uint32_t generation = 0;  // detects an event of this slot's previous owner
        int descriptor = -1;           // of a free slot: the next free one, as in free_
    };

    DUET_DECL void shutdown() override;
    DUET_DECL void notify_fork(boost::asio::execution_context::fork_event event) override;

    static int make_epoll();
    int control(int operation, std::uint32_t index) noexcept;
    void leave_epoll() noexcept;
    void arm() noexcept;
    void disarm() noexcept;
    void schedule() noexcept;
    void on_wait(boost::system::error_code error);
    void on_schedule();
    void dispatch();
    watched* owner_of(::epoll_event const& event) noexcept;
    void look_ahead() noexcept;
    watched* take_first_turn() noexcept;
    void take_turns();
    bool shut_down(watched& who) noexcept;
    DUET_DECL void shut_down_all() noexcept;

    boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> epoll_;
    block_array<slot> slots_;
    int free_ = -1;                                  // the first free slot; -1: none
    ::pid_t process_ = fork_watch::get().process();  // the one that the epoll belongs to
    std::size_t waiting_ = 0;                        // so many wait for events
    watched* first_turn_ = nullptr;
    watched* last_turn_ = nullptr;
    std::size_t sessions_ = 0;
    std::size_t others_ = 1;
    bool armed_ = false;    // the reactor wants to be told of events
    bool in_asio_ = false;  // a wait is pending in Asio, possibly one that was cancelled and has not completed yet
    bool scheduled_ = false;
    bool dispatching_ = false;
    bool shut_down_ = false;
    turn_time time_;
    std::uint32_t next_ = 0;  // index of the next event in events_
    std::uint32_t count_ = 0;
    ::epoll_event events_[128];
    operation_memory<192> wait_memory_;
    operation_memory<128> schedule_memory_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/channel/reactor.ipp>
#endif

#endif
