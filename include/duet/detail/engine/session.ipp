// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_IPP
#define DUET_DETAIL_ENGINE_SESSION_IPP

// How a session adopts a stream and initiates an operation; the reads that collect into a string, which are loops over
// single reads under one deadline.

#include <algorithm>

#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Access to a session's internals for the rest of the library.
struct session_access
{
    template <class Session>
    static auto connection(Session const& session)
    {
        return session.connection_.ref();
    }

    /// What an operation refers to. Throws std::bad_alloc if the session is empty and there is no memory.
    template <class Session>
    static operation_target target(Session const& session)
    {
        return session.connection_.target();
    }

    /// See plain_context_of(). Takes no reference to the connection, so another thread may ask, too.
    template <class Session>
    static boost::asio::io_context* plain_context(Session const& session) noexcept
    {
        return session.connection_->plain_context();
    }

    /// See remote_control. May be called from any thread.
    template <class Session>
    static owner_ref<remote_control> control(Session const& session)
    {
        return session.connection_.control();
    }

    /// Call `function` with a further session object on the connection, which is one of this kind of sessions.
    template <class Session, class Function>
    static decltype(auto) visit(detail::connection& target, Function& function)
    {
        auto session = Session{typename Session::ref{static_cast<typename Session::connection*>(&target)}};
        return function(session);
    }

    /// See release.hpp.
    template <class Session>
    static typename Session::stream_type release(Session& session)
    {
        auto socket = session.connection_.get("release").release();
        Session const emptied{std::move(session)};
        return socket;
    }

    template <class Session, class Ref>
    static Session make(Ref connection)
    {
        return Session{std::move(connection)};
    }

    /// Move the bytes that a session can read now into a pipe. 0: an ordinary read reports why. Only for sessions that
    /// `splices` allows.
    template <class Session>
    static std::size_t splice(Session& session, splice_pipe& pipe) noexcept
    {
        return session.connection_->splice_at_once(pipe);
    }

    template <class Session>
    static constexpr bool splices = Session::connection::may_splice;

    /// write() of the bytes in a pipe. The pipe must stay valid until the write completes.
    template <class Session>
    static auto write(Session& session, piped_bytes const& bytes)
    {
        return session.template make<bytes_written>("write", writing_piped{bytes});
    }

    /// wait_readable() for code that does not know where a message ends.
    template <class Session>
    static auto wait_input(Session& session, char const* name = "wait_readable")
    {
        return session.template make<readable_or_finish>(name, waiting_to_read{read_kind::wait});
    }

    /// See connection::start_when_quiet().
    template <class Session, class Handler>
    static void when_quiet(Session& session, Handler&& handler)
    {
        auto const connection = session.connection_.ref();
        connection->start_when_quiet(any_completion{std::forward<Handler>(handler), connection->executor(), false});
    }

    /// Count the activity of `other` as activity of `session`. False: `session` has ended even so.
    template <class Session, class Other>
    static bool join_activity(Session& session, Other& other)
    {
        auto const connection = session.connection_.ref();
        connection->join_activity(other.connection_->last_activity());
        return !connection->life().released();
    }

    /// close() without its report.
    template <class Session>
    static auto close(Session& session)
    {
        return session.template make<ignore_error>("close", closing{});
    }

    /// wait_readable() for a handler of (error_code, size). The handler is not called from within this function, unless
    /// there is no memory to post it.
    template <class Session, class Handler>
    static void await_readable(Session& session, Handler&& handler)
    {
        waiting_to_read start{read_kind::message};
        auto const connection = session.connection_.ref();
        detail::begin<std::decay_t<Handler>, false>(
            *connection, start, start.at_once(*connection), std::forward<Handler>(handler));
    }

    /// Create a session of a connected stream, as its constructor does, but it is not the program's.
    template <class Session>
    static Session adopt(typename Session::stream_type&& stream, typename Session::endpoint_type const& local,
        typename Session::endpoint_type const& remote, session_options const& options)
    {
        return Session{Session::made_of(std::move(stream), local, remote, options)};
    }

    /// Create a session that may use the reactor of its context. Throws boost::system::system_error if neither the
    /// reactor nor Asio has memory for its socket.
    template <class Session>
    static Session begin(typename Session::stream_type&& stream, typename Session::endpoint_type const& local,
        typename Session::endpoint_type const& remote, session_options const& options)
    {
        using made_type = typename Session::connection;
        typename Session::ref const made{new made_type{std::move(stream), local, remote, options}};
        if (auto const error = made->begin())
            throw boost::system::system_error{error};
        return Session{made};
    }

    /// The same for a connected, non-blocking descriptor. The session owns it, unless this throws.
    template <class Session>
    static Session begin(typename Session::executor_type const& executor, int descriptor,
        typename Session::endpoint_type const& local, typename Session::endpoint_type const& remote,
        session_options const& options)
    {
        using made_type = typename Session::connection;
        typename Session::ref const made{new made_type{executor, local, remote, options}};
        if (auto const error = made->begin(descriptor))
            throw boost::system::system_error{error};
        return Session{made};
    }

    /// The same for a socket that has connected in the reactor.
    template <class Session, class Connecting>
    static Session begin_connected(typename Session::executor_type const& executor, Connecting& from,
        typename Session::endpoint_type const& local, typename Session::endpoint_type const& remote,
        session_options const& options)
    {
        typename Session::ref const made{new typename Session::connection{executor, local, remote, options}};
        made->begin_connected(from);
        return Session{made};
    }

    /// Let the sessions of a context use a reactor. Only one thread may run the context.
    template <class Session>
    static void prepare(boost::asio::io_context& context) noexcept
    {
        Session::connection::prepare(context);
    }
};

}  // namespace detail

template <class Stream>
basic_session<Stream>::basic_session(Stream stream, session_options const& options)
{
    error_code ignored;
    auto const local = stream.lowest_layer().local_endpoint(ignored);
    auto const remote = stream.lowest_layer().remote_endpoint(ignored);
    *this = basic_session{std::move(stream), local, remote, options};
}

template <class Stream>
auto basic_session<Stream>::made_of(
    Stream&& stream, endpoint_type const& local, endpoint_type const& remote, session_options const& options) -> ref
{
    traits::apply(stream, options);
    traits::prepare(stream);
    return ref{new connection{std::move(stream), local, remote, options}};
}

template <class Stream>
template <class Start, class Token>
auto basic_session<Stream>::initiate(char const* name, Start start, Token&& token)
{
    using signature = void(error_code, std::size_t);
    return boost::asio::async_initiate<Token, signature>(
        [begun = std::move(start), name](auto&& handler, detail::operation_target owner) mutable
        {
            using handler_type = std::decay_t<decltype(handler)>;
            constexpr bool is_coroutine = detail::is_awaiting_coroutine<handler_type, signature>::value;
            if (owner->stands_in()) [[unlikely]]
                return detail::refuse_empty<false, std::size_t>(
                    *owner, name, handler_type{std::forward<decltype(handler)>(handler)});
            auto& c = static_cast<detail::connection&>(*owner);
            if (c.observed()) [[unlikely]]
            {
                auto const* const called = detail::tell_operation(c, begun, name, false);
                auto const result = begun.at_once(c);
                return detail::begin<detail::observed_handler<handler_type>, is_coroutine>(
                    c, begun, result, std::forward<decltype(handler)>(handler), &c, called);
            }
            auto const known = begun.at_once(c);
            detail::begin<handler_type, is_coroutine>(c, begun, known, std::forward<decltype(handler)>(handler));
        },
        token, connection_.target());
}

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
extern template class stream_connection<session::stream_type>;
extern template class stream_connection<unix_session::stream_type>;

template <class T>
using awaitable = boost::asio::awaitable<T, boost::asio::any_io_executor>;

extern template awaitable<std::size_t> read_until_delimiter(
    connection::ref, std::string&, std::string, std::size_t, deadlines::duration);
extern template awaitable<std::size_t> append_all(connection::ref, std::string&, std::size_t, deadlines::duration);
extern template awaitable<std::string> collect_all(connection::ref, std::size_t, deadlines::duration);
}  // namespace detail
extern template class basic_session<session::stream_type>;
extern template class basic_session<unix_session::stream_type>;
#endif

}  // namespace DUET_ABI
}  // namespace duet

#endif
