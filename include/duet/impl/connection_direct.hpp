// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_CONNECTION_DIRECT_HPP
#define DUET_IMPL_CONNECTION_DIRECT_HPP

// A socket in the reactor: no operations of Asio's, but attempts, and events that tell when to try again.

#include <duet/detail/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

template <class Stream>
error_code connection<Stream>::begin() noexcept
{
    if constexpr (transport_type::may_be_direct)
        return transport_.begin(*this, local_.protocol());
    return {};
}

/// At the end of every function that is told of an event, whatever a handler has thrown: what is to be waited for now?
template <class Stream>
struct connection<Stream>::settles
{
    [[gnu::always_inline]] ~settles()
    {
        if (self->reading_ && self->goes_on_with_events())
            return;
        if (self->peer_just_finished_)
            self->after_peer_finished();
        self->settle();
    }

    ref self;
};

/// While something waits for an event or a turn, the context has work and the connection lives.
template <class Stream>
void connection<Stream>::settle() noexcept
{
    if constexpr (transport_type::may_be_direct)
    {
        bool const operating = reading_ || writing_ || discarding_ || is_awaited(awaited::peer_gone);
        bool const waits = turn_ || (operating && transport_.direct());
        if (waits == this->waits())
            return;
        ref const keep{this};
        references_ += waits ? 1 : -1;
        transport_.wait(*this, waits);
    }
}

/// A read that begins while the connection waits for events, as it does in its own handler, has nothing to do for that.
template <class Stream>
bool connection<Stream>::goes_on_with_events() const noexcept
{
    if constexpr (transport_type::may_be_direct)
        return this->waits() && transport_.direct() && !transport_.readable();
    return false;
}

template <class Stream>
void connection<Stream>::take_turn() noexcept
{
    if constexpr (transport_type::may_be_direct)
    {
        turn_ = true;
        transport_.turn(*this);
        settle();
    }
}

template <class Stream>
void connection<Stream>::on_events(std::uint32_t events)
{
    if constexpr (transport_type::may_be_direct)
    {
        settles const end{ref{this}};
        transport_.note(events);
        if (writing_ && transport_type::may_be_written(events))
            on_writable({});
        if (discarding_ && transport_.readable())
            on_discardable({});
        bool const gone = transport_type::may_be_gone(events) && is_awaited(awaited::peer_gone);
        if (!reading_ || !transport_.readable())
        {
            if (gone)
                on_hang_up({});
            return;
        }
        if (gone)
            look_for_hang_up();
        if (!read_cause_)
            read_directly();
    }
}

/// At its turn: it calls a handler, as a read does.
template <class Stream>
void connection<Stream>::look_for_hang_up() noexcept
{
    hang_up_due_ = true;
    take_turn();
}

template <class Stream>
void connection<Stream>::on_turn()
{
    settles const end{ref{this}};
    turn_ = false;
    bool const hang_up_due = std::exchange(hang_up_due_, false);
    if (!transport_.direct())
        return;  // Asio has taken over what there was to do
    if (hang_up_due && is_awaited(awaited::peer_gone))
    {
        if (reading_)
            take_turn();
        on_hang_up({});
    }
    else if (reading_)
    {
        if (read_cause_)
            on_read(boost::asio::error::operation_aborted, 0);
        else
            read_directly();
    }
}

template <class Stream>
void connection<Stream>::on_shutdown() noexcept
{
    ref const keep{this};
    --references_;  // that of the wait
    turn_ = reading_ = writing_ = discarding_ = false;
    abandon();
}

/// The end of a read that finds something at once.
template <class Stream>
std::optional<ending> connection<Stream>::try_read(
    [[maybe_unused]] read_kind kind, [[maybe_unused]] boost::asio::mutable_buffer buffer) noexcept
{
    if constexpr (transport_type::may_be_direct)
    {
        if (!transport_.direct() || !transport_.readable() || kind == read_kind::exact)
            return {};
        if (kind == read_kind::wait)
        {
            if (transport_.has_input())
                return ending{};
            transport_.drained();
            return {};
        }
        error_code error;
        auto const size = transport_.read_some(buffer, error);
        if (size > 0)
        {
            received_ += size;
            note_activity();
            return ending{{}, size};
        }
        if (error == boost::asio::error::would_block)
            return {};
        return ending{end_of_input_at_once(error), 0};
    }
    return {};
}

/// The handler is called when this has returned, so what is to be done behind it waits for a turn.
template <class Stream>
error_code connection<Stream>::end_of_input_at_once(error_code error) noexcept
{
    auto const told = end_of_input(error);
    if (peer_just_finished_)
        take_turn();
    return told;
}

/// Go on with the read under way, as far as it goes now.
template <class Stream>
void connection<Stream>::read_directly()
{
    if constexpr (transport_type::may_be_direct)
    {
        if (read_kind_ == read_kind::wait)
        {
            // What the event told may have been read since.
            if (transport_.has_input())
                return on_read({}, 0);
            return transport_.drained();
        }
        while (transport_.readable())
        {
            error_code error;
            auto const size = transport_.read_some(read_buffer_ + read_size_, error);
            if (size == 0)
                return error == boost::asio::error::would_block ? void() : on_read(error, 0);
            read_size_ += size;
            received_ += size;
            note_activity();
            if (read_kind_ != read_kind::exact || read_size_ == read_buffer_.size())
                return finish_read({});
        }
    }
}

template <class Stream>
Stream& connection<Stream>::stream() noexcept
{
    if (transport_.direct() && !life_.released())
        leave_reactor();
    return transport_.stream();
}

/// What is under way begins again with Asio.
template <class Stream>
void connection<Stream>::leave_reactor() noexcept
{
    if constexpr (transport_type::may_be_direct)
    {
        ref const keep{this};
        if (transport_.leave(*this, local_.protocol()))
            return out_of_memory();
        settle();
        if (reading_)
            issue_read();
        if (writing_)
            issue_wait_writable();
        if (discarding_)
            on_discardable({});
        if (is_awaited(awaited::peer_gone))
            issue_wait_peer_gone();
        if (read_cause_ || (gone_cancelled_ && is_awaited(awaited::peer_gone)))
            cancel_stream();
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
