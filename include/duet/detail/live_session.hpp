// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_LIVE_SESSION_HPP
#define DUET_DETAIL_LIVE_SESSION_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <duet/detail/server_state.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// One session of a server's after the other, and how far it has come: all that a coroutine which serves them shares
/// with the server.
template <class Protocol>
struct live_session
{
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;

    /// Another one begins.
    void begin(session_type peer, std::shared_ptr<state_type> of, std::uint64_t number) noexcept
    {
        session.emplace(std::move(peer));
        state = std::move(of);
        id = number;
        aborted = cut = told = handled = served = false;
    }

    boost::asio::awaitable<void> handle()
    {
        return state->handler()(session_access::make<session_type>(session_access::connection(*session)));
    }

    std::optional<session_type> session;  // keeps the connection open until its handler has ended
    std::shared_ptr<state_type> state;
    std::uint64_t id = 0;
    bool aborted = false;
    bool cut = false;                           // aborted before it was served to the end
    bool told = false;                          // to finish
    bool handled = false;                       // its handler has ended
    bool served = false;                        // to the end, whichever it was
    boost::asio::cancellation_signal signal{};  // of the coroutine
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
