// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_RELAY_HPP
#define DUET_RELAY_HPP

#include <boost/asio/awaitable.hpp>

#include <duet/relay_options.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Carry bytes between two connections until both have ended, and end both. A FIN is passed on as a FIN, and the other
/// direction goes on. A failure is passed on as RST, because a part of an answer must not look complete. Both
/// directions run at once, each with its own buffer: a side that accepts no bytes only stops the direction towards it.
///
/// If one side fails after its FIN was passed on, the other side has received everything and is closed gracefully. A
/// reset before that is a failure, as in TCP itself. A failure is noticed even while the other side is silent, and
/// while it accepts no bytes.
///
/// A relay does not know where a message ends. So a drain ends one whose client has sent nothing yet as if the client
/// had sent FIN; one that has carried bytes goes on until its peers end it, or the drain's time is over.
///
/// Completes with the report, also on errors. Both sessions must stay valid until then, and have ended by then.
/// If memory runs out, both connections are reset and the report says so, or std::bad_alloc leaves this coroutine or,
/// from Asio, the context.
/// `options` replaces their idle and half-closed deadlines; their other deadlines still apply.
///
/// Cancellation of any type resets both connections, and the report says so.
/// Both sessions and the calling coroutine must use the same executor.
template <class First, class Second>
boost::asio::awaitable<relay_report, typename First::executor_type> relay(
    First& first, Second& second, relay_options options = {});

#if defined(DUET_SEPARATE_COMPILATION)
extern template boost::asio::awaitable<relay_report> relay(session& first, session& second, relay_options options);
#endif

}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/relay/relay.ipp>

#endif
