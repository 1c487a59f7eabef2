// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SERVE_HANDLER_REQUIREMENTS_HPP
#define DUET_DETAIL_SERVE_HANDLER_REQUIREMENTS_HPP

#include <duet/session_handler.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Instantiated once for each handler of a server: says in one line what is wrong with it.
template <class Handler, class Session>
struct handler_requirements
{
    static constexpr bool dangles = refers_to_temporary<Handler, Session>;

    static_assert(!dangles,
        "duet: a handler that takes session&& or session const& refers to an object that is gone when its coroutine "
        "resumes: take the session by value, or as session& and return awaitable<bool>: see session_handler");
    static_assert(dangles || session_handler<Handler, Session>,
        "duet: a handler is either awaitable<void>(session), called for each session, or awaitable<bool>(session&), "
        "called for each message: see session_handler");

    static constexpr bool checked = true;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
