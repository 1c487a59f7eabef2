// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_CLOSE_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_CLOSE_IPP

// The end of a connection: FIN, discarding input, waiting for the acknowledgement, reset, and watching for a hang-up.

#include <boost/asio/error.hpp>

#include <utility>

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What the connection is about at present.
inline end_phase connection::phase() const noexcept
{
    if (life_.closing())
        return end_phase::closing;
    if (life_.half_closed())
        return end_phase::half_closed;
    if (!sender_.empty())
        return end_phase::answering;
    if (receiver_.in_message())
        return end_phase::in_message;
    return receiver_.received() == 0 ? end_phase::before_message : end_phase::between_messages;
}

inline void connection::latch(error_code error) noexcept
{
    if (!error_)
        error_ = error;
}

/// Carry out the actions that the lifecycle requests.
inline void connection::execute(lifecycle_action actions)
{
    using action = lifecycle_action;
    if (actions == action::none)
        return;
    ref const keep{this};
    bool const ends = contains(actions, action::reset) || contains(actions, action::release);
    if (contains(actions, action::send_fin))
    {
        // not_connected means that the peer is gone. A read, a write or check_delivery() will report that.
        error_code refused;
        // check_delivery() asks itself. A channel with info() needs no earlier number to compare with.
        if (!contains(actions, action::await_delivery) && !channel_->able().has_info)
            times_.set_unacknowledged(channel_->unacknowledged());  // before the FIN is counted
        channel_->shutdown_send(refused);
        peer_watch_.fin_sent();
        closer_.fin_refused = refused.failed();
        entered_half_closed();
        complete_all(awaited::fin, {});
    }
    if (ends)
        latch(life_.reason() == close_reason::aborted ? errc::aborted : errc::closed);
    if (contains(actions, action::fail_writes))
    {
        auto const cause = error_ ? error_ : error_code{life_.poisoned() ? errc::send_poisoned : errc::closed};
        fail_writes(cause);
        // If the peer is gone, no FIN can reach it, and shutdown_send() succeeds.
        if (waiters_.has(awaited::fin))
            complete_all(
                awaited::fin, cause == condition::reset || cause == condition::dead_peer ? error_code{} : cause);
    }
    if (contains(actions, action::fail_reads) && !ends)
        interrupt_read(error_ ? error_ : error_code{errc::closed});
    if (ends)
        return release(contains(actions, action::reset));
    if (contains(actions, action::discard_input))
        discard_input();
    if (contains(actions, action::await_delivery))
    {
        times_.restart_polling();
        check_delivery();
    }
}

inline void connection::release(bool reset)
{
    receiver_.interrupt(error_);
    times_.set_unacknowledged(life_.reason() == close_reason::clean ? 0 : channel_->unacknowledged());
    if (reset)
        channel_->reset();
    else
        channel_->close();
    on_released();
    wakeup_.cancel();
    if (waiters_.empty())
        return;
    complete_all(awaited::fin, error_);
    complete_all(awaited::delivery, life_.reason() == close_reason::clean ? error_code{} : error_);
    complete_all(awaited::close, {});
    complete_all(awaited::finish, error_);
    // The last: that of a relay does nothing more, and is not worth a turn of its own.
    for (auto quiet = waiters_.take_all(awaited::quiet); auto& each : quiet)
        complete(std::move(each.done), error_, 0);
}

/// An error was met, and from now on operations report `lasting`.
inline void connection::fail(direction where, error_code met, error_code lasting) noexcept
{
    history_.failed(where, met, phase());
    latch(lasting);
}

/// The program ends the connection without close(), by this operation.
inline void connection::ends_here(char const* operation) noexcept
{
    if (life_.released())
        return;
    if (observed_)
        tell_result(tell_operation(operation, 0), {}, 0);
    history_.breaks(phase());
}

/// The last session object was destroyed. If writes are pending, reset: a plain close would send FIN, which would hide
/// that a write is missing.
DUET_DECL void connection::drop() noexcept
{
    ends_here("~session");
    auto cut = lifecycle_action::none;
    if (!sender_.empty())
        cut = life_.apply(lifecycle_event::write_cut);
    execute(cut | life_.apply(lifecycle_event::dropped));
}

DUET_DECL void connection::abort() noexcept
{
    ends_here("abort");
    execute(life_.apply(lifecycle_event::abort_requested));
}

DUET_DECL std::optional<io_result> connection::close_at_once()
{
    ref const keep{this};
    if (!life_.closing() && !life_.released())
        begin_close();
    return life_.released() ? std::optional{io_result{}} : std::nullopt;
}

DUET_DECL void connection::start_close(any_completion&& done, deadlines::duration limit)
{
    if (!wait_for(awaited::close, done, limit))
        complete(std::move(done), {}, 0);
}

inline void connection::begin_close()
{
    if (!channel_->made_here())
        return drop();  // FIN and discarding would take the connection from the parent process
    times_.closing(clock().now());
    if (receiver_.finish_requested())
        times_.hurry_close(clock().now());
    bool const asked_later = sender_.empty() && life_.send() != send_state::finished;  // when the FIN is sent
    if (!asked_later && !channel_->able().has_info)
        times_.set_unacknowledged(channel_->unacknowledged());
    if (life_.send() == send_state::open)
        history_.finished(ended_by::program, phase());
    execute(life_.apply(lifecycle_event::close_requested));
    if (life_.released())
        return;
    if (sender_.empty())
        execute(life_.apply(lifecycle_event::writes_flushed));
    if (life_.released())
        return;
    if (peer_watch_.wanted(sender_.sent()))
        watch_peer();
    arm_all();
}

/// close() has waited long enough. What the kernel has, it delivers without us, FIN included; nothing is reset.
inline void connection::leave_to_kernel()
{
    fail(direction::both, errc::close_timed_out, errc::close_timed_out);
    channel_->set_dead_peer_timeout({});  // the kernel gives up by its own rules
    execute(life_.apply(lifecycle_event::close_left));
}

// ---- Discarding -----------------------------------------------------------------------------------------------------

/// Read and discard input until the peer's FIN. A close with unread input sends RST, which destroys the bytes that we
/// sent and the peer has not yet read (RFC 1122 4.2.2.13, RFC 2525 2.17). A FIN sent before does not prevent that.
inline void connection::discard_input()
{
    if (receiver_.busy() || closer_.discarding || life_.released() || life_.receive() != receive_state::open)
        return;
    error_code error;
    auto const size = channel_->discard(closer_.wanted(terms_->close_discard_limit), error);
    if (size > 0)
        times_.input_discarded(clock().coarse_now());
    if (!closer_.discard(size, terms_->close_discard_limit))
    {
        history_.breaks(phase());
        return execute(life_.apply(lifecycle_event::close_gave_up, close_reason::discard_limit));
    }
    if (!error && size == 0)
    {
        // If the reset was already reported elsewhere, a read returns 0, as for the peer's FIN.
        if (error_)
            fail_receive(error_);
        else
        {
            history_.finished(ended_by::peer, phase());
            execute(life_.apply(lifecycle_event::peer_finished));
        }
        return;
    }
    if (error && error != boost::asio::error::would_block && error != boost::asio::error::try_again)
    {
        fail_receive(error);
        return;
    }
    closer_.discarding = attempt([this] { channel_->wait_readable(channel::wake::likely); });
    if (!closer_.discarding)
        out_of_memory();
}

inline void connection::on_discardable(error_code error)
{
    if (!std::exchange(closer_.discarding, false))
        return;
    if (error && error != boost::asio::error::operation_aborted && !life_.released())
    {
        fail_receive(error);
        return;
    }
    discard_input();
}

// ---- Delivery -------------------------------------------------------------------------------------------------------

/// Both FINs were sent. The end is clean when the peer's TCP has acknowledged ours.
inline void connection::check_delivery()
{
    auto const left = channel_->unacknowledged();
    // A reset before the acknowledgement of the FIN would leave the FIN in the count. So at 0 there was none, and
    // has_failed() need not be asked.
    if (left == 0 && channel_->able().counts_fin && !closer_.fin_refused)
        return execute(life_.apply(lifecycle_event::all_acknowledged));
    if (channel_->has_failed())
    {
        // A reset after the peer's FIN: no read would report it any more.
        fail_receive(failure_of_channel());
        return;
    }
    if (left == 0)
        return execute(life_.apply(lifecycle_event::all_acknowledged));
    if (left < times_.unacknowledged())
        note_activity();
    times_.set_unacknowledged(left);
    look_again_soon();
}

inline error_code connection::failure_of_channel() noexcept
{
    auto const failure = channel_->take_failure();
    return failure ? failure : error_code{boost::asio::error::connection_reset};
}

DUET_DECL void connection::start_delivered(any_completion&& done, deadlines::duration limit)
{
    if (error_)
        return complete(std::move(done), life_.reason() == close_reason::clean ? error_code{} : error_, 0);
    if (life_.poisoned())
        return complete(std::move(done), errc::send_poisoned, 0);
    if (sender_.empty() && !channel_->has_failed() && channel_->unacknowledged() == 0)
        return complete(std::move(done), {}, 0);
    if (!wait_for(awaited::delivery, done, limit))
        return complete(std::move(done), error_, 0);
    wait_begins();
    times_.restart_polling();
    look_again_soon();
}

/// Complete delivered() if everything was acknowledged, or if that cannot happen any more.
inline void connection::look_for_delivery()
{
    if (!waiters_.has(awaited::delivery) || life_.released())
        return;
    if (error_ || life_.poisoned())
        complete_all(awaited::delivery, error_ ? error_ : error_code{errc::send_poisoned});
    else if (channel_->has_failed())
        complete_all(awaited::delivery, fail_send(failure_of_channel()));
    else if (sender_.empty() && channel_->unacknowledged() == 0)
        complete_all(awaited::delivery, {});
    else
        look_again_soon();
}

// ---- The hang-up ----------------------------------------------------------------------------------------------------

DUET_DECL void connection::start_wait_peer_gone(any_completion&& done, deadlines::duration limit)
{
    if (waiters_.has(awaited::peer_gone))
        return complete(std::move(done), errc::wait_in_progress, 0);
    if (life_.released() || error_)
        return complete(std::move(done), {}, 0);
    if (!wait_for(awaited::peer_gone, done, limit))
        return complete(std::move(done), boost::asio::error::no_memory, 0);
    wait_begins();
    if (life_.released())  // there was no memory for the timer
        return complete(waiters_.take(awaited::peer_gone), {}, 0);
    issue_wait_gone();
}

inline void connection::issue_wait_gone()
{
    if (attempt([this] { channel_->wait_gone(); }))
    {
        if (!channel_->able().tells_hang_up)
        {
            times_.restart_polling();
            look_again_soon();
        }
        return;
    }
    ref const keep{this};
    out_of_memory();
    complete(waiters_.take(awaited::peer_gone), {}, 0);
}

DUET_DECL void connection::on_gone(error_code)
{
    look_for_hang_up();
}

/// Complete wait_peer_gone() if the peer is gone.
inline void connection::look_for_hang_up()
{
    auto const* const waiting = waiters_.cause(awaited::peer_gone);
    if (!waiting)
        return;
    error_code const cause = *waiting;
    if (!life_.released() && !cause)
    {
        if (!channel_->has_hung_up())
            return issue_wait_gone();  // woken by urgent data, or by the cancellation of another operation
        if (channel_->has_failed())
            fail_send(failure_of_channel());
        else if (receiver_.busy())
        {
            // Either both sides have sent FIN, or the pending read has met the failure and is about to report it. Let
            // the read go first.
            hang_up_due_ = attempt([this] { channel_->turn(); });
            if (hang_up_due_)
                return;
            out_of_memory();
        }
    }
    auto done = waiters_.take(awaited::peer_gone);
    done(cause, 0);
}

inline void connection::cancel_wait_gone(error_code cause) noexcept
{
    auto* const kept = waiters_.cause(awaited::peer_gone);
    if (!kept || *kept)
        return;
    *kept = cause;
    channel_->cancel_gone();
}

// ---- The report -----------------------------------------------------------------------------------------------------

DUET_DECL close_report connection::report() const noexcept
{
    close_report result;
    result.reason = life_.reason() == close_reason::clean && closer_.discarded() > 0 ? close_reason::discarded_input
                                                                                     : life_.reason();
    if (!result.clean())
        result.error = error_;
    result.receive = life_.receive();
    result.send = life_.send();
    result.bytes_received = receiver_.received();
    result.bytes_sent = sender_.sent();
    result.bytes_discarded = closer_.discarded();
    result.bytes_unacknowledged = times_.unacknowledged();
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
