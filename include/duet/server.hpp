// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVER_HPP
#define DUET_SERVER_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <duet/acceptor.hpp>
#include <duet/detail/serve/server_core.hpp>
#include <duet/detail/serve/server_setup.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace v0 {

/// What a server calls once for every session: a function or a callable object that returns an awaitable<void>.
template <class Handler, class Session>
concept conversation_handler = std::is_invocable_r_v<boost::asio::awaitable<void>, Handler&, Session>;

/// What a server calls for every message of a session: one that returns an awaitable<bool>.
template <class Handler, class Session>
concept message_handler = std::is_invocable_r_v<boost::asio::awaitable<bool>, Handler&, Session&>;

/// What a server calls.
template <class Handler, class Session>
concept session_handler = conversation_handler<Handler, Session> || message_handler<Handler, Session>;

/// An acceptor, and a handler for each session it yields.
///
/// ```cpp
/// asio::awaitable<void> echo(duet::session peer);
///
/// duet::server server{context, {.port = 7777}, echo};
/// return duet::run(context, server);
/// ```
///
/// It serves from its construction on, as soon as the context runs. The handler is a function or a callable object that
/// takes the session and returns `asio::awaitable<void>`; the server keeps it (and what a lambda captured) for as long
/// as a session runs.
///
/// **A handler for each message.** One that takes `duet::session&` and returns `asio::awaitable<bool>` is called
/// whenever there is something to read, as if this were the handler of the session:
///
/// ```cpp
/// for (bool more = true, last = false; more && !last;)
/// {
///     last = peer.finish_requested();
///     bool const readable = co_await peer.wait_readable();
///     if (!readable)
///         break;
///     more = co_await answer(peer);
/// }
/// ```
///
/// But between two calls a session has neither a coroutine nor a buffer, only its connection: about 1,000 bytes, where
/// a coroutine that waits takes 2,500. So it is for many sessions that are silent most of the time. What one call has
/// read and not answered, the next does not get: return when no part of a message is left over. One that has not read
/// what there is, or returns true after it has read the peer's FIN (0 bytes), is called again at once. The reference is
/// good until the call's coroutine ends.
///
/// **The end of a session.** When the handler returns (of one for each message: false, or true when it had been asked
/// to finish before it waited for that message), the session gets close(): FIN, wait for the peer's, confirm. When it
/// throws, the session gets abort(): RST, so that a failed answer never looks complete; the exception is counted and
/// told to server_options::on_session_end, and the server goes on. The session's destructor ends nothing here: the
/// handler's return does, so a session that was moved out of the handler ends with it too.
///
/// **Lack of memory** ends the session it hits, by RST, and is counted; accepting goes on. One thing is beyond the
/// server: Asio ends the program when memory fails again in the moment it destroys a coroutine.
///
/// **Destruction** stops listening and resets every session; no session outlives the server. The graceful end is
/// `co_await drain()`.
///
/// **How its sessions wait.** On Linux, TCP sessions on the server's context, those of a connector too, wait in an
/// epoll of duet's own, which waits in Asio's: two system calls per message, where Asio's sockets take three. A session
/// that is alone waits with Asio, and one whose lowest_layer() was asked for goes back to it. A handler must not wait
/// by running the context itself: others that were told by the same event come after it. (Asio warns of that, too.)
///
/// **Its coroutines are kept.** What co_spawn() makes for the handler serves another session, or another's message,
/// when one has ended; up to 128 wait, for each thread. Most of the memory that a session allocates is so had once for
/// many. Each handler finds the cancellation state of a new coroutine, whatever the one before has done to it. What
/// follows a handler is done on the server's thread, wherever that has ended (in a thread pool, say); but a session
/// that it owns is, as ever, to be destroyed on its own executor. abort(), and a drain that has waited long enough,
/// cancel a handler on the server's thread, and Asio's cancellation is not thread-safe: what may be cancelled while it
/// is on another thread has to be a coroutine of its own, spawned there. With server_options::threads above 1 a handler
/// has to be back from there within a second of the server's destruction, when the contexts of its threads go.
///
/// The context must be run by one thread; for more cores see server_options::threads.
/// Distinct objects: safe. Shared objects: unsafe; use it on the context's thread, except counters().
template <class Protocol>
class basic_server
{
    using state_type = detail::server_state<Protocol>;

public:
    using protocol_type = Protocol;
    using acceptor_type = basic_acceptor<Protocol>;
    using session_type = typename acceptor_type::session_type;
    using endpoint_type = typename Protocol::endpoint;

    /// Listen on `options.address` and `options.port`, and serve. Throws session_error if it cannot listen.
    template <session_handler<session_type> Handler>
        requires(std::is_same_v<Protocol, boost::asio::ip::tcp>)
    basic_server(boost::asio::io_context& context, server_options options, Handler handler)
        : core_{context, detail::listen_for(context, options), options, share(std::move(handler))}
    {
    }

    /// Serve what `listening` accepts, which must live on `context`: a Unix-domain path, an inherited descriptor, a
    /// listener with options of its own. With several threads they share its socket.
    template <session_handler<session_type> Handler>
    basic_server(boost::asio::io_context& context, acceptor_type listening, server_options options, Handler handler)
        : core_{context, std::move(listening), options, share(std::move(handler))}
    {
    }

    basic_server(basic_server const&) = delete;
    basic_server& operator=(basic_server const&) = delete;
    ~basic_server() = default;

    /// Stop, losing nothing: stop listening and serve the clients that are already queued; ask every session to finish
    /// (session::wait_readable() tells the handler; one that begins late is told at once); wait for their ends; reset
    /// what is left after `timeout`, and cancel its handler. Completes when every handler has ended, at the latest a
    /// second after `timeout`. May be called again: it waits for the same end.
    ///
    /// Errors: cancelled. Cancellation of any type stops the waiting; the drain goes on, without its deadline.
    boost::asio::awaitable<drain_report> drain(std::chrono::steady_clock::duration timeout)
    {
        return core_.drain(timeout);
    }

    /// Stop at once: stop listening, reset every session, cancel every handler. Returns at once; drain() tells when all
    /// handlers have ended.
    void abort() { core_.abort(); }

    /// Where it listens.
    endpoint_type const& local_endpoint() const noexcept { return core_.local_endpoint(); }

    /// Any thread.
    server_counters counters() const noexcept { return core_.counters(); }

    /// Why it stopped accepting by itself: an error of a listener. Null as long as it accepts, or was told to stop.
    std::exception_ptr listener_failure() const { return core_.listener_failure(); }

    /// Call `hook` on the context when a listener fails, or at once if one has failed; an empty one takes it back.
    void on_listener_failure(std::function<void()> hook) { core_.on_listener_failure(std::move(hook)); }

    server_options const& options() const noexcept { return core_.options(); }

private:
    /// std::function wants copies; the handler is one object, whose captures its coroutines refer to.
    template <class Handler>
    static typename state_type::handler_type share(Handler handler)
    {
        auto shared = std::make_shared<Handler>(std::move(handler));
        if constexpr (conversation_handler<Handler, session_type>)
            return {
                .conversation = [shared = std::move(shared)](session_type peer) { return (*shared)(std::move(peer)); }};
        else
            return {.message = [shared = std::move(shared)](session_type& peer) { return (*shared)(peer); }};
    }

    detail::server_core<Protocol> core_;
};

using server = basic_server<boost::asio::ip::tcp>;
using unix_server = basic_server<boost::asio::local::stream_protocol>;

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
extern template class server_core<boost::asio::ip::tcp>;
extern template class server_core<boost::asio::local::stream_protocol>;
}  // namespace detail
#endif

}  // namespace v0
}  // namespace duet

#endif
