// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_IPP

// Creating and sharing a connection, waiting handlers, which error is kept, and how handlers are called.

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

#include <duet/detail/completion/prefetch.hpp>
#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL connection::connection(boost::asio::any_io_executor const& executor, session_options const& options)
    : terms_{executor, plain_context_of(executor), options}, times_{terms_->deadlines, clock().now()},
      wakeup_{clock(), plain_context(), *this}
{
}

DUET_DECL connection::~connection()
{
    auto* const control = control_.load(std::memory_order_acquire);
    if (!control)
        return;
    control->detach();
    control->remove_reference();
}

DUET_DECL owner_ref<remote_control> connection::control()
{
    auto* known = control_.load(std::memory_order_acquire);
    if (known)
        return owner_ref{known};
    owner_ref const made{new remote_control{executor(), *this}};
    if (!control_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel, std::memory_order_acquire))
        return owner_ref{known};  // of another thread, which was first
    made->add_reference();        // the connection's own
    return made;
}

DUET_DECL void connection::add_handle() noexcept
{
    ++handles_;
}

/// The execution context is being destroyed, so destroy the waiting handlers. The objects that they own may be the only
/// ones that keep this connection alive: a coroutine owns its session. Their destructors find a session that has ended:
/// nobody would end what they began on it.
DUET_DECL void connection::abandon() noexcept
{
    ref const keep{this};
    // A plain close would send FIN, which would hide that the queued writes are missing.
    auto const cut = sender_.empty() ? lifecycle_action::none : life_.apply(lifecycle_event::write_cut);
    // These are destroyed when the function returns, after they were moved out of the members: each handler may destroy
    // sessions, and so this connection.
    receiver_.end();
    sender_.waiting = closer_.discarding = false;
    auto const read = std::move(receiver_.handler());
    auto const writes = sender_.take_all();
    auto const waiting = waiters_.take_all();
    execute(cut);
    drop();
}

DUET_DECL void connection::change_channel(channel& next) noexcept
{
    ref const keep{this};
    channel_ = &channel_->followed_by(next);
    hang_up_due_ = false;  // the wait that is started again reports it
    if (receiver_.busy())
        issue_read();
    if (sender_.waiting)
        issue_wait_writable();
    if (closer_.discarding)
        on_discardable({});
    if (waiters_.has(awaited::peer_gone))
        issue_wait_gone();
    if (receiver_.cause() && receiver_.busy())
        channel_->cancel_read();
    if (auto const* const cause = waiters_.cause(awaited::peer_gone); cause && *cause)
        channel_->cancel_gone();
}

DUET_DECL void connection::observe(std::shared_ptr<connection_observer> observer)
{
    if (!observed_)
    {
        if (!observer)
            return;
        observed_ = std::make_unique<observed_channel>(*this, *channel_);
        channel_ = observed_.get();
    }
    observed_->observe(std::move(observer));
}

DUET_DECL char const* connection::tell_operation(char const* name, std::size_t size) noexcept
{
    return observed_->tell_operation(name, size);
}

DUET_DECL char const* connection::tell_result(char const* name, error_code const& error, std::size_t size) noexcept
{
    return observed_->tell_result(name, error, size);
}

DUET_DECL void connection::tell_leave() noexcept
{
    observed_->tell_leave();
}

DUET_DECL void connection::on_turn()
{
    if (peer_just_finished_)
        after_peer_finished();
    if (std::exchange(failure_due_, false) && !error_ && !life_.released() && !sender_.empty())
        pump_writes();
    if (std::exchange(hang_up_due_, false))
        look_for_hang_up();
}

DUET_DECL void connection::on_near(unsigned distance) noexcept
{
    if (distance == 2)
        prefetch(this, sizeof *this);
    else
        receiver_.prefetch();
}

/// Without its next operation or timer a connection could hang for ever, so end it.
DUET_DECL void connection::out_of_memory() noexcept
{
    fail(direction::both, boost::asio::error::no_memory, boost::asio::error::no_memory);
    abort();
}

// ---- Which error is kept --------------------------------------------------------------------------------------------

/// The error that every later operation reports after this failure of the stream.
inline error_code terminal_error(error_code error) noexcept
{
    if (error == condition::reset)
        return boost::asio::error::connection_reset;
    if (error == condition::dead_peer)
        return errc::dead_peer;
    return error;
}

inline close_reason reason_of(error_code error) noexcept
{
    if (error == condition::reset)
        return close_reason::peer_reset;
    return error == condition::dead_peer ? close_reason::dead_peer : close_reason::failed;
}

inline error_code connection::fail_receive(error_code error) noexcept
{
    fail(direction::receive, error, terminal_error(error));
    execute(life_.apply(lifecycle_event::receive_failed, reason_of(error_)));
    return error_;
}

inline error_code connection::fail_send(error_code error) noexcept
{
    fail(direction::send, error, terminal_error(error));
    execute(life_.apply(lifecycle_event::send_failed, reason_of(error_)));
    return error_;
}

// ---- Calling handlers -----------------------------------------------------------------------------------------------

DUET_DECL void connection::complete(any_completion&& done, error_code error, std::size_t size)
{
    if (!done.inline_allowed())
        return post(std::move(done), error, size);
    ref const keep{this};
    {
        inline_level const level;
        done(error, size);
    }
    rest();
}

/// Post a handler, behind what is already queued. If there is no memory to post it, call it directly, so that no
/// handler is lost.
inline void connection::post(any_completion&& done, error_code error, std::size_t size)
{
    ref const keep{this};
    auto const after = [](operation_owner& owner) { static_cast<connection&>(owner).rest(); };
    if (attempt([&] { any_completion::post(executor(), plain_context(), {keep, done, error, size, after}); }))
        return;
    auto refused = std::move(done);
    inline_level const level;
    refused(error, size);
}

// ---- Waiting handlers -----------------------------------------------------------------------------------------------

inline void connection::complete_all(awaited what, error_code error)
{
    if (waiters_.empty())
        return;
    // Complete only the handlers that wait now. If there is no memory to post one, it runs here and may wait again at
    // once.
    for (auto meant = waiters_.take_all(what); auto& each : meant)
        post(std::move(each.done), error, 0);
}

/// Store a handler until complete_all(), or until it is cancelled. False: no memory. The session has then ended, and
/// the caller still owns the handler.
inline bool connection::wait_for(awaited what, any_completion& done, deadlines::duration limit) noexcept
{
    auto const by = deadline_of(limit);
    auto const park = [&]
    {
        done.on_cancel([this, id = ++last_id_](auto) { cancel_waiter(id, boost::asio::error::operation_aborted); });
        waiters_.park(what, last_id_, done, by);
    };
    bool const parked = attempt(park);
    if (!parked)
        out_of_memory();
    else if (by < times_.call_by)
        arm(times_.call_by = by);
    return parked;
}

inline void connection::cancel_waiter(std::uint64_t id, error_code cause) noexcept
{
    auto const what = waiters_.find(id);
    if (!what)
        return;
    if (*what == awaited::peer_gone)
        return cancel_wait_gone(cause);
    post(waiters_.take(id), cause, 0);
}

/// End the calls whose own time is over: see operation::within().
inline void connection::end_late_calls(time_point now)
{
    error_code const cause = errc::call_timed_out;
    for (auto late = sender_.late(now); late != sender_.end(); late = sender_.late(now))
        end_write(late, cause);
    for (auto late = waiters_.late(now); late; late = waiters_.late(now))
    {
        waiters_.forget_time(*late);
        cancel_waiter(*late, cause);
    }
    times_.call_by = std::min(sender_.earliest(), waiters_.earliest());
}

/// End every pending operation with operation_aborted. The connection goes on, unless a write is cut part-way, which
/// poisons the send side.
DUET_DECL void connection::cancel_all() noexcept
{
    ref const keep{this};
    error_code const cause = boost::asio::error::operation_aborted;
    bool const poisons = !sender_.empty() && (sender_.front().part_way() || sender_.loses_unseen() ||
                                                 life_.send() == send_state::finishing);
    interrupt_read(cause);
    fail_writes(cause);
    complete_all(awaited::fin, cause);
    complete_all(awaited::close, cause);
    complete_all(awaited::delivery, cause);
    complete_all(awaited::finish, cause);
    cancel_wait_gone(cause);
    if (poisons)
        execute(life_.apply(lifecycle_event::write_cut));
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
