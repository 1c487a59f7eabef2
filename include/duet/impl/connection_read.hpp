// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_CONNECTION_READ_HPP
#define DUET_IMPL_CONNECTION_READ_HPP

// The receive side: one read at a time, what ends it, and which error stays.

#include <duet/detail/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

template <class Stream>
error_code connection<Stream>::refuse_read(read_kind kind, boost::asio::mutable_buffer buffer) const noexcept
{
    if (reading_)
        return errc::read_in_progress;
    if (life_.released() || life_.closing())
        return error_ ? error_ : error_code{errc::closed};
    if (life_.receive() == receive_state::failed)
        return error_;
    // A read of no bytes would complete with 0, which means FIN.
    if (kind != read_kind::wait && buffer.size() == 0)
        return boost::asio::error::invalid_argument;
    if (life_.receive() == receive_state::ended && kind != read_kind::wait)
        return error_ ? error_ : error_code{boost::asio::error::eof};
    return {};
}

template <class Stream>
std::optional<ending> connection<Stream>::read_at_once(read_kind kind, boost::asio::mutable_buffer buffer) noexcept
{
    if (kind == read_kind::nothing)
        return ending{};
    if (auto const refused = refuse_read(kind, buffer))
        return ending{refused, 0};
    if (kind != read_kind::wait)
        return try_read(kind, buffer);
    if (life_.receive() == receive_state::ended)
        return ending{};
    // Told at once, but a message that has begun to arrive is still read.
    if (finish_requested_ && !transport_.has_input())
        return ending{errc::draining, 0};
    return try_read(kind, buffer);
}

template <class Stream>
std::size_t connection<Stream>::splice_at_once([[maybe_unused]] splice_pipe& pipe) noexcept
{
    if constexpr (transport_type::may_splice)
    {
        if (reading_ || life_.closing() || life_.released() || life_.receive() != receive_state::open)
            return 0;
        error_code error;
        auto const size = transport_.take_into(pipe, error);
        if (size > 0)
        {
            received_ += size;
            note_activity();
        }
        else if (error)
        {
            end_of_input(error);  // told once, so it is kept for the read
            after_peer_finished();
        }
        return size;
    }
    return 0;
}

template <class Stream>
void connection<Stream>::start_read(read_kind kind, boost::asio::mutable_buffer buffer, time_point by)
{
    if (!attempt([&] { read_done_.on_cancel([this](auto type) { cancel_read(type); }); }))
        return complete(std::move(read_done_), boost::asio::error::no_memory, 0);
    reading_ = true;
    read_kind_ = kind;
    read_buffer_ = buffer;
    read_size_ = 0;
    read_cause_.clear();
    read_by_ = by;
    if (by < timer_at_ || timer_at_ == time_point::max())
        arm(earliest());
    if (!goes_on_with_events())
        issue_read();
}

template <class Stream>
void connection<Stream>::issue_read()
{
    if constexpr (transport_type::may_be_direct)
    {
        if (transport_.direct())
            return transport_.readable() ? take_turn() : settle();
    }
    auto const begin = [this]
    {
        auto& stream = transport_.stream();
        auto& memory = transport_.read_memory();
        if (read_kind_ == read_kind::wait)
            stream.async_wait(
                Stream::wait_read, bind([](connection& self, error_code error) { self.on_read(error, 0); }, memory));
        else
            stream.async_read_some(read_buffer_ + read_size_,
                bind([](connection& self, error_code error, std::size_t size) { self.on_read(error, size); }, memory));
    };
    if (attempt(begin))
        return;
    ref const keep{this};
    reading_ = false;
    out_of_memory();
    complete(std::move(read_done_), error_, read_size_);
}

template <class Stream>
void connection<Stream>::on_read(error_code error, std::size_t size)
{
    if (size > 0)
    {
        read_size_ += size;
        received_ += size;
        note_activity();
    }
    if (!error)
    {
        bool const complete = read_kind_ != read_kind::exact || read_size_ == read_buffer_.size();
        if (!complete && !read_cause_)
            return issue_read();
        return finish_read(complete ? error_code{} : read_cause_);
    }
    if (error == boost::asio::error::operation_aborted)
    {
        // The stream cancels all of its operations at once; one that was not meant goes on. A cancelled read of a
        // socket has transferred nothing.
        if (!read_cause_ && !life_.released())
            return issue_read();
        // A drain ends only the wait for what has not come: it may have in the meantime, unseen by the cancelled wait.
        if (read_cause_ == errc::draining && !life_.released() && transport_.has_input())
            return finish_read({});
        return finish_read(read_cause_ ? read_cause_ : error_code{errc::closed});
    }
    bool const in_the_middle = read_size_ > 0;
    auto const told = end_of_input(error);
    settles const end{ref{this}};
    finish_read(told == boost::asio::error::eof && in_the_middle ? error_code{errc::truncated} : told);
}

/// What a read is told that met the peer's FIN or a failure.
template <class Stream>
error_code connection<Stream>::end_of_input(error_code error) noexcept
{
    if (error == boost::asio::error::eof && !error_)
    {
        execute(life_.apply(lifecycle_event::peer_finished));
        peer_just_finished_ = true;
        return error;
    }
    // Linux tells a reset once, and from then on reads look like the peer's FIN: the first error is the one.
    auto const told = error == boost::asio::error::eof ? error_ : error;
    reading_ = false;
    return fail_receive(told);
}

template <class Stream>
void connection<Stream>::finish_read(error_code error)
{
    reading_ = false;
    read_by_ = time_point::max();
    if (life_.closing() && !life_.released())
        discard_input();  // it had waited for this read to let go of the stream
    read_done_(error, read_size_);
}

/// End the pending read; what has arrived in the meantime goes before the cause.
template <class Stream>
void connection<Stream>::interrupt_read(error_code cause) noexcept
{
    if (!reading_ || read_cause_)
        return;
    read_cause_ = cause;
    cancel_stream();
}

/// Let the operations that have a cause to end be called. Asio's are cancelled all at once.
template <class Stream>
void connection<Stream>::cancel_stream() noexcept
{
    if constexpr (transport_type::may_be_direct)
    {
        if (transport_.direct())
            return take_turn();
    }
    traits::cancel(transport_.stream());
}

template <class Stream>
void connection<Stream>::cancel_read(boost::asio::cancellation_type_t type) noexcept
{
    using boost::asio::cancellation_type;
    bool const only_total =
        (type & (cancellation_type::partial | cancellation_type::terminal)) == cancellation_type::none;
    if (type == cancellation_type::none || (only_total && read_size_ > 0))
        return;
    interrupt_read(boost::asio::error::operation_aborted);
}

/// What every later operation is told about a failure of the stream.
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

template <class Stream>
error_code connection<Stream>::fail_receive(error_code error) noexcept
{
    latch(terminal_error(error));
    execute(life_.apply(lifecycle_event::receive_failed, reason_of(error_)));
    return error_;
}

template <class Stream>
error_code connection<Stream>::fail_send(error_code error) noexcept
{
    latch(terminal_error(error));
    execute(life_.apply(lifecycle_event::send_failed, reason_of(error_)));
    return error_;
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
