// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_TIME_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_TIME_IPP

// What happens when a deadline passes. deadline_table.hpp decides when it passes.

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

inline void connection::note_activity() noexcept
{
    if (wakeup_.at() != wakeup::never || times_.limits().idle > deadlines::duration::zero())
        times_.note_activity(clock_.coarse_now());
}

inline void connection::entered_half_closed() noexcept
{
    if (!life_.half_closed())
        return;
    times_.half_closed(clock_.now());
    arm(times_.earliest(life_));
}

inline void connection::arm(time_point when) noexcept
{
    if (when < wakeup_.at() && !life_.released() && !wakeup_.set(when))
        out_of_memory();
}

DUET_DECL void connection::set_deadlines(deadlines const& values) noexcept
{
    bool const other_peer_timeout = values.dead_peer != times_.limits().dead_peer;
    times_.set(values, clock_.now());
    if (life_.released())
        return;
    if (other_peer_timeout)
        channel_->set_dead_peer_timeout(values.dead_peer);
    arm(times_.earliest(life_));
}

DUET_DECL void connection::on_wakeup()
{
    ref const keep{this};
    if (life_.released())
        return;
    auto const now = clock_.now();
    if (now >= times_.read_by)
    {
        times_.read_by = deadline_table::never;
        interrupt_read(errc::read_timed_out);
    }
    if (now >= times_.write_by && !sender_.empty())
    {
        times_.write_by = deadline_table::never;
        end_write(sender_.first(), errc::write_timed_out);
    }
    if (times_.take_poll(now))
        poll();
    if (!life_.closing())
        check_session_deadlines(now);
    else if (!life_.released() && times_.close_expired(channel_->unacknowledged(), now))
    {
        latch(errc::close_timed_out);
        execute(life_.apply(lifecycle_event::close_gave_up, close_reason::timed_out));
    }
    arm(times_.earliest(life_));
}

/// Check for what no event reports: that the last byte was acknowledged and, on some systems, that the peer is gone.
inline void connection::poll()
{
    if (life_.closing() && life_.receive() == receive_state::ended && life_.send() == send_state::finished)
        check_delivery();
    look_for_delivery();
    if (channel_->able().tells_hang_up || !waiters_.has(awaited::peer_gone) || gone_cancelled_ || life_.released())
        return;
    if (channel_->has_hung_up())
        look_for_hang_up();
    else
        look_again_soon();
}

inline void connection::look_again_soon() noexcept
{
    arm(times_.look_again(clock_.now()));
}

inline void connection::check_session_deadlines(time_point now)
{
    if (times_.first_message_expired(now))
        return expire(errc::first_message_timed_out);
    auto const code = times_.quiet(life_, now);
    if (!code || times_.acknowledged(channel_->unacknowledged(), now))
        return;
    if (auto quiet = waiters_.take(awaited::quiet))
        return quiet(code, 0);
    expire(code);
}

inline void connection::expire(error_code code)
{
    latch(code);
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
        times_.acknowledged(channel_->unacknowledged(), clock_.now());
    return times_.last_activity();
}

DUET_DECL void connection::join_activity(time_point other)
{
    times_.join_activity(other);
    check_session_deadlines(clock_.now());
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
