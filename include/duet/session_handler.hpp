// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_HANDLER_HPP
#define DUET_SESSION_HANDLER_HPP

#include <boost/asio/awaitable.hpp>

#include <type_traits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {

/// Initializes a reference to a session of either kind, but no session: which conversion to use is then ambiguous.
template <class Session>
struct reference_probe
{
    operator Session&() const;
    operator Session&&() const;
};

/// A function, or an object with exactly one operator() that is not a template: it can be asked for its parameter. A
/// template takes a probe for what it is, and may not even compile with one.
template <class Handler>
concept has_one_signature = std::is_pointer_v<Handler> || requires
{
    &Handler::operator();
};

/// Its parameter is session&& or session const&.
template <class Handler, class Session>
concept refers_to_temporary = has_one_signature<Handler> &&
    (std::is_invocable_v<Handler&, Session const&> ||
        (std::is_invocable_v<Handler&, Session> && std::is_invocable_v<Handler&, reference_probe<Session>>));

}  // namespace detail

/// A handler that the server calls once for every session: a function or callable object that takes the session by
/// value and returns an awaitable<void>.
///
/// One that takes `session&&` or `session const&` is none: the coroutine would keep a reference to an object that is
/// gone when it resumes. (A template, as a lambda with an `auto&&` parameter or the result of std::bind_front(), is not
/// examined.)
template <class Handler, class Session>
concept conversation_handler = std::is_invocable_r_v<boost::asio::awaitable<void>, Handler&, Session> &&
                               !detail::refers_to_temporary<Handler, Session>;

/// A handler that the server calls for every message of a session: it takes `session&` and returns an awaitable<bool>.
template <class Handler, class Session>
concept message_handler = std::is_invocable_r_v<boost::asio::awaitable<bool>, Handler&, Session&> &&
                          !detail::refers_to_temporary<Handler, Session>;

/// Either kind of handler.
template <class Handler, class Session>
concept session_handler = conversation_handler<Handler, Session> || message_handler<Handler, Session>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
