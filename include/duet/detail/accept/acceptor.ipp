// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ACCEPT_ACCEPTOR_IPP
#define DUET_DETAIL_ACCEPT_ACCEPTOR_IPP

#include <duet/acceptor.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Access to an acceptor's internals for the server.
struct acceptor_access
{
    /// The further sessions of a batch, without a coroutine.
    template <class Acceptor, class Maker>
    static auto take_queued(Acceptor& acceptor, Maker const& maker) noexcept
    {
        return acceptor.queue_->take_queued(acceptor.get_executor(), maker);
    }

    /// As accept(), of sessions that `maker` makes.
    template <class Acceptor, class Maker>
    static auto accept(Acceptor& acceptor, Maker const& maker)
    {
        return Acceptor::queue_type::accept(acceptor.queue_, acceptor.get_executor(), maker);
    }

    /// See accept_queue::move_to().
    template <class Acceptor>
    static Acceptor move_to(typename Acceptor::executor_type const& executor, Acceptor acceptor)
    {
        if (acceptor.get_executor() != executor)
            acceptor.queue_ = acceptor.queue_->move_to(executor);
        return acceptor;
    }

    template <class Acceptor>
    static void take_one_at_a_time(Acceptor& acceptor) noexcept
    {
        acceptor.queue_->take_one_at_a_time();
    }

    template <class Acceptor>
    static void close_with_others(Acceptor& acceptor) noexcept
    {
        acceptor.queue_->close_with_others();
    }

    /// Close the listener, and do not wait for handshakes that have begun.
    template <class Acceptor>
    static void discard(Acceptor& acceptor) noexcept
    {
        acceptor.queue_->discard();
    }

    /// See duet::trace.
    template <class Acceptor>
    static void watch(Acceptor& acceptor, std::shared_ptr<session_watcher> watcher) noexcept
    {
        acceptor.queue_->watch(std::move(watcher));
    }

    /// Tell its watcher of a session that was accepted.
    template <class Acceptor, class Session>
    static void tell_accepted(Acceptor& acceptor, Session const& made) noexcept
    {
        acceptor.queue_->tell_accepted(*session_access::connection(made));
    }

    /// What it was made with.
    template <class Acceptor>
    static acceptor_options const& options(Acceptor const& acceptor) noexcept
    {
        return acceptor.queue_->options();
    }

    /// The descriptor, for uses that concern no other process.
    template <class Acceptor>
    static int descriptor(Acceptor& acceptor) noexcept
    {
        return acceptor.queue_->descriptor();
    }
};

}  // namespace detail

template <class Protocol, class Executor>
basic_acceptor<Protocol, Executor>::basic_acceptor(
    executor_type const& executor, endpoint_type const& endpoint, acceptor_options options)
    : queue_{std::make_shared<queue_type>(executor, std::move(options))}
{
    queue_->listen(endpoint);
}

template <class Protocol, class Executor>
basic_acceptor<Protocol, Executor>::basic_acceptor(
    executor_type const& executor, inherited_descriptor const& inherited, acceptor_options options)
    : queue_{std::make_shared<queue_type>(executor, std::move(options))}
{
    queue_->inherit(inherited.descriptor);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
