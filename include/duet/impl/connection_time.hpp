// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_CONNECTION_TIME_HPP
#define DUET_IMPL_CONNECTION_TIME_HPP

// Deadlines. Each is a stored time point, or follows from the last activity. One timer wakes at the earliest that was
// known when it was armed; if nothing is due by then, because there was progress, it is armed again. So an operation
// that meets its deadline, which is nearly every one, costs no timer at all.

#include <algorithm>

#include <duet/detail/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

template <class Stream>
void connection<Stream>::note_activity() noexcept
{
    if (timer_at_ != time_point::max() || limits_.idle > limits_.idle.zero())
        last_activity_ = std::max(last_activity_, coarse_clock::now());
}

template <class Stream>
void connection<Stream>::entered_half_closed() noexcept
{
    if (!life_.half_closed())
        return;
    half_closed_since_ = looked_at_ = std::chrono::steady_clock::now();
    arm(earliest());
}

/// The peer's FIN was read, and who was told has had its say. Most say FIN too, at once: then the half-closed deadline
/// is not worth its two system calls.
template <class Stream>
void connection<Stream>::after_peer_finished() noexcept
{
    peer_just_finished_ = false;
    if (!life_.half_closed())
        return;
    unacknowledged_ = transport_.unacknowledged();
    entered_half_closed();
}

template <class Stream>
void connection<Stream>::first_message_received() noexcept
{
    first_message_met_ = true;
    first_message_by_ = time_point::max();
}

template <class Stream>
void connection<Stream>::set_deadlines(deadlines const& values) noexcept
{
    if (values.dead_peer != limits_.dead_peer && !life_.released())
        transport_.set_dead_peer_timeout(values.dead_peer);
    if (values.first_message != limits_.first_message && !first_message_met_)
        first_message_by_ = coarse_clock::after(std::chrono::steady_clock::now(), values.first_message);
    limits_ = values;
    last_activity_ = std::chrono::steady_clock::now();
    if (!life_.released())
        arm(earliest());
}

/// The earliest deadline that could pass, as things stand.
template <class Stream>
typename connection<Stream>::time_point connection<Stream>::earliest() const noexcept
{
    auto result = std::min({read_by_, write_by_, poll_at_});
    if (life_.closing())
        return std::min({result, coarse_clock::after(std::max(close_since_, last_activity_), limits_.close),
            coarse_clock::after(close_since_, limits_.close_total),
            coarse_clock::after(looked_at_, limits_.close / 8)});
    result = std::min({result, first_message_by_, coarse_clock::after(last_activity_, limits_.idle)});
    if (life_.half_closed())
        result =
            std::min(result, coarse_clock::after(std::max(half_closed_since_, last_activity_), limits_.half_closed));
    return result;
}

template <class Stream>
void connection<Stream>::arm(time_point when) noexcept
{
    if (when >= timer_at_ || life_.released())
        return;
    timer_at_ = when;
    // A wait under way comes back cancelled, and begins again.
    if (!attempt([&] { timer_.expires_at(when); }))
        return out_of_memory();
    if (!timing_)
        issue_wait();
}

template <class Stream>
void connection<Stream>::issue_wait() noexcept
{
    auto const wait = [this]
    {
        timer_.async_wait(bind(
            [](connection& self, error_code error)
            {
                self.timing_ = false;
                if (error != boost::asio::error::operation_aborted)
                    self.on_timer();
                else if (self.timer_at_ != time_point::max() && !self.life_.released())
                    self.issue_wait();
            },
            timer_memory_));
    };
    timing_ = attempt(wait);
    if (timing_)
        return;
    timer_at_ = time_point::max();
    out_of_memory();
}

template <class Stream>
void connection<Stream>::on_timer()
{
    ref const keep{this};
    timer_at_ = time_point::max();
    if (life_.released())
        return;
    auto const now = std::chrono::steady_clock::now();
    if (now >= read_by_)
    {
        read_by_ = time_point::max();
        interrupt_read(errc::read_timed_out);
    }
    if (now >= write_by_ && !writes_.empty())
    {
        write_by_ = time_point::max();
        end_write(writes_.begin(), errc::write_timed_out);
    }
    if (now >= poll_at_)
    {
        poll_at_ = time_point::max();
        if (life_.closing() && life_.receive() == receive_state::ended && life_.send() == send_state::finished)
            check_delivery();
        if (is_awaited(awaited::delivery) && !life_.released())
        {
            if (error_ || life_.poisoned())
                complete_all(awaited::delivery, error_ ? error_ : error_code{errc::send_poisoned});
            else if (transport_.has_failed())
            {
                auto const failure = transport_.take_failure();
                complete_all(
                    awaited::delivery, fail_send(failure ? failure : error_code{boost::asio::error::connection_reset}));
            }
            else if (writes_.empty() && transport_.unacknowledged() == 0)
                complete_all(awaited::delivery, {});
            else
                look_again_soon();
        }
        if constexpr (!tells_hang_up<traits>())
        {
            if (is_awaited(awaited::peer_gone) && !gone_cancelled_ && !life_.released())
            {
                if (transport_.has_hung_up())
                    on_hang_up({});
                else
                    look_again_soon();
            }
        }
    }
    if (life_.closing())
        check_close_deadlines(now);
    else
        check_session_deadlines(now);
    arm(earliest());
}

template <class Stream>
void connection<Stream>::check_session_deadlines(time_point now)
{
    if (now >= first_message_by_)
        return expire(errc::first_message_timed_out);
    bool const half_closed_for_too_long =
        life_.half_closed() &&
        now >= coarse_clock::after(std::max(half_closed_since_, last_activity_), limits_.half_closed);
    bool const idle_for_too_long = now >= coarse_clock::after(last_activity_, limits_.idle);
    if ((!half_closed_for_too_long && !idle_for_too_long) || is_draining(now))
        return;
    auto const code = half_closed_for_too_long ? errc::half_closed_timed_out : errc::idle_timed_out;
    if (auto quiet = take_waiter(awaited::quiet))
        return quiet(code, 0);
    expire(code);
}

template <class Stream>
void connection<Stream>::start_when_quiet(any_completion&& done)
{
    if (life_.released() || !wait_for(awaited::quiet, done))
        complete(std::move(done), error_, 0);
}

template <class Stream>
typename connection<Stream>::time_point connection<Stream>::last_activity() noexcept
{
    if (!life_.released())
        is_draining(std::chrono::steady_clock::now());
    return last_activity_;
}

template <class Stream>
void connection<Stream>::join_activity(time_point other)
{
    // It is not one that was written here since the last look, and still has its time.
    bool const written = looked_at_ < last_activity_;
    last_activity_ = std::max(last_activity_, other);
    if (!written)
        looked_at_ = std::max(looked_at_, last_activity_);
    check_session_deadlines(std::chrono::steady_clock::now());
}

/// Bytes that left the kernel's buffer since the last look are progress too, though no call of ours told it: the last
/// bytes and the FIN may wait there for a slow reader. It is looked at only when a deadline is due.
template <class Stream>
bool connection<Stream>::is_draining(time_point now) noexcept
{
    auto const left = transport_.unacknowledged();
    auto const before = std::exchange(unacknowledged_, left);
    // Bytes that were written since the last look have no figure to compare with: they get their time.
    bool const newer = looked_at_ < last_activity_;
    if (left >= before && !(newer && left > 0))
        return false;
    last_activity_ = looked_at_ = now;
    return true;
}

template <class Stream>
void connection<Stream>::check_close_deadlines(time_point now)
{
    if (life_.released())
        return;
    // Looked at in eighths of the deadline, so that progress stretches it by what it is and no more.
    auto const left = transport_.unacknowledged();
    if (std::exchange(unacknowledged_, left) > left)
        last_activity_ = now;
    looked_at_ = now;
    if (now < coarse_clock::after(close_since_, limits_.close_total) &&
        now < coarse_clock::after(std::max(close_since_, last_activity_), limits_.close))
        return;
    latch(errc::close_timed_out);
    execute(life_.apply(lifecycle_event::close_gave_up, close_reason::timed_out));
}

template <class Stream>
void connection<Stream>::expire(errc code)
{
    latch(code);
    execute(life_.apply(lifecycle_event::deadline_passed));
}

template <class Stream>
void connection<Stream>::look_again_soon() noexcept
{
    using std::chrono::milliseconds;
    // No event tells that the last byte was acknowledged, nor everywhere that the peer is gone. So it is asked for: at
    // once, and then ever more rarely.
    poll_delay_ = std::clamp<coarse_clock::duration>(poll_delay_ * 2, milliseconds{1}, milliseconds{50});
    poll_at_ = std::chrono::steady_clock::now() + poll_delay_;
    arm(poll_at_);
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
