// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_ACCEPT_QUEUE_IPP
#define DUET_DETAIL_ACCEPT_ACCEPT_QUEUE_IPP

// Taking connections from the kernel's queue.

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>

#include <duet/detail/accept/accept_queue.hpp>

#include <unistd.h>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Protocol, class Executor>
template <class Maker>
boost::asio::awaitable<typename Maker::session_type, Executor> accept_queue<Protocol, Executor>::accept(
    self queue, Executor executor, Maker maker)
{
    boost::asio::use_awaitable_t<Executor> const token;
    for (bool waited = false;; waited = true)
    {
        auto const& listener = queue->listener_;
        if (waited)
        {
            // A cancellation may have come between the end of a wait and this.
            auto const state = co_await boost::asio::this_coro::cancellation_state;
            if (state.cancelled() != boost::asio::cancellation_type::none && listener.is_open())
                throw session_error{
                    boost::asio::error::operation_aborted, "accept", traits::describe(queue->local()), 0};
        }
        if (queue->taken_.empty() && listener.is_open() && !queue->pausing())
        {
            // After a full batch, let the sessions run before taking more: the queue may never become empty, and a
            // session may close this acceptor.
            if (std::exchange(queue->batch_was_full_, false))
            {
                co_await boost::asio::post(queue->get_executor(), token);
                continue;
            }
            if (!std::exchange(queue->found_empty_, false))
                queue->take_batch();
        }
        if (auto queued = queue->take_queued(executor, maker))
            co_return std::move(*queued);
        if (!listener.is_open() && queue->taken_.empty())
            throw session_error{queue->failure_ ? queue->failure_ : error_code{errc::closed}, "accept",
                traits::describe(queue->local()), 0};
        error_code error;
        if (queue->pausing())
        {
            pause_waiter const waiter{*queue};
            co_await queue->pause_.async_wait(boost::asio::redirect_error(token, error));
        }
        else
        {
            auto& socket = queue->listener_.socket();
            co_await socket.async_wait(socket.wait_read, boost::asio::redirect_error(token, error));
        }
        if (error && listener.is_open())
            throw session_error{error, "accept", traits::describe(queue->local()), 0};
    }
}

template <class Protocol, class Executor>
template <class Maker>
std::optional<typename Maker::session_type> accept_queue<Protocol, Executor>::take_queued(
    Executor const& executor, Maker const& maker) noexcept
{
    std::optional<typename Maker::session_type> result;
    if (taken_.empty() && taken_of_batch_ > 0 && listener_.is_open() && !pausing())
    {
        take_batch();
        found_empty_ = taken_.empty();
    }
    if (taken_.empty())
        return result;
    try
    {
        result.emplace(make(executor, taken_.front(), maker));
        tell_accepted(*session_access::connection(*result));
    }
    catch (boost::system::system_error const& failure)
    {
        pause(failure.code());
    }
    catch (std::exception const&)
    {
        pause(boost::asio::error::no_memory);
    }
    taken_.pop_front();
    return result;
}

template <class Protocol, class Executor>
template <class Maker>
typename Maker::session_type accept_queue<Protocol, Executor>::make(
    Executor const& executor, accepted_connection<endpoint_type>& from, Maker const& maker)
{
    if (executor == listener_.get_executor())
    {
        auto made = maker.accepted(executor, from.descriptor(), from.local, from.remote, options_.session);
        from.release();
        return made;
    }
    // The executor's context may have a reactor, but that may be used on its own thread only.
    stream_type stream{executor};
    stream.assign(from.local.protocol(), from.descriptor());
    from.release();
    return maker.accepted(std::move(stream), from.local, from.remote, options_.session);
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::tell(error_code const& error) noexcept
try
{
    if (watcher_)
        watcher_->on_result(0, "accept", traits::describe(local()), error);
}
catch (std::bad_alloc const&)
{
    // It is not told.
}

template <class Protocol, class Executor>
handed_listeners accept_queue<Protocol, Executor>::hand_over(std::string name)
{
    if (!is_open())
        throw session_error{errc::closed, "hand_over", traits::describe(local()), 0};
    handed_listeners result;
    result.add_copy_of(listener_.native_handle(), std::move(name));
    listener_.hand_over();
    return result;
}

template <class Protocol, class Executor>
auto accept_queue<Protocol, Executor>::move_to(Executor const& executor) -> self
{
    auto const result = std::make_shared<accept_queue>(executor, options_);
    result->patience_ = patience_;
    result->counters_ = counters_;
    result->failure_ = failure_;
    result->watcher_ = watcher_;
    result->listener_.take(listener_);
    result->taken_.swap(taken_);
    return result;
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::close() noexcept
{
    if (!is_open())
        return;
    switch (listener_.part())
    {
    case listener_part::none:
        break;
    case listener_part::shared:
        last_takes_ = listener_.queued_at_most();
        take_last();
        break;
    case listener_part::own:
        closing_ = true;
        listener_.refuse_new_clients();
        last_takes_ = 2 * longest_queue(options_.backlog);  // what is queued, and handshakes that have begun
        settled_at_ = std::chrono::steady_clock::now() + patience_;
        settle();
        return;
    }
    discard();
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::settle() noexcept
{
    if (!listener_.is_open())
        return;
    // Ask before the queue is emptied: a handshake that completes in between is then in the queue.
    bool const waits = traits::is_tcp && std::chrono::steady_clock::now() < settled_at_ &&
                       has_handshakes_under_way(listener_.native_handle());
    take_last();
    if (waits && last_takes_ > 0 && listener_.is_open())
    {
        try
        {
            settling_.expires_after(std::chrono::milliseconds{5});
            settling_.async_wait(
                [weak = this->weak_from_this()](error_code const&)
                {
                    if (auto const queue = weak.lock())
                        queue->settle();
                });
            return;
        }
        catch (std::exception const&)
        {
            // No memory to wait.
        }
    }
    listener_.admit_for_others();
    discard();
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::take_last() noexcept
{
    while (last_takes_ > 0 && take_one())
        --last_takes_;
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::discard() noexcept
{
    listener_.close();
    pause_.cancel();
    try
    {
        settling_.cancel();
    }
    catch (std::exception const&)
    {
        // Then it expires, and finds the listener closed.
    }
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::take_batch() noexcept
{
    auto const until = one_at_a_time_ ? taken_of_batch_ + 1 : options_.batch;
    while (taken_of_batch_ < until && take_one())
        ++taken_of_batch_;
    batch_was_full_ = taken_of_batch_ == options_.batch;
    if (batch_was_full_ || taken_of_batch_ < until)
        taken_of_batch_ = 0;
}

template <class Protocol, class Executor>
bool accept_queue<Protocol, Executor>::take_one() noexcept
{
    endpoint_type remote;
    auto size = static_cast<::socklen_t>(remote.capacity());
    error_code error;
    int const descriptor = accept_connection(listener_.native_handle(), remote.data(), &size, error);
    if (descriptor >= 0)
    {
        remote.resize(size);
        return keep(descriptor, remote);
    }
    switch (classify_accept_error(error))
    {
    case accept_error_class::would_block:
        return false;
    case accept_error_class::connection:
        ++counters_.connection_failures;
        // This many failures in a row are not caused by single connections any more.
        if (++broken_in_a_row_ % most_broken_in_a_row != 0)
            return true;
        pause(error);
        return false;
    case accept_error_class::resource:
        pause(error);
        return false;
    case accept_error_class::fatal:
        failure_ = error;
        listener_.close();
        return false;
    }
    return false;
}

template <class Protocol, class Executor>
bool accept_queue<Protocol, Executor>::keep(int descriptor, endpoint_type const& remote) noexcept
{
    // Set the options here if connections do not inherit them from the listener.
    if (!traits::options_are_inherited)
        set_stream_options(descriptor, traits::is_tcp, options_.session);
    try
    {
        taken_.emplace_back(descriptor, local(), remote);
    }
    catch (std::bad_alloc const&)
    {
        accepted_connection<endpoint_type> const given_up{descriptor, local(), remote};
        pause(boost::asio::error::no_memory);
        return false;
    }
    listener_.note_accepted();
    ++counters_.accepted;
    broken_in_a_row_ = 0;
    failures_ = 0;
    backoff_.reset();
    return true;
}

template <class Protocol, class Executor>
void accept_queue<Protocol, Executor>::pause(error_code const& error) noexcept
{
    ++counters_.resource_failures;
    auto const pause = backoff_.next();
    paused_until_ = pause_.clock().now() + pause;
    tell(error);
    if (options_.on_resource_failure)
        options_.on_resource_failure({error, pause, ++failures_});
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
