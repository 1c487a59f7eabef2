// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_SESSION_IPP
#define DUET_DETAIL_ENGINE_SESSION_IPP

// How a session adopts a stream and initiates an operation; the reads that collect into a string, which are loops over
// single reads under one deadline.

#include <algorithm>

#include <duet/session.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// Access to a session's internals for the rest of the library.
struct session_access
{
    template <class Session>
    static auto connection(Session const& session)
    {
        return session.connection_.ref();
    }

    /// See plain_context_of(). Takes no reference to the connection, so another thread may ask, too.
    template <class Session>
    static boost::asio::io_context* plain_context(Session const& session) noexcept
    {
        return session.connection_->plain_context();
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
    static auto wait_input(Session& session)
    {
        return session.template make<readable_or_finish>("wait_readable", reading{read_kind::wait, {}});
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
        reading start{read_kind::message, {}};
        auto const connection = session.connection_.ref();
        detail::begin<std::decay_t<Handler>, false>(
            *connection, start, start.at_once(*connection), std::forward<Handler>(handler));
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

    /// Let the sessions of a context use a reactor. Only one thread may run the context.
    template <class Session>
    static void prepare(boost::asio::io_context& context) noexcept
    {
        Session::connection::prepare(context);
    }
};

// A string fills with zeros when it grows, so a read of a line asks for little room and a read of a whole stream for
// much.
inline constexpr std::size_t line_chunk = 4 * 1024;
inline constexpr std::size_t stream_chunk = 64 * 1024;

}  // namespace detail

template <class Stream>
basic_session<Stream>::basic_session(Stream stream, session_options const& options)
{
    error_code ignored;
    auto const local = stream.lowest_layer().local_endpoint(ignored);
    auto const remote = stream.lowest_layer().remote_endpoint(ignored);
    traits::apply(stream, options);
    traits::prepare(stream);
    connection_ = handle{ref{new connection{std::move(stream), local, remote, options}}};
}

template <class Stream>
template <class Start, class Token>
auto basic_session<Stream>::initiate(Start start, Token&& token)
{
    using signature = void(error_code, std::size_t);
    return boost::asio::async_initiate<Token, signature>(
        [begun = std::move(start)](auto&& handler, detail::connection::ref c) mutable
        {
            using handler_type = std::decay_t<decltype(handler)>;
            constexpr bool is_coroutine = detail::is_awaiting_coroutine<handler_type, signature>::value;
            if (!c)
            {
                auto const executor = boost::asio::get_associated_executor(handler);
                boost::asio::post(executor, [inner = std::forward<decltype(handler)>(handler)]() mutable
                    { std::move(inner)(error_code{errc::closed}, std::size_t{0}); });
                return;
            }
            auto const known = begun.at_once(*c);
            detail::begin<handler_type, is_coroutine>(*c, begun, known, std::forward<decltype(handler)>(handler));
        },
        token, detail::connection::ref{connection_.ref()});
}

template <class Stream>
auto basic_session<Stream>::read_until_delimiter(
    ref c, std::string& buffer, std::string delimiter, std::size_t limit, duration within) -> awaitable<std::size_t>
{
    if (!c)
        throw session_error{errc::closed, "read_until", "an empty session", 0};
    // An empty delimiter would be found at once at position 0, and complete with 0, which means FIN.
    if (delimiter.empty())
        throw session_error{boost::asio::error::invalid_argument, "read_until", c->describe_peer(), 0};
    auto const by = c->deadlines_of_read(within);
    std::size_t searched = 0;
    std::size_t received = 0;
    error_code error;
    for (;;)
    {
        auto const found = buffer.find(delimiter, searched);
        if (found != std::string::npos && found + delimiter.size() <= limit)
        {
            c->first_message_received();
            co_return found + delimiter.size();
        }
        auto const size = buffer.size();
        if (found != std::string::npos || size >= limit)
        {
            error = errc::limit_exceeded;
            break;
        }
        // The delimiter may be split between two reads.
        if (size > 0)
            c->message_begun();
        searched = size < delimiter.size() ? 0 : size - delimiter.size() + 1;
        auto const room = std::min(detail::line_chunk, limit - size);
        buffer.resize(size + room);
        detail::reading const start{kind::some, boost::asio::buffer(buffer.data() + size, room), &by};
        using operation = detail::operation<detail::bytes_and_error, detail::reading>;
        detail::bytes_and_error::type got;
        try
        {
            got = co_await operation{c, "read_until", start};
        }
        catch (...)  // co_await throws at once if the coroutine was cancelled in the meantime
        {
            buffer.resize(size);
            throw;
        }
        buffer.resize(size + got.size);
        received += got.size;
        if (!got.error)
            continue;
        error = got.error;
        if (error == boost::asio::error::eof)
        {
            if (buffer.empty())
                co_return 0;
            error = errc::truncated;
        }
        break;
    }
    throw session_error{error, "read_until", c->describe_peer(), received};
}

template <class Stream>
auto basic_session<Stream>::append_all(ref c, std::string& into, std::size_t limit, duration within)
    -> awaitable<std::size_t>
{
    if (!c)
        throw session_error{errc::closed, "read_all", "an empty session", 0};
    auto const by = c->deadlines_of_read(within);
    std::size_t received = 0;
    error_code error;
    for (;;)
    {
        auto const size = into.size();
        // Asking for one byte more than the limit allows distinguishes more input from the peer's FIN.
        auto const room = std::min(detail::stream_chunk - 1, limit - received) + 1;
        into.resize(size + room);
        detail::reading const start{kind::some, boost::asio::buffer(into.data() + size, room), &by};
        using operation = detail::operation<detail::bytes_and_error, detail::reading>;
        detail::bytes_and_error::type got;
        try
        {
            got = co_await operation{c, "read_all", start};
        }
        catch (...)  // co_await throws at once if the coroutine was cancelled in the meantime
        {
            into.resize(size);
            throw;
        }
        into.resize(size + got.size);
        received += got.size;
        if (got.error == boost::asio::error::eof)
        {
            c->first_message_received();
            co_return received;
        }
        error = got.error ? got.error : received > limit ? error_code{errc::limit_exceeded} : error_code{};
        if (error)
            break;
    }
    throw session_error{error, "read_all", c->describe_peer(), received};
}

template <class Stream>
auto basic_session<Stream>::collect_all(ref c, std::size_t limit, duration within) -> awaitable<std::string>
{
    std::string result;
    co_await append_all(c, result, limit, within);
    co_return result;
}

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
extern template class stream_connection<session::stream_type>;
extern template class stream_connection<unix_session::stream_type>;
}  // namespace detail
extern template class basic_session<session::stream_type>;
extern template class basic_session<unix_session::stream_type>;
#endif

}  // namespace v0
}  // namespace duet

#endif
