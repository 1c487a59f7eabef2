// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_TIME_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_TIME_IPP

// What happens when a deadline passes. deadline_table.hpp decides when it passes.

#include <chrono>
#include <optional>
#include <utility>

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The operations that wait for the peer.
inline pending_operations connection::pending() const noexcept
{
    bool const finishes = receiver_.busy() && !receiver_.cause() && must_finish();
    return {receiver_.busy(), !sender_.empty() || waiters_.has(awaited::delivery) || waiters_.has(awaited::peer_gone),
        finishes};
}

/// True if the time of the last activity may make a difference.
inline bool connection::notes_activity() const noexcept
{
    return wakeup_.at() != wakeup::never || times_.limits().idle > deadlines::duration::zero();
}

inline void connection::note_activity() noexcept
{
    if (notes_activity())
        times_.note_activity(clock().coarse_now());
}

/// As note_activity(), if that makes a difference: an operation that begins to wait is activity itself.
[[gnu::always_inline]] inline void connection::note_activity_if_awaited() noexcept
{
    if (receiver_.busy() || !sender_.empty() || !waiters_.empty())
        note_activity();
}

/// An operation begins to wait for the peer: from now on its deadlines count.
[[gnu::always_inline]] inline void connection::wait_begins() noexcept
{
    note_activity();
    wait_has_begun();
}

/// The same, once the activity is noted.
[[gnu::always_inline]] inline void connection::wait_has_begun() noexcept
{
    // A wake-up that is set already may be for something later.
    bool const set = wakeup_.at() != wakeup::never && set_for_reads_;
    if (peer_watch_.wanted(sender_.sent()))
        watch_peer();
    if (life_.half_closed() || life_.closing() || (times_.limits_open_sessions() && !set))
        arm_all();
}

/// Wake up when something may be due.
inline void connection::arm_all() noexcept
{
    auto const waiting = pending();
    arm(times_.earliest(life_, waiting));
    set_for_reads_ |= waiting.read;
}

/// A handler has run. If nothing waits any more, a timer would only keep the context running.
inline void connection::rest() noexcept
{
    if (wakeup_.at() == wakeup::never || life_.closing() || pending().any() || !waiters_.empty())
        return;
    wakeup_.cancel();
    if (times_.watch_peer_at != deadline_table::never)
    {
        times_.watch_peer_at = deadline_table::never;
        peer_watch_.end();  // the next wait starts it again
    }
}

inline void connection::entered_half_closed() noexcept
{
    if (!life_.half_closed())
        return;
    times_.half_closed(clock().now());
    arm_all();
}

inline void connection::arm(time_point when) noexcept
{
    if (when < wakeup_.at() && !life_.released() && !wakeup_.set(when, executor(), clock()))
        out_of_memory();
}

DUET_DECL void connection::set_deadlines(deadlines const& values) noexcept
{
    bool const other_peer_timeout = values.dead_peer != times_.limits().dead_peer;
    try
    {
        auto next = terms_.with(values);
        times_.set(next->deadlines, clock().now());
        terms_.swap(next);
        set_for_reads_ = false;
    }
    catch (std::bad_alloc const&)
    {
        return out_of_memory();
    }
    if (life_.released())
        return;
    if (other_peer_timeout)
    {
        keepalive_is_late_ = false;
        channel_->set_dead_peer_timeout(limits().dead_peer);
    }
    arm_all();
}

DUET_DECL void connection::on_wakeup()
{
    ref const keep{this};
    if (life_.released())
        return;
    auto const now = clock().now();
    if (now >= times_.read_by)
    {
        times_.read_by = deadline_table::never;
        interrupt_read(errc::read_timed_out);
    }
    if (now >= times_.read_call_by)
    {
        times_.read_call_by = deadline_table::never;
        interrupt_read(errc::call_timed_out);
    }
    if (now >= times_.call_by)
        end_late_calls(now);
    if (times_.write_look_due(now))
        look_for_progress(now);
    if (times_.write_expired(now) && !sender_.empty() && !look_for_progress(now))
    {
        times_.no_write_waits();
        end_write(sender_.first(), errc::write_timed_out);
    }
    if (times_.take_poll(now))
        poll();
    if (now >= times_.watch_peer_at)
        look_at_peer(now);
    if (life_.closing())
        check_close_deadlines(now);
    else
    {
        check_reading_deadlines(now);
        check_session_deadlines(now);
    }
    arm_all();
}

/// A part has come of what the pending read is to read: it no longer waits for the begin of a message, but for its end.
inline void connection::has_begun_to_read() noexcept
{
    auto const& limits = times_.limits();
    if (std::max(limits.next_message, limits.message) == deadlines::duration::zero())
        return;
    times_.read_begins(true, {});
    arm_all();
}

/// Ask how many bytes the peer has acknowledged. True if that is progress.
inline bool connection::look_for_progress(time_point now) noexcept
{
    auto const left = channel_->unacknowledged();
    std::optional<time_point> heard;
    if (channel_->able().has_info)
    {
        error_code error;
        auto const info = channel_->info(error);
        if (!error)
            heard = now - info.last_received;
    }
    return times_.acknowledged(sender_.sent(), left, now, heard);
}

/// Check for what no event reports: that the last byte was acknowledged and, on some systems, that the peer is gone.
inline void connection::poll()
{
    if (life_.closing() && life_.receive() == receive_state::ended && life_.send() == send_state::finished)
        check_delivery();
    look_for_delivery();
    if (channel_->able().tells_hang_up || life_.released())
        return;
    if (auto const* const cause = waiters_.cause(awaited::peer_gone); !cause || *cause)
        return;
    if (channel_->has_hung_up())
        look_for_hang_up();
    else
        look_again_soon();
}

inline void connection::look_again_soon() noexcept
{
    arm(times_.look_again(clock().now()));
}

// ---- The peer's host ------------------------------------------------------------------------------------------------

DUET_DECL void connection::set_options_late(bool no_delay) noexcept
{
    if (no_delay)
        channel_->set_no_delay_late();
    keepalive_is_late_ = times_.limits().dead_peer > deadlines::duration::zero();
    if (keepalive_is_late_)
        peer_watch_.start_anyway();
}

DUET_DECL void connection::set_late_options() noexcept
{
    if (life_.released())
        return;
    channel_->set_no_delay_now();
    set_late_keepalive();
}

inline void connection::set_late_keepalive() noexcept
{
    if (std::exchange(keepalive_is_late_, false))
        channel_->set_dead_peer_timeout(times_.limits().dead_peer);
}

/// Bytes are under way to the peer, or its keepalive is still to be set: see peer_watch.
inline void connection::watch_peer() noexcept
{
    auto const limit = times_.limits().dead_peer;
    if (limit <= limit.zero() || !channel_->able().has_info)
        return;
    times_.watch_peer_at = peer_watch_.begin(limit, clock().coarse_now());
    arm(times_.watch_peer_at);
}

/// Bytes were sent while a read is pending, which has begun before and does not see to the watch.
inline void connection::see_to_watch() noexcept
{
    if (peer_watch_.wanted(sender_.sent()))
        watch_peer();
}

inline void connection::look_at_peer(time_point now)
{
    times_.watch_peer_at = deadline_table::never;
    if (life_.released())
        return;
    auto const limit = times_.limits().dead_peer;
    set_late_keepalive();
    error_code error;
    if (limit <= limit.zero() || channel_->unacknowledged() == 0)
        return peer_watch_.all_acknowledged(sender_.sent());
    auto const info = channel_->info(error);
    if (error)
        return peer_watch_.end();
    auto const seen = peer_watch_.look(info, limit, now);
    if (!seen.dead)
    {
        times_.watch_peer_at = seen.look_again;
        return;
    }
    fail(direction::both, errc::dead_peer, errc::dead_peer);
    execute(life_.apply(lifecycle_event::peer_vanished));
}

// ---- What has expired -----------------------------------------------------------------------------------------------

/// The deadlines of the message that a read waits for.
inline void connection::check_reading_deadlines(time_point now)
{
    if (!receiver_.busy() || life_.released())
        return;
    bool const finishes = now >= times_.finish_by && must_finish();
    bool const expired = times_.next_message_expired(now);
    if (!finishes && !expired)
        return;
    times_.read_begins(true, now);
    if (!channel_->has_input())
        interrupt_read(finishes ? errc::draining : errc::next_message_timed_out);
    else if (finishes)
        times_.finish_by = now + std::chrono::milliseconds{10};  // the read is about to get it
}

inline void connection::check_session_deadlines(time_point now)
{
    if (life_.released())
        return;
    auto const waiting = pending();
    if (waiting.read && times_.first_message_expired(now))
        return expire(errc::first_message_timed_out);
    if (waiting.read && times_.message_expired(now))
        return expire(errc::message_timed_out);
    if (!waiting.any() || !times_.quiet(life_, now))
        return;
    look_for_progress(now);
    auto const code = times_.quiet(life_, now);
    if (!code)
        return;
    if (auto quiet = waiters_.take(awaited::quiet))
        return quiet(code, 0);
    expire(code);
}

inline void connection::check_close_deadlines(time_point now)
{
    if (life_.released() || !times_.close_look_due(life_, now))
        return;
    look_for_progress(now);
    switch (times_.verdict_on_close(life_, now))
    {
    case deadline_table::close_verdict::wait:
        break;
    case deadline_table::close_verdict::give_up:
        fail(direction::both, errc::close_timed_out, errc::close_timed_out);
        execute(life_.apply(lifecycle_event::close_gave_up, close_reason::timed_out));
        break;
    case deadline_table::close_verdict::leave:
        leave_to_kernel();
        break;
    }
}

inline void connection::expire(error_code code)
{
    fail(direction::both, code, code);
    execute(life_.apply(lifecycle_event::deadline_passed));
}

DUET_DECL void connection::start_when_quiet(any_completion&& done)
{
    if (life_.released() || !wait_for(awaited::quiet, done))
        complete(std::move(done), error_, 0);
}

DUET_DECL connection::time_point connection::last_activity() noexcept
{
    if (!life_.released())
        look_for_progress(clock().now());
    return times_.last_activity();
}

DUET_DECL void connection::join_activity(time_point other)
{
    times_.join_activity(other);
    check_session_deadlines(clock().now());
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
