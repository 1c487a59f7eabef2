// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CHANNEL_REACTOR_HPP
#define DUET_DETAIL_CHANNEL_REACTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/query.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <duet/detail/completion/operation_memory.hpp>
#include <duet/detail/config.hpp>

#include <sys/epoll.h>

namespace duet {
inline namespace v0 {
namespace detail {

class reactor;
class watched;

/// Where a socket is in the reactor. A class apart from `watched`, since g++'s -Wnon-virtual-dtor takes the protected
/// destructor of a class with virtual functions for accessible as soon as the class has a friend.
class reactor_place
{
    friend reactor;

public:
    reactor_place(reactor_place const&) = delete;
    reactor_place& operator=(reactor_place const&) = delete;

    /// It waits for events (reactor::begin).
    bool waits() const noexcept { return waits_; }

protected:
    reactor_place() = default;
    ~reactor_place() = default;

private:
    static constexpr std::uint32_t nowhere = UINT32_MAX;

    watched* next_ = nullptr;  // among those who wait
    watched* previous_ = nullptr;
    watched* next_turn_ = nullptr;
    std::uint32_t slot_ = nowhere;
    bool waits_ = false;
    bool has_turn_ = false;
};

/// Who has a socket in the reactor, and what the reactor tells it. It must outlive its place there.
class watched : public reactor_place
{
public:
    /// epoll's events: what is true of the socket now.
    virtual void on_events(std::uint32_t events) = 0;

    /// Its turn, which it asked for.
    virtual void on_turn() = 0;

    /// The context is being destroyed while it waits.
    virtual void on_shutdown() noexcept = 0;

protected:
    ~watched() = default;
};

/// Readiness of the sockets of one io_context, by an epoll of their own, which waits in Asio's.
///
/// Asio tells that an operation has ended, and learns that a socket is empty by a read that fails. Here it is told that
/// a socket is ready, once for all that are, and who reads less than he wanted knows that it is empty: two system calls
/// per message, not three, and none of the work of an operation. It costs three calls each time the thread wakes up
/// (two waits, and waiting again), so who is alone is better off with Asio's (`suits`).
///
/// Everything on the context's one thread: a server's context has no other.
class reactor : public boost::asio::execution_context::service
{
public:
    using key_type = reactor;
    inline static boost::asio::execution_context::id id;

    /// Have one on this context, if it has none, for the sessions that come while there are so many `others`. Without
    /// (no descriptor, no memory) they are Asio's alone.
    DUET_DECL static void use(boost::asio::io_context& context, std::size_t others = 1) noexcept;

    /// The context whose handlers may be called in place of the executor's: none for a strand's and other contexts'.
    template <class Executor>
    static boost::asio::io_context* context_of(Executor const& executor) noexcept
    {
        using context_executor = boost::asio::io_context::executor_type;
        context_executor const* plain = nullptr;
        if constexpr (std::is_same_v<Executor, context_executor>)
            plain = &executor;
        else if constexpr (std::is_same_v<Executor, boost::asio::any_io_executor>)
            plain = executor.template target<context_executor>();
        return plain ? &boost::asio::query(*plain, boost::asio::execution::context) : nullptr;
    }

    /// That of a context, if it has one.
    DUET_DECL static reactor* of(boost::asio::io_context* context) noexcept;

    DUET_DECL explicit reactor(boost::asio::execution_context& context);
    DUET_DECL ~reactor() override;

    /// Another session should have its socket here.
    bool suits() const noexcept { return sessions_ >= others_; }

    /// A session on this context came or went, wherever its socket is.
    void count(int change) noexcept { sessions_ += static_cast<std::size_t>(change); }

    /// Tell `who` when `descriptor`, non-blocking, becomes readable, ends or breaks. False: no memory.
    DUET_DECL bool add(watched& who, int descriptor) noexcept;

    /// Tell again what is true now, and from now on also when it becomes writable, if `writable`.
    DUET_DECL void ask(watched& who, bool writable) noexcept;

    /// Tell no more. A descriptor that stays open is to be given.
    DUET_DECL void remove(watched& who, int open_descriptor = -1) noexcept;

    /// `who` waits for events: until end() the context has work. Events come also if it does not.
    DUET_DECL void begin(watched& who) noexcept;
    DUET_DECL void end(watched& who) noexcept;

    /// Call on_turn() soon, from the context. `who` must live until then.
    DUET_DECL void turn(watched& who) noexcept;

private:
    struct leave_dispatch;

    template <void (reactor::*Function)(boost::system::error_code), class Memory>
    struct handler;

    struct slot
    {
        watched* who = nullptr;
        std::uint32_t generation = 0;  // an event may be of who was here before
        int descriptor = -1;
        std::uint32_t events = 0;
    };

    DUET_DECL void shutdown() override;
    DUET_DECL void notify_fork(boost::asio::execution_context::fork_event event) override;

    static int make_epoll();
    int control(int operation, std::uint32_t index) noexcept;
    void arm() noexcept;
    void disarm() noexcept;
    void schedule() noexcept;
    void on_wait(boost::system::error_code error);
    void on_schedule(boost::system::error_code);
    void dispatch();
    void take_turns();

    boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> epoll_;
    std::vector<slot> slots_;
    std::vector<std::uint32_t> free_;  // has room for all of slots_
    watched* waiting_ = nullptr;
    watched* first_turn_ = nullptr;
    watched* last_turn_ = nullptr;
    std::size_t sessions_ = 0;
    std::size_t others_ = 1;
    bool armed_ = false;    // events are waited for
    bool in_asio_ = false;  // a wait is under way in Asio: one that was cancelled has not come back yet
    bool scheduled_ = false;
    bool dispatching_ = false;
    bool shut_down_ = false;
    std::uint32_t next_ = 0;  // of events_
    std::uint32_t count_ = 0;
    ::epoll_event events_[128];
    operation_memory<192> wait_memory_;
    operation_memory<128> schedule_memory_;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/channel/reactor.ipp>
#endif

#endif
