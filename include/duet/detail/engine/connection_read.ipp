// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CONNECTION_READ_IPP
#define DUET_DETAIL_ENGINE_CONNECTION_READ_IPP

// The receive side: one read at a time, and what ends it.

#include <boost/asio/error.hpp>

#include <algorithm>
#include <memory>
#include <utility>

#include <duet/detail/engine/connection.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline error_code connection::refuse_read(read_kind kind, boost::asio::mutable_buffer buffer) const noexcept
{
    if (receiver_.busy())
        return errc::read_in_progress;
    if (life_.released() || life_.closing())
        return error_ ? error_ : error_code{errc::closed};
    if (life_.receive() == receive_state::failed)
        return error_;
    // An empty buffer is refused: a read into it would complete with 0, which means FIN.
    if (!waits_only(kind) && buffer.size() == 0)
        return boost::asio::error::invalid_argument;
    if (life_.receive() == receive_state::ended && !waits_only(kind))
        return error_ ? error_ : error_code{boost::asio::error::eof};
    return {};
}

DUET_DECL std::optional<io_result> connection::read_at_once(read_kind kind, boost::asio::mutable_buffer buffer) noexcept
{
    if (kind == read_kind::nothing)
        return io_result{};
    if (auto const refused = refuse_read(kind, buffer))
        return io_result{refused, 0};
    if (kind == read_kind::some)
        return try_read(buffer);
    if (reads_whole(kind))
        return {};
    if (kind == read_kind::message)
        end_message();
    if (life_.receive() == receive_state::ended)
        return io_result{};
    return channel_->may_read() && channel_->readable_now() ? std::optional{io_result{}} : std::nullopt;
}

/// Bytes have arrived, and so has the beginning of a message, unless there is one already.
inline void connection::count_received(std::size_t size) noexcept
{
    if (!receiver_.in_message())
        message_begun();
    receiver_.count(size);
}

DUET_DECL void connection::message_begun() noexcept
{
    if (!receiver_.in_message() && times_.limits().message > deadlines::duration::zero())
    {
        times_.message_begins(clock().coarse_now());
        set_for_reads_ = false;
    }
    receiver_.message_begun();
}

DUET_DECL void connection::message_received() noexcept
{
    times_.first_message_received();
    end_message();
}

DUET_DECL void connection::header_received() noexcept
{
    end_message();
}

/// The message that has arrived is complete, as far as this side can tell.
inline void connection::end_message() noexcept
{
    receiver_.message_ended();
    times_.message_ended();
}

/// True if the session was asked to finish, and the pending read has nothing that would be lost.
inline bool connection::must_finish() const noexcept
{
    return receiver_.finish_requested() && !receiver_.in_message();
}

/// Try a read. Returns its result; nullopt: it has to wait.
inline std::optional<io_result> connection::try_read(boost::asio::mutable_buffer buffer) noexcept
{
    if (!channel_->may_read())
        return {};
    error_code error;
    auto const size = channel_->read_some(buffer, error);
    return has_read(size, error);
}

[[gnu::always_inline]] inline std::optional<io_result> connection::has_read(
    std::size_t size, error_code const& error) noexcept
{
    if (size > 0)
    {
        count_received(size);
        note_activity_if_awaited();
        return io_result{{}, size};
    }
    if (error == boost::asio::error::would_block)
        return {};
    return io_result{end_of_input_at_once(error), 0};
}

DUET_DECL std::optional<io_result> connection::take_at_once(boost::asio::mutable_buffer buffer) noexcept
{
    if (auto const refused = refuse_read(read_kind::some, buffer))
        return io_result{refused, 0};
    error_code error;
    auto const size = channel_->take_some(buffer, error);
    return has_read(size, error);
}

/// The handler is called after this function returns, so what has to follow the handler waits for a turn.
inline error_code connection::end_of_input_at_once(error_code error) noexcept
{
    auto const told = end_of_input(error);
    if (peer_just_finished_ && !attempt([this] { channel_->turn(); }))
        after_peer_finished();
    return told;
}

DUET_DECL std::size_t connection::splice_at_once(splice_pipe& pipe) noexcept
{
    if (receiver_.busy() || life_.closing() || life_.released() || life_.receive() != receive_state::open)
        return 0;
    error_code error;
    auto const size = channel_->take_into(pipe, error);
    if (size > 0)
    {
        count_received(size);
        note_activity_if_awaited();
    }
    else if (error)
    {
        end_of_input(error);  // the system may report it only once, so keep it for the next read
        after_peer_finished();
    }
    return size;
}

DUET_DECL void connection::start_read(
    read_kind kind, boost::asio::mutable_buffer buffer, deadlines::duration limit, read_deadlines const* by)
{
    if (!attempt([&] { receiver_.handler().on_cancel([this](auto type) { cancel_read(type); }); }))
        return complete(std::move(receiver_.handler()), boost::asio::error::no_memory, 0);
    receiver_.begin(kind, buffer);
    auto const& limits = times_.limits();
    bool const waits_for_message = limits.next_message > deadlines::duration::zero();
    if (waits_for_message || (!by && std::max(limits.read, limit) > deadlines::duration::zero()))
    {
        // One reading of the clock for everything that is counted from here.
        auto const now = clock().now();
        times_.read_by = coarse_clock::after(now, limits.read);
        times_.read_call_by = coarse_clock::after(now, limit);
        times_.note_activity(now);
        if (waits_for_message)
            times_.read_begins(receiver_.in_message(), now);
    }
    else
        note_activity();
    if (by)
    {
        times_.read_by = by->session;
        times_.read_call_by = by->call;
    }
    wait_has_begun();
    if (waits_for_message || std::min(times_.read_by, times_.read_call_by) < wakeup_.at())
        arm_all();
    if (life_.released())  // there was no memory for the timer
    {
        receiver_.end();
        return complete(std::move(receiver_.handler()), error_, 0);
    }
    issue_read();
    if (must_finish())
        finish_soon();
}

DUET_DECL void connection::start_read_into(std::unique_ptr<read_buffers> buffers, deadlines::duration limit)
{
    auto const first = buffers->take();
    receiver_.continue_with(std::move(buffers));
    start_read(read_kind::several, first, limit, nullptr);
}

inline void connection::issue_read()
{
    auto const begin = [this]
    {
        if (receiver_.waits_only())
            channel_->wait_readable(
                receiver_.kind() == read_kind::input ? channel::wake::likely : channel::wake::certain);
        else
            channel_->read(receiver_.rest());
    };
    if (attempt(begin))
        return;
    ref const keep{this};
    receiver_.end();
    out_of_memory();
    complete(std::move(receiver_.handler()), error_, receiver_.size());
}

/// RAII: on leaving on_read(), also by an exception from the handler, act on the peer's FIN.
struct connection::leave_read
{
    ~leave_read()
    {
        if (self->peer_just_finished_)
            self->after_peer_finished();
    }

    ref self;
};

DUET_DECL void connection::on_read(error_code const& error, std::size_t size)
{
    if (!receiver_.busy())
        return on_discardable(error);
    receiver_.add(size);
    bool const complete = receiver_.is_complete();
    if (size > 0)
    {
        count_received(size);
        if (!complete || !sender_.empty() || !waiters_.empty())  // otherwise nothing waits any more
            note_activity();
        if (!complete)
            has_begun_to_read();
    }
    if (!error)
    {
        if (complete)
            return finish_read(receiver_.verdict());
        return receiver_.cause() ? finish_read(receiver_.cause()) : issue_read();
    }
    auto const cause = receiver_.cause();
    if (error == boost::asio::error::operation_aborted)
    {
        // A stream may be able to cancel only all of its operations at once. A read that was not meant to be cancelled
        // goes on. A cancelled read of a socket has transferred no bytes.
        if (!cause && !life_.released())
            return issue_read();
        // A drain must not end a read if input has arrived: it may have arrived after the wait was cancelled.
        if (cause == errc::draining && !life_.released() && channel_->has_input())
            return receiver_.waits_only() ? finish_read({}) : go_on_reading();
        return finish_read(cause ? cause : error_code{errc::closed});
    }
    bool const in_the_middle = receiver_.in_the_middle();
    auto const told = end_of_input(error);
    leave_read const leave{ref{this}};
    finish_read(told == boost::asio::error::eof && in_the_middle ? error_code{errc::truncated} : told);
}

/// Returns the error for a read that met the peer's FIN or a failure, and updates the lifecycle.
inline error_code connection::end_of_input(error_code error) noexcept
{
    if (error == boost::asio::error::eof && !error_)
    {
        history_.finished(ended_by::peer, phase());
        execute(life_.apply(lifecycle_event::peer_finished));
        peer_just_finished_ = true;
        return error;
    }
    // Linux reports a reset once; later reads return 0, as for the peer's FIN. So the first error counts.
    auto const told = error == boost::asio::error::eof ? error_ : error;
    receiver_.end();
    return fail_receive(told);
}

/// The peer's FIN was read, and the handler of that read has run. Most handlers send FIN at once; waiting for that
/// saves the two system calls of arming the half-closed deadline.
inline void connection::after_peer_finished() noexcept
{
    peer_just_finished_ = false;
    if (!life_.half_closed())
        return;
    if (!channel_->able().has_info)
        times_.set_unacknowledged(channel_->unacknowledged());
    entered_half_closed();
}

inline void connection::finish_read(error_code const& error)
{
    receiver_.end();
    times_.read_by = times_.read_call_by = deadline_table::never;
    if (life_.closing() && !life_.released())
        discard_input();  // this had to wait until the read released the channel
    receiver_.complete(error);
    if (!receiver_.busy())
        rest();
}

/// The pending read was interrupted, but need not end.
inline void connection::go_on_reading()
{
    receiver_.go_on();
    issue_read();
}

/// End the pending read with this cause. Bytes that have arrived in the meantime are delivered first.
inline void connection::interrupt_read(error_code cause) noexcept
{
    if (receiver_.interrupt(cause))
        channel_->cancel_read();
}

/// True if an operation that has transferred `size` bytes obeys a cancellation of this type.
inline bool heeds(boost::asio::cancellation_type_t type, std::size_t size) noexcept
{
    using boost::asio::cancellation_type;
    if ((type & (cancellation_type::partial | cancellation_type::terminal)) != cancellation_type::none)
        return true;
    return type != cancellation_type::none && size == 0;
}

inline void connection::cancel_read(boost::asio::cancellation_type_t type) noexcept
{
    if (heeds(type, receiver_.size()))
        interrupt_read(boost::asio::error::operation_aborted);
}

DUET_DECL void connection::request_finish(deadlines::duration grace) noexcept
{
    auto const now = clock().now();
    auto const by = grace > grace.zero() ? coarse_clock::after(now, grace) : now;
    times_.finish_by = receiver_.finish_requested() ? std::min(times_.finish_by, by) : by;
    receiver_.request_finish();
    if (receiver_.busy() && must_finish())
        finish_soon();
    if (life_.closing())
    {
        times_.hurry_close(now);
        arm_all();
    }
    complete_all(awaited::finish, {});
}

DUET_DECL void connection::start_wait_finish_requested(any_completion&& done, deadlines::duration limit)
{
    if (receiver_.finish_requested())
        return complete(std::move(done), {}, 0);
    if (life_.released() || !wait_for(awaited::finish, done, limit))
        complete(std::move(done), error_, 0);
}

DUET_DECL bool connection::reusable() noexcept
{
    bool const open = life_.receive() == receive_state::open && life_.send() == send_state::open;
    bool const rests = !life_.closing() && !life_.released() && !receiver_.busy() && sender_.empty();
    return open && rests && waiters_.empty() && !receiver_.finish_requested() && !channel_->has_input();
}

/// Tell the pending read to finish: now, or when the grace is over. A request that is on its way until then is served.
inline void connection::finish_soon() noexcept
{
    if (clock().now() < times_.finish_by)
        arm(times_.finish_by);
    else if (!channel_->has_input())
        interrupt_read(errc::draining);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
