// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_WRITE_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_WRITE_IPP

// The send side: the queue of writes, and the FIN behind it.

#include <boost/asio/error.hpp>

#include <utility>

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline error_code connection::refuse_write() const noexcept
{
    if (life_.send() == send_state::open && !life_.released())
        return {};
    if (error_)
        return error_;
    if (life_.closing() || life_.released())
        return errc::closed;
    return life_.poisoned() ? errc::send_poisoned : errc::send_finished;
}

/// Bytes were sent. If the program does not read meanwhile, they answer what it has read.
[[gnu::always_inline]] inline void connection::answered() noexcept
{
    note_activity_if_awaited();
    if (receiver_.busy())
        return see_to_watch();
    if (!receiver_.in_message())
        return;
    times_.first_message_received();
    end_message();
}

/// Write until the request is finished. would_block: the channel accepts no more bytes.
inline error_code connection::push(write_request& request)
{
    auto const before = sender_.sent();
    auto const error = sender_.push(*channel_, request);
    if (sender_.sent() != before)
        answered();
    return error;
}

DUET_DECL std::optional<io_result> connection::write_at_once(write_request& request) noexcept
{
    if (auto const refused = refuse_write())
        return io_result{refused, 0};
    if (!sender_.empty())
        return {};
    // Try at once: most writes fit into the socket's buffer, and then need neither a wait nor memory.
    auto const error = push(request);
    if (!error)
        return io_result{{}, request.sent()};
    if (error == boost::asio::error::would_block || tell_failure_later(error))
        return {};
    return io_result{fail_send(error), request.sent()};
}

DUET_DECL void connection::start_write(write_request&& request, any_completion&& done, deadlines::duration limit)
{
    bool const is_first = sender_.empty();
    if (auto const how = sender_.policy_for(request, terms_->queue_limit, terms_->when_queue_full);
        how != full_queue::wait)
        return complete(std::move(done), refuse_full(how), 0);
    auto const queue = [&]
    {
        request.own();
        request.id = ++last_id_;
        request.by = deadline_of(limit);
        done.on_cancel([this, id = last_id_](auto type) { cancel_write(id, type); });
        sender_.push_back(std::move(request));
    };
    if (!attempt(queue))
    {
        out_of_memory();
        return complete(std::move(done), error_, request.sent());
    }
    sender_.back().done = std::move(done);
    if (sender_.back().by < times_.call_by)
        arm(times_.call_by = sender_.back().by);
    if (is_first)
        wait_writable(true);
}

/// The queue has no room for one more write.
inline error_code connection::refuse_full(full_queue how) noexcept
{
    if (how == full_queue::abort)
    {
        fail(direction::send, errc::queue_full, errc::queue_full);
        abort();
    }
    return errc::queue_full;
}

/// The first write waits for the channel. `anew`: it has not waited before, or bytes were sent meanwhile. Otherwise its
/// deadlines count on.
inline void connection::wait_writable(bool anew)
{
    if (anew)
        wait_begins();
    if (anew && times_.limits().write > deadlines::duration::zero())
    {
        if (!channel_->able().has_info)
            look_for_progress(clock().now());  // a number to compare with later
        times_.write_waits(clock().now());
        arm_all();
    }
    if (!sender_.waiting && !life_.released())
        issue_wait_writable();
}

inline void connection::issue_wait_writable()
{
    sender_.waiting = attempt([this] { channel_->wait_writable(); });
    if (!sender_.waiting)
        out_of_memory();
}

DUET_DECL void connection::on_writable(error_code error)
{
    sender_.waiting = false;
    if (life_.released() || sender_.empty())
        return;
    if (error && error != boost::asio::error::operation_aborted)
    {
        fail_send(error);
        return;
    }
    pump_writes();
}

/// EPIPE does not tell why the connection is broken: another call has met the reason. If that is the pending read,
/// which is about to report it, let the read go first.
inline bool connection::tell_failure_later(error_code const& error) noexcept
{
    return error == boost::asio::error::broken_pipe && receiver_.busy() && !error_ && !failure_deferred_;
}

inline void connection::pump_writes()
{
    bool progress = false;
    while (!sender_.empty())
    {
        auto const before = sender_.sent();
        auto const error = push(sender_.front());
        sender_.accepted(sender_.sent() - before);
        progress = progress || sender_.sent() > before || !error;  // the next write has not waited before
        if (error == boost::asio::error::would_block)
            return wait_writable(progress);
        if (error)
        {
            if (tell_failure_later(error) && attempt([this] { channel_->turn(); }))
                failure_due_ = failure_deferred_ = true;
            else
                fail_send(error);
            return;
        }
        auto written = sender_.pop_front();
        post(std::move(written.done), {}, written.sent());
    }
    writes_flushed();
}

/// The queue of writes is empty: a FIN that waited behind it may be sent.
inline void connection::writes_flushed()
{
    times_.no_write_waits();
    execute(life_.apply(lifecycle_event::writes_flushed));
    if (waiters_.has(awaited::delivery))
        look_again_soon();
}

inline void connection::cancel_write(std::uint64_t id, boost::asio::cancellation_type_t type) noexcept
{
    auto const request = sender_.find(id);
    if (request != sender_.end() && heeds(type, request->sent()))
        end_write(request, boost::asio::error::operation_aborted);
}

/// End one write with `cause`. If some of its bytes were sent and some were not, the send side is poisoned, because the
/// peer could not tell where the next message begins. The send side is also poisoned if a FIN waits behind the write,
/// because that FIN would hide that a message is missing, and if nobody would be told that it was lost.
inline void connection::end_write(write_queue::iterator request, error_code cause)
{
    ref const keep{this};
    bool const poisons =
        request->part_way() || request->lost_unseen() || (life_.send() == send_state::finishing && request->left() > 0);
    bool const was_first = sender_.is_first(request);
    auto const actions = poisons ? life_.apply(lifecycle_event::write_cut) : lifecycle_action::none;
    auto ended = sender_.take(request);
    post(std::move(ended.done), cause, ended.sent());
    if (poisons)
        execute(actions);
    else if (sender_.empty())
        writes_flushed();
    else if (was_first)
    {
        times_.no_write_waits();  // the next write has the whole of its time
        wait_writable(true);
    }
}

inline void connection::fail_writes(error_code cause)
{
    times_.no_write_waits();
    for (auto requests = sender_.take_all(); auto& request : requests)
        post(std::move(request.done), cause, request.sent());
}

DUET_DECL void connection::start_shutdown_send(any_completion&& done, deadlines::duration limit)
{
    if (!channel_->able().half_close)
        return complete(std::move(done), boost::asio::error::operation_not_supported, 0);
    // If the peer is gone, shutdown_send() succeeds: a read or a write reports the reset. But it fails after a write
    // that was cut part-way, because a FIN would make the incomplete message look complete.
    if (life_.poisoned())
        return complete(std::move(done), errc::send_poisoned, 0);
    if (life_.released() && life_.send() != send_state::finished && error() != condition::reset &&
        error() != condition::dead_peer)
        return complete(std::move(done), error_, 0);
    if (life_.send() == send_state::open)
        history_.finished(ended_by::program, phase());
    execute(life_.apply(lifecycle_event::finish_requested));
    if (sender_.empty())
        execute(life_.apply(lifecycle_event::writes_flushed));
    if (life_.send() != send_state::finishing)
        return complete(std::move(done), {}, 0);
    if (!wait_for(awaited::fin, done, limit))
        complete(std::move(done), error_, 0);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
