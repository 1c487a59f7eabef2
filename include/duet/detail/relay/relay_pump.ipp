// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RELAY_RELAY_PUMP_IPP
#define DUET_DETAIL_RELAY_RELAY_PUMP_IPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <new>
#include <utility>

#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/relay/relay_pump.hpp>
#include <duet/detail/relay/relay_run.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The handler of an operation of a pump.
template <void (relay_pump::*Then)(relay_pump::self, error_code const&, std::size_t)>
struct relay_pump::step
{
    void operator()(error_code error, std::size_t size) { (pump->*Then)(std::move(run), error, size); }

    self run;
    relay_pump* pump;
};

/// `at_once`: it may be called from within the function that begins the operation.
template <void (relay_pump::*Then)(relay_pump::self, error_code const&, std::size_t)>
any_completion relay_pump::then(self&& run, bool at_once)
{
    any_completion result;
    result.keep(step<Then>{std::move(run), this}, at_once);
    return result;
}

/// Tell an observer of the connection of an operation of the relay. Null: there is none.
inline char const* tell_begin(connection& target, char const* name, std::size_t size, bool leaves = true) noexcept
{
    if (!target.observed()) [[likely]]
        return nullptr;
    auto const* const called = target.tell_operation(name, size);
    if (leaves)
        target.tell_leave();
    return called;
}

inline void tell_end(connection& target, char const*& called, error_code const& error, std::size_t size) noexcept
{
    if (!called) [[likely]]
        return;
    bool const is_value = error == boost::asio::error::eof;
    target.tell_result(std::exchange(called, nullptr), is_value ? error_code{} : error, size);
}

// ---- Carrying in place ----------------------------------------------------------------------------------------------

/// Most messages need no more than this: the read stays pending. What is out of the ordinary ends it, and is a matter
/// of on_input().
DUET_DECL bool relay_pump::take_input(error_code& error, turn_time& time) noexcept
{
    auto const& spare = spare_relay_buffer;
    // The last bytes may leave in one segment with the FIN, which pass_on() sees to.
    if (splicing_ || from_.input_ends() || to_.observed() || spare.size < room_) [[unlikely]]
        return false;
    auto const size = from_.take_pending({spare.data, room_}, error, time);
    if (size == 0) [[unlikely]]
    {
        bool const nothing = error == boost::asio::error::would_block;
        if (nothing)
            error.clear();
        return nothing;
    }
    boost::asio::const_buffer bytes{spare.data, size};
    if (size < room_ && to_.pass_on(bytes, time)) [[likely]]
        return !from_.may_read();
    hold(bytes);
    return false;
}

/// For on_input().
inline void relay_pump::hold(boost::asio::const_buffer bytes) noexcept
{
    buffer_ = relay_buffer::borrow(room_);  // what is spare is large enough
    held_ = bytes;
}

// ---- Carrying -------------------------------------------------------------------------------------------------------

/// Read and write until there is no more input. `told`: the sender's channel has told of input.
DUET_DECL void relay_pump::carry(self run, bool told)
{
    for (int turn = 0; turn < most_turns; ++turn)
    {
        if (splicing_ && !splice(run, told))
            return;
        if (splicing_)
            continue;
        if (!reserve())
            return end(std::move(run), boost::asio::error::no_memory);
        if (!reading_)
            reading_ = tell_begin(from_, "read_some", room_);
        boost::asio::mutable_buffer const room{buffer_.data(), room_};
        auto const got = told ? from_.take_at_once(room) : from_.read_at_once(read_kind::some, room);
        if (!got)
            break;
        tell_end(from_, reading_, got->error, got->size);
        if (got->error)
            return input_ended(std::move(run), got->error);
        told = told && got->size == room_;
        if (!pass_on(run, got->size))
            return;
        if (!told && !from_.may_read())
            break;
    }
    await_input(std::move(run));
}

/// Have a buffer. False: no memory.
inline bool relay_pump::reserve() noexcept
try
{
    if (buffer_.size() < room_)
        buffer_ = from_.able_to_take() ? relay_buffer::borrow(room_) : relay_buffer{room_};
    return true;
}
catch (std::bad_alloc const&)
{
    return false;
}

inline void relay_pump::await_input(self run)
{
    bool const takes = from_.able_to_take();
    if (takes)
        relay_buffer::give_back(buffer_);
    else if (!reserve())
        return end(std::move(run), boost::asio::error::no_memory);
    give_back_pipe(*run);
    if (splicing_)
        reading_ = tell_begin(from_, "wait_readable", 0);
    else if (!reading_)
        reading_ = tell_begin(from_, "read_some", room_);
    from_.reader().keep(step<&relay_pump::on_input>{std::move(run), this});
    if (takes)
        from_.start_read(read_kind::input, receiver::in_place(*this), {}, nullptr);
    else
        from_.start_read(read_kind::some, {buffer_.data(), room_}, {}, nullptr);
}

DUET_DECL void relay_pump::on_input(self run, error_code const& error, std::size_t size)
{
    if (error || size > 0 || splicing_)
        tell_end(from_, reading_, error, size);
    if (error)
        return input_ended(std::move(run), error);
    if (auto const held = std::exchange(held_, {}); held.size() > 0)
    {
        bool const all = held.size() == room_;
        if (all ? pass_on(run, room_) : write(run, write_request{held, true}))
            carry(std::move(run), true);
        return;
    }
    if (size == 0)
        return carry(std::move(run), from_.able_to_take());
    if (pass_on(run, size))
        carry(std::move(run), false);
}

/// Write what was read. False: that has to wait, or has failed.
inline bool relay_pump::pass_on(self& run, std::size_t size)
{
    from_.first_message_received();
    boost::asio::const_buffer const bytes{buffer_.data(), size};
    if (size == room_)
    {
        splicing_ = size >= bulk && run->pipes();
        at_once_ = size;
        if (!splicing_)
            room_ = std::min(most_, size * 3);
    }
    to_.fin_follows(from_.input_ends());
    return write(run, write_request{bytes, true});
}

inline bool relay_pump::write(self& run, write_request&& request)
{
    auto const size = request.left();
    sending_ = tell_begin(to_, "write", size, false);
    if (auto const known = to_.write_at_once(request))
    {
        tell_end(to_, sending_, known->error, known->size);
        if (!known->error)
            return true;
        end(std::move(run), known->error);
        return false;
    }
    if (sender_gone_)
    {
        // watch() has ended, and would not notice that the receiver accepts nothing.
        to_.abort();
        tell_end(to_, sending_, errc::aborted, request.sent());
        end(std::move(run), errc::aborted);
        return false;
    }
    writing_ = true;
    to_.start_write(std::move(request), then<&relay_pump::on_written>(std::move(run)), {});
    return false;
}

DUET_DECL void relay_pump::on_written(self run, error_code const& error, std::size_t size)
{
    writing_ = false;
    tell_end(to_, sending_, error, size);
    if (error)
        return end(std::move(run), error);
    carry(std::move(run), false);
}

/// Move bytes by splice(2), as long as at least `bulk` bytes arrive at once. When splice(2) gets nothing, an ordinary
/// read finds out why: then it is not `splicing_` any more. False: the pump waits, or has ended.
inline bool relay_pump::splice(self& run, bool& told)
{
    if (!pipe_)
        pipe_.emplace(run->pipes() ? run->pipes()->borrow() : splice_pipe{});
    if (auto const size = from_.splice_at_once(*pipe_); size > 0)
    {
        at_once_ += size;
        told = false;
        return write(run, write_request{piped_bytes{&*pipe_, size}});
    }
    splicing_ = pipe_->reusable();
    if (!splicing_)
    {
        pipe_.reset();
        run->without_pipes();
        return true;
    }
    give_back_pipe(*run);
    bool const open = from_.life().receive() == receive_state::open && !from_.life().released();
    splicing_ = std::exchange(at_once_, 0) >= bulk && open;
    if (!splicing_)
        return true;
    await_input(std::move(run));
    return false;
}

/// It is empty: what was in it was written.
inline void relay_pump::give_back_pipe(relay_run& run) noexcept
{
    if (!pipe_)
        return;
    if (run.pipes())
        run.pipes()->give_back(std::move(*pipe_));
    pipe_.reset();
}

// ---- Ending ---------------------------------------------------------------------------------------------------------

inline void relay_pump::input_ended(self run, error_code const& error)
{
    // Asked to finish before the first byte, so nothing would be lost: an end like the peer's FIN.
    if (error != boost::asio::error::eof && error != errc::draining)
        return end(std::move(run), error);
    sending_ = tell_begin(to_, "shutdown_send", 0);
    to_.start_shutdown_send(then<&relay_pump::on_finished>(std::move(run), true), {});
}

DUET_DECL void relay_pump::on_finished(self run, error_code const& error, std::size_t)
{
    tell_end(to_, sending_, error, 0);
    end(std::move(run), error);
}

inline void relay_pump::end(self run, error_code const& failure)
{
    relay_buffer::give_back(buffer_);
    pipe_.reset();
    told_.finished = !failure;
    if (told_.finished || !told_.error)
        told_.error = failure;
    // `aborted` and `operation_aborted` come from this relay's own reaction to a failure of the other side. Report that
    // failure instead.
    for (auto const& cause : {from_.report().error, to_.report().error})
        if ((told_.error == errc::aborted || told_.error == boost::asio::error::operation_aborted) && cause)
            told_.error = cause;
    if (run->cancelled() && !told_.finished)
        told_.error = boost::asio::error::operation_aborted;
    // The receiver has only a part of the data, which must not look complete, so reset it. That also ends the pump that
    // reads from it.
    if (!told_.finished)
        to_.abort();
    else if (sender_gone_)
        to_.cancel_all();
    relay_run::pump_ended(std::move(run));
}

DUET_DECL void relay_pump::end_receiver(self run)
{
    run->other_begins();
    if (!told_.finished || run->cancelled())
    {
        to_.abort();
        return relay_run::other_ended(std::move(run));
    }
    closing_ = tell_begin(to_, "close", 0);
    if (to_.close_at_once())
        on_closed(std::move(run), {}, 0);
    else
        to_.start_close(then<&relay_pump::on_closed>(std::move(run)), {});
}

DUET_DECL void relay_pump::on_closed(self run, error_code const&, std::size_t)
{
    tell_end(to_, closing_, {}, 0);
    relay_run::other_ended(std::move(run));
}

// ---- Watching the sender --------------------------------------------------------------------------------------------

DUET_DECL void relay_pump::watch(self run)
{
    run->other_begins();
    watching_ = tell_begin(from_, "wait_peer_gone", 0);
    from_.start_wait_peer_gone(then<&relay_pump::on_gone>(std::move(run), true), {});
}

DUET_DECL void relay_pump::on_gone(self run, error_code const& error, std::size_t)
{
    tell_end(from_, watching_, error, 0);
    sender_gone_ = !error && reason_of_end::result(from_, {}, 0) != close_reason::clean;
    if (sender_gone_ && told_.finished && run->carrying())
        to_.cancel_all();  // the receiver has everything, and nobody is left to get its bytes
    else if (sender_gone_ && writing_)
        to_.abort();  // the pump waits for the receiver to accept bytes, and would not see the failure
    relay_run::other_ended(std::move(run));
}

DUET_DECL void relay_pump::end_together(self const& run)
{
    auto const quiet = [this, weak = std::weak_ptr<relay_run>{run}](error_code const& error, std::size_t)
    {
        auto const found = weak.lock();
        bool const due = error == errc::idle_timed_out || error == errc::half_closed_timed_out;
        if (!found || !due)
            return;
        from_.join_activity(to_.last_activity());
        if (!from_.life().released())
            end_together(found);
    };
    any_completion done;
    done.keep(quiet, true);
    from_.start_when_quiet(std::move(done));
}

// ---- The report -----------------------------------------------------------------------------------------------------

DUET_DECL void relay_pump::no_memory() noexcept
{
    if (!told_.finished && !told_.error)
        told_.error = boost::asio::error::no_memory;
}

DUET_DECL relay_direction relay_pump::report() const noexcept
{
    auto result = told_;
    result.bytes = to_.bytes_sent() - sent_before_;
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
