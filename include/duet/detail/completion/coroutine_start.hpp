// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_COROUTINE_START_HPP
#define DUET_DETAIL_COMPLETION_COROUTINE_START_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/version.hpp>

#include <exception>
#include <utility>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// co_spawn() calls a coroutine from one of its own, whose frame takes 480 bytes as long as the coroutine is there, and
// cancels it by a signal in between. A coroutine that needs nothing of that can be the first frame itself: what Asio
// starts then has had the same type from Boost 1.81 to 1.88. With another Boost, co_spawn() starts it.

#if BOOST_VERSION >= 108100 && BOOST_VERSION < 108900 && !defined(DUET_DETAIL_CO_SPAWN_ONLY)

/// What the function that is started returns.
using started_coroutine =
    boost::asio::awaitable<boost::asio::detail::awaitable_thread_entry_point, boost::asio::any_io_executor>;

/// Run coroutine(argument) on `executor`, on which the caller runs, until it waits. It has `slot` for itself, which it
/// must not outlive. It must not throw. It keeps no work outstanding. Throws std::bad_alloc; `argument` is then
/// destroyed.
template <class Argument>
void start_coroutine(boost::asio::any_io_executor const& executor, boost::asio::cancellation_slot slot,
    started_coroutine (*coroutine)(Argument), Argument argument)
{
    boost::asio::cancellation_state const state{slot};
    boost::asio::detail::awaitable_thread<boost::asio::any_io_executor>{
        coroutine(std::move(argument)), executor, slot, state}
        .launch();
}

#else

using started_coroutine = boost::asio::awaitable<void>;

template <class Argument>
void start_coroutine(boost::asio::any_io_executor const& executor, boost::asio::cancellation_slot slot,
    started_coroutine (*coroutine)(Argument), Argument argument)
{
    boost::asio::co_spawn(executor, coroutine(std::move(argument)),
        boost::asio::bind_cancellation_slot(slot, [](std::exception_ptr const&) {}));
}

#endif

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
