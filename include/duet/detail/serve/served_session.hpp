// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_SERVED_SESSION_HPP
#define DUET_DETAIL_SERVE_SERVED_SESSION_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include <duet/detail/completion/any_completion.hpp>
#include <duet/detail/serve/server_state.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// One session of a server, from the first call of its handler to its end.
template <class Protocol>
struct served_session
{
    using state_type = server_state<Protocol>;
    using session_type = typename state_type::session_type;

    /// Reuse this object for a new session.
    void begin(session_type peer, std::shared_ptr<state_type> of) noexcept
    {
        session.emplace(std::move(peer));
        state = std::move(of);
        aborted = cut = told = served = last_message = false;
    }

    /// A further session object on the same connection, for the handler.
    session_type handle() const { return session_access::make<session_type>(session_access::connection(*session)); }

    boost::asio::awaitable<void> converse() const { return (*state->on_conversation())(handle()); }

    boost::asio::awaitable<bool> answer(session_type& peer) const { return (*state->on_message())(peer); }

    std::optional<session_type> session;  // keeps the connection open until the handler has ended
    std::shared_ptr<state_type> state;
    bool aborted = false;
    bool cut = false;           // aborted before it was served to its end
    bool told = false;          // it was asked to finish
    bool served = false;        // it was served to its end, with or without an exception
    bool last_message = false;  // the next message is the last: the session was asked to finish before it waited for it
};

template <class Protocol>
using served_list = std::list<served_session<Protocol>>;

/// A coroutine that serves sessions one after another.
template <class Protocol>
struct serving_coroutine
{
    /// Serve this session next. `why` is the error that ended the wait for its message, if there was one.
    void take(typename served_list<Protocol>::iterator session, error_code why) noexcept
    {
        live = session;
        cause = why;
        busy = handles = true;
        swept = false;
    }

    /// True: there is a message to serve. False: the session was asked to finish. Throws any other error that ended the
    /// wait for a message.
    bool has_message() const
    {
        if (cause == errc::draining)
            return false;
        auto const error = !cause && live->aborted ? error_code{errc::aborted} : cause;
        if (error)
            throw session_error{error, "wait_readable", session_access::connection(*live->session)->describe_peer(), 0};
        return true;
    }

    typename served_list<Protocol>::iterator live{};
    error_code cause;
    bool busy = false;      // it has a session to serve
    bool handles = false;   // the session's handler runs
    bool swept = false;     // cancel_handlers() has visited it
    any_completion resume;  // resumes the coroutine; set while it rests

    // Shared with the coroutine, because the coroutine may end after the sessions and this object are gone: its
    // thread's context is destroyed later.
    std::shared_ptr<boost::asio::cancellation_signal> signal = std::make_shared<boost::asio::cancellation_signal>();
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
