// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVED_SESSION_HPP
#define DUET_DETAIL_SERVE_SERVED_SESSION_HPP

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <list>
#include <memory>
#include <utility>

#include <duet/detail/serve/server_state.hpp>
#include <duet/proxy_protocol.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// One session of a server, from the first call of its handler to its end.
template <class Protocol>
struct served_session
{
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;

    /// Reuse this object for a new session.
    void begin(session_type peer, std::shared_ptr<state_type> of, std::chrono::steady_clock::time_point now) noexcept
    {
        began = now;
        session = std::move(peer);
        state = std::move(of);
        aborted = cut = told = served = last_message = false;
        header_due = state->options().proxy_protocol.has_value();
        handshake_due = state_type::session_maker::shakes_hands;
    }

    /// A further session object on the same connection, for the handler.
    session_type handle() const { return session_access::make<session_type>(session_access::connection(session)); }

    /// True: prepare() has to come before the first call of the handler.
    bool needs_preparation() const noexcept { return header_due || handshake_due; }

    boost::asio::awaitable<void> prepare()
    {
        using session_maker = typename state_type::session_maker;
        if (header_due)
        {
            if constexpr (session_maker::shakes_hands)
                session_maker::read_in_the_clear(session, true);
            co_await accept_proxy_header(session, *state->options().proxy_protocol);
            if constexpr (session_maker::shakes_hands)
                session_maker::read_in_the_clear(session, false);
            header_due = false;
        }
        if constexpr (session_maker::shakes_hands)
            co_await session_maker::shake_hands(session);
        handshake_due = false;
    }

    boost::asio::awaitable<void> converse() const { return (*state->on_conversation())(handle()); }

    boost::asio::awaitable<bool> answer(session_type& peer) const { return (*state->on_message())(peer); }

    session_type session;  // keeps the connection open until the handler has ended
    std::shared_ptr<state_type> state;
    std::chrono::steady_clock::time_point began;
    bool aborted = false;
    bool cut = false;            // aborted before it was served to its end
    bool told = false;           // it was asked to finish
    bool served = false;         // it was served to its end, with or without an exception
    bool header_due = false;     // its PROXY header has not been accepted yet
    bool handshake_due = false;  // its handshake has not ended well yet
    bool last_message = false;  // the next message is the last: the session was asked to finish before it waited for it
};

template <class Protocol>
using served_list = std::list<served_session<Protocol>>;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
