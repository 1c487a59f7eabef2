// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_IMPL_CONNECTION_WRITE_HPP
#define DUET_IMPL_CONNECTION_WRITE_HPP

// The send side: the queue of writes, and the FIN behind it.

#include <type_traits>

#include <duet/detail/connection.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

template <class Stream>
error_code connection<Stream>::refuse_write() const noexcept
{
    if (life_.send() == send_state::open && !life_.released())
        return {};
    if (error_)
        return error_;
    if (life_.closing() || life_.released())
        return errc::closed;
    return life_.poisoned() ? errc::send_poisoned : errc::send_finished;
}

template <class Stream>
std::optional<ending> connection<Stream>::write_at_once(write_request& request) noexcept
{
    if (auto const refused = refuse_write())
        return ending{refused, 0};
    if (!writes_.empty())
        return {};
    // Tried here and now: most writes fit into the socket's buffer, and need neither the reactor nor memory.
    auto const error = push(request);
    if (!error)
        return ending{{}, request.sent()};
    if (error == boost::asio::error::would_block)
        return {};
    return ending{fail_send(error), request.sent()};
}

template <class Stream>
void connection<Stream>::start_write(write_request&& request, any_completion&& done)
{
    auto const queue = [&]
    {
        request.own();
        request.id = ++last_id_;
        done.on_cancel([this, id = last_id_](auto type) { cancel_write(id, type); });
        writes_.push_back(std::move(request));
    };
    if (!attempt(queue))
    {
        out_of_memory();
        return complete(std::move(done), error_, request.sent());
    }
    writes_.back().done = std::move(done);
    if (writes_.size() == 1)
        wait_writable();
}

/// Write until the request is finished or the stream takes no more (would_block).
template <class Stream>
inline error_code connection<Stream>::push(write_request& request)
{
    // A fast reader on another core could keep this loop busy; every so often the others get their turn.
    for (int turns = 0; turns < 64; ++turns)
    {
        error_code error;
        auto const write = [&]<class Source>(Source const& source) -> std::size_t
        {
            if constexpr (transport_type::may_splice || !std::is_same_v<Source, piped_bytes>)
                return transport_.write_some(source, error);
            return 0;
        };
        auto const size = request.push_to(write);
        if (error)
            return error == boost::asio::error::try_again ? boost::asio::error::would_block : error;
        sent_ += size;
        if (size > 0)
            note_activity();
        request.consume(size);
        if (request.finished())
            return {};
    }
    return boost::asio::error::would_block;
}

template <class Stream>
void connection<Stream>::wait_writable()
{
    write_by_ = limits_.write > limits_.write.zero()
                    ? coarse_clock::after(std::chrono::steady_clock::now(), limits_.write)
                    : time_point::max();
    arm(earliest());
    if (!writing_ && !life_.released())
        issue_wait_writable();
}

template <class Stream>
void connection<Stream>::issue_wait_writable()
{
    if constexpr (transport_type::may_be_direct)
    {
        if (transport_.direct())
        {
            writing_ = true;
            transport_.ask(*this, true);
            return settle();
        }
    }
    auto const wait = [this]
    {
        transport_.stream().async_wait(
            Stream::wait_write, bind([](connection& self, error_code error) { self.on_writable(error); }));
    };
    writing_ = attempt(wait);
    if (!writing_)
        out_of_memory();
}

template <class Stream>
void connection<Stream>::on_writable(error_code error)
{
    writing_ = false;
    if (life_.released() || writes_.empty())
        return;
    if (error && error != boost::asio::error::operation_aborted)
    {
        fail_send(error);
        return;
    }
    pump_writes();
}

template <class Stream>
void connection<Stream>::pump_writes()
{
    bool progress = false;
    while (!writes_.empty())
    {
        auto const before = writes_.front().sent();
        auto const error = push(writes_.front());
        progress = progress || writes_.front().sent() > before;
        if (error == boost::asio::error::would_block)
        {
            // Only progress restarts the write deadline.
            auto const by = std::exchange(write_by_, time_point::max());
            wait_writable();
            if (!progress)
                write_by_ = by;
            return;
        }
        if (error)
        {
            fail_send(error);
            return;
        }
        auto written = std::move(writes_.front());
        writes_.pop_front();
        post(std::move(written.done), {}, written.sent());
    }
    writes_flushed();
}

/// The queue is empty: a FIN that waited behind it may go.
template <class Stream>
void connection<Stream>::writes_flushed()
{
    write_by_ = time_point::max();
    execute(life_.apply(lifecycle_event::writes_flushed));
    if (is_awaited(awaited::delivery))
        look_again_soon();
}

template <class Stream>
void connection<Stream>::cancel_write(std::uint64_t id, boost::asio::cancellation_type_t type) noexcept
{
    using boost::asio::cancellation_type;
    for (auto request = writes_.begin(); request != writes_.end(); ++request)
    {
        if (request->id != id)
            continue;
        bool const only_total =
            (type & (cancellation_type::partial | cancellation_type::terminal)) == cancellation_type::none;
        if (type == cancellation_type::none || (only_total && request->sent() > 0))
            return;
        return end_write(request, boost::asio::error::operation_aborted);
    }
}

/// End one write with `cause`. If some of its bytes are on their way and some are not, the send side is poisoned: the
/// peer could not tell where the next message begins. So it is if a FIN waits behind it, which would hide that a
/// message is missing.
template <class Stream>
void connection<Stream>::end_write(write_queue::iterator request, error_code cause)
{
    ref const keep{this};
    bool const poisons = request->part_way() || life_.send() == send_state::finishing;
    bool const was_first = request == writes_.begin();
    auto const actions = poisons ? life_.apply(lifecycle_event::write_cut) : lifecycle_action::none;
    auto ended = std::move(*request);
    writes_.erase(request);
    post(std::move(ended.done), cause, ended.sent());
    if (poisons)
        execute(actions);
    else if (writes_.empty())
        writes_flushed();
    else if (was_first)
        wait_writable();
}

template <class Stream>
void connection<Stream>::fail_writes(error_code cause)
{
    write_by_ = time_point::max();
    for (auto& request : std::exchange(writes_, {}))
        post(std::move(request.done), cause, request.sent());
}

template <class Stream>
void connection<Stream>::start_shutdown_send(any_completion&& done)
{
    if constexpr (!traits::half_close)
        return complete(std::move(done), boost::asio::error::operation_not_supported, 0);
    // After the peer is gone there is nobody to tell, and that is no error here: a read or a write reports it. But a
    // FIN behind a write that was cut would make the stump look whole.
    if (life_.poisoned())
        return complete(std::move(done), errc::send_poisoned, 0);
    if (life_.released() && life_.send() != send_state::finished && error_ != condition::reset &&
        error_ != condition::dead_peer)
        return complete(std::move(done), error_, 0);
    execute(life_.apply(lifecycle_event::finish_requested));
    if (writes_.empty())
        execute(life_.apply(lifecycle_event::writes_flushed));
    if (life_.send() != send_state::finishing)
        return complete(std::move(done), {}, 0);
    if (!wait_for(awaited::fin, done))
        complete(std::move(done), error_, 0);
}

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
