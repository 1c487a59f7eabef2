// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_CONNECTION_CLOSE_HPP
#define DUET_IMPL_CONNECTION_CLOSE_HPP

// The end: FIN, discarding input, waiting for the acknowledgement, reset, and the death watch.

#include <boost/asio/post.hpp>

#include <duet/detail/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// Carry out what the lifecycle asks for.
template <class Stream>
void connection<Stream>::execute(lifecycle_action actions)
{
    using action = lifecycle_action;
    if (actions == action::none)
        return;
    ref const keep{this};
    bool const ends = contains(actions, action::reset) || contains(actions, action::release);
    if (contains(actions, action::send_fin))
    {
        // not_connected: the peer is gone, which a read, a write or check_delivery() will tell.
        error_code refused;
        if (!contains(actions, action::await_delivery))     // which looks itself
            unacknowledged_ = transport_.unacknowledged();  // without the FIN
        transport_.shutdown_send(refused);
        fin_refused_ = refused.failed();
        entered_half_closed();
        complete_all(awaited::fin, {});
    }
    if (ends)
        latch(life_.reason() == close_reason::aborted ? errc::aborted : errc::closed);
    if (contains(actions, action::fail_writes))
    {
        auto const cause = error_ ? error_ : error_code{life_.poisoned() ? errc::send_poisoned : errc::closed};
        fail_writes(cause);
        // The peer is gone: shutdown_send() has nobody to tell, and succeeds.
        complete_all(awaited::fin, cause == condition::reset || cause == condition::dead_peer ? error_code{} : cause);
    }
    if (contains(actions, action::fail_reads) && !ends)
        interrupt_read(error_ ? error_ : error_code{errc::closed});
    if (ends)
        return release(contains(actions, action::reset));
    if (contains(actions, action::discard_input))
        discard_input();
    if (contains(actions, action::await_delivery))
    {
        poll_delay_ = {};
        check_delivery();
    }
}

template <class Stream>
void connection<Stream>::release(bool reset)
{
    if (reading_ && !read_cause_)
        read_cause_ = error_;
    unacknowledged_ = life_.reason() == close_reason::clean ? 0 : transport_.unacknowledged();
    if (reset)
        transport_.reset(*this);
    else
        transport_.close(*this);
    if (transport_.direct())
    {
        // Nothing tells these any more.
        writing_ = discarding_ = false;
        if (is_awaited(awaited::peer_gone))
            look_for_hang_up();
        else if (reading_)
            take_turn();
        settle();
    }
    try
    {
        timer_.cancel();
    }
    catch (boost::system::system_error const&)
    {
        // Then it wakes in vain, once.
    }
    complete_all(awaited::fin, error_);
    complete_all(awaited::delivery, life_.reason() == close_reason::clean ? error_code{} : error_);
    complete_all(awaited::close, {});
    complete_all(awaited::quiet, error_);
}

/// The last session object is gone. The kernel's plain close would say FIN, which hides that a write is missing.
template <class Stream>
void connection<Stream>::drop() noexcept
{
    auto cut = lifecycle_action::none;
    if (!writes_.empty())
        cut = life_.apply(lifecycle_event::write_cut);
    execute(cut | life_.apply(lifecycle_event::dropped));
}

template <class Stream>
void connection<Stream>::abort() noexcept
{
    execute(life_.apply(lifecycle_event::abort_requested));
}

template <class Stream>
std::optional<ending> connection<Stream>::close_at_once()
{
    ref const keep{this};
    if (!life_.closing() && !life_.released())
        begin_close();
    return life_.released() ? std::optional{ending{}} : std::nullopt;
}

/// Wait for the end of what close_at_once() began.
template <class Stream>
void connection<Stream>::start_close(any_completion&& done)
{
    if (!wait_for(awaited::close, done))
        complete(std::move(done), {}, 0);
}

template <class Stream>
void connection<Stream>::begin_close()
{
    close_since_ = last_activity_ = looked_at_ = std::chrono::steady_clock::now();
    if (!writes_.empty() || life_.send() == send_state::finished)  // else the FIN is next
        unacknowledged_ = transport_.unacknowledged();
    execute(life_.apply(lifecycle_event::close_requested));
    if (life_.released())
        return;
    if (writes_.empty())
        execute(life_.apply(lifecycle_event::writes_flushed));
    if (!life_.released())
        arm(earliest());
}

/// Read and throw away until the peer's FIN. A close with unread input sends RST, which destroys what we have sent and
/// the peer has not yet read (RFC 1122 4.2.2.13, RFC 2525 2.17), and a FIN before it does not change that.
template <class Stream>
void connection<Stream>::discard_input()
{
    if (reading_ || discarding_ || life_.released() || life_.receive() != receive_state::open)
        return;
    auto const room = discard_limit_ - std::min<std::uint64_t>(discarded_, discard_limit_);
    error_code error;
    // One byte over the limit tells more input from the peer's FIN. One turn is bounded, so that a flood has to queue.
    auto const size = transport_.discard(std::min<std::uint64_t>(room, 256 * 1024 - 1) + 1, error);
    if (size > 0)
    {
        discarded_ += size;
        note_activity();
    }
    if (size > room)
        return execute(life_.apply(lifecycle_event::close_gave_up, close_reason::discard_limit));
    if (!error && size == 0)
    {
        // After a reset that was told elsewhere the end looks like the peer's FIN too.
        if (error_)
            fail_receive(error_);
        else
            execute(life_.apply(lifecycle_event::peer_finished));
        return;
    }
    if (error && error != boost::asio::error::would_block && error != boost::asio::error::try_again)
    {
        fail_receive(error);
        return;
    }
    if constexpr (transport_type::may_be_direct)
    {
        if (transport_.direct())
        {
            discarding_ = true;
            if (!error)
                transport_.ask(*this);  // there was more than one turn takes
            return settle();
        }
    }
    auto const wait = [this]
    {
        transport_.stream().async_wait(
            Stream::wait_read, bind([](connection& self, error_code failure) { self.on_discardable(failure); }));
    };
    discarding_ = attempt(wait);
    if (!discarding_)
        out_of_memory();
}

template <class Stream>
void connection<Stream>::on_discardable(error_code error)
{
    discarding_ = false;
    if (error && error != boost::asio::error::operation_aborted && !life_.released())
    {
        fail_receive(error);
        return;
    }
    discard_input();
}

/// Both FINs are said. The end is clean when the peer's TCP has acknowledged ours.
template <class Stream>
void connection<Stream>::check_delivery()
{
    auto const left = transport_.unacknowledged();
    // A reset that comes before the FIN was acknowledged leaves the count as it is: no need to ask for one.
    if (left == 0 && transport_type::counts_fin && !fin_refused_)
        return execute(life_.apply(lifecycle_event::all_acknowledged));
    if (transport_.has_failed())
    {
        // A reset after the peer's FIN: no read would tell it any more.
        auto const failure = transport_.take_failure();
        fail_receive(failure ? failure : error_code{boost::asio::error::connection_reset});
        return;
    }
    if (left == 0)
        return execute(life_.apply(lifecycle_event::all_acknowledged));
    if (left < unacknowledged_)
        note_activity();
    unacknowledged_ = left;
    look_again_soon();
}

template <class Stream>
void connection<Stream>::start_delivered(any_completion&& done)
{
    if (error_)
        return complete(std::move(done), life_.reason() == close_reason::clean ? error_code{} : error_, 0);
    if (life_.poisoned())
        return complete(std::move(done), errc::send_poisoned, 0);
    if (writes_.empty() && !transport_.has_failed() && transport_.unacknowledged() == 0)
        return complete(std::move(done), {}, 0);
    if (!wait_for(awaited::delivery, done))
        return complete(std::move(done), error_, 0);
    poll_delay_ = {};
    look_again_soon();
}

template <class Stream>
void connection<Stream>::start_wait_peer_gone(any_completion&& done)
{
    if (is_awaited(awaited::peer_gone))
        return complete(std::move(done), errc::wait_in_progress, 0);
    if (life_.released() || error_)
        return complete(std::move(done), {}, 0);
    if (!wait_for(awaited::peer_gone, done))
        return complete(std::move(done), boost::asio::error::no_memory, 0);
    gone_cancelled_ = false;
    issue_wait_peer_gone();
}

template <class Stream>
void connection<Stream>::issue_wait_peer_gone()
{
    if constexpr (transport_type::may_be_direct)
    {
        if (transport_.direct())
        {
            transport_.ask(*this);
            return settle();
        }
    }
    auto const wait = [this]
    {
        transport_.stream().async_wait(
            Stream::wait_error, bind([](connection& self, error_code error) { self.on_hang_up(error); }));
    };
    if (attempt(wait))
    {
        if constexpr (!tells_hang_up<traits>())
        {
            poll_delay_ = {};
            look_again_soon();
        }
        return;
    }
    ref const keep{this};
    out_of_memory();
    complete(take_waiter(awaited::peer_gone), {}, 0);
}

template <class Stream>
void connection<Stream>::on_hang_up(error_code)
{
    if (!life_.released() && !gone_cancelled_)
    {
        if (!transport_.has_hung_up())
            return issue_wait_peer_gone();  // urgent data, or the cancellation of something else
        if (transport_.has_failed())
        {
            auto const failure = transport_.take_failure();
            fail_send(failure ? failure : error_code{boost::asio::error::connection_reset});
        }
        else if (reading_)
        {
            // Both FINs, or the pending read has met the failure and is about to tell it.
            auto const look_again = [this]
            { boost::asio::post(transport_.get_executor(), bind([](connection& self) { self.on_hang_up({}); })); };
            if (attempt(look_again))
                return;
            out_of_memory();
        }
    }
    auto done = take_waiter(awaited::peer_gone);
    settle();
    done(gone_cancelled_ ? error_code{boost::asio::error::operation_aborted} : error_code{}, 0);
}

template <class Stream>
void connection<Stream>::cancel_wait_peer_gone() noexcept
{
    if (!is_awaited(awaited::peer_gone))
        return;
    gone_cancelled_ = true;
    hang_up_due_ = true;
    cancel_stream();
}

template <class Stream>
close_report connection<Stream>::report() const noexcept
{
    close_report result;
    result.reason =
        life_.reason() == close_reason::clean && discarded_ > 0 ? close_reason::discarded_input : life_.reason();
    if (!result.clean())
        result.error = error_;
    result.receive = life_.receive();
    result.send = life_.send();
    result.bytes_received = received_;
    result.bytes_sent = sent_;
    result.bytes_discarded = discarded_;
    result.bytes_unacknowledged = unacknowledged_;
    return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
