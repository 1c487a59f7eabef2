// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVER_HPP
#define DUET_SERVER_HPP

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <duet/acceptor.hpp>
#include <duet/detail/serve/handler_requirements.hpp>
#include <duet/detail/serve/server_core.hpp>
#include <duet/detail/serve/server_place.hpp>
#include <duet/detail/serve/server_setup.hpp>
#include <duet/server_options.hpp>
#include <duet/session_handler.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {
struct server_access;
}

/// An acceptor, and a handler for each session that it accepts.
///
/// ```cpp
/// asio::awaitable<void> echo(duet::session peer);
///
/// duet::server server{context, {.port = 7777}, echo};
/// return duet::run(context, server);
/// ```
///
/// It serves as soon as it is constructed and the context runs. The handler is a function or a callable object that
/// takes the session by value and returns `asio::awaitable<void>`; a handler of any other form, except the following,
/// does not compile. The server keeps it (and what a lambda has captured) as long as a session runs.
///
/// **A handler for each message.** A handler that takes `duet::session&` and returns `asio::awaitable<bool>` is called
/// whenever there is something to read, as if the session's handler were this loop:
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
/// The difference is that between two calls a session has no coroutine and no buffer, only its connection: about 800
/// bytes, where a waiting coroutine takes 1,550. So this kind suits many sessions that are silent most of the time.
/// Data that one call has read but not processed is lost for the next call: return only when no part of a message is
/// left over. A handler that leaves input unread, or returns true after it has read the peer's FIN (0 bytes), is called
/// again at once. The reference is valid until the call's coroutine ends.
///
/// **The end of a session.** When the handler returns (a handler for each message: returns false, or returns true after
/// it was asked to finish before it waited for that message), the server does close(): FIN, wait for the peer's FIN,
/// wait for the acknowledgement. When the handler throws, the server does abort(): RST, so that a failed answer never
/// looks complete; it counts the exception, passes it to server_options::on_session_end, and goes on. An exception with
/// errc::draining or errc::next_message_timed_out counts as a return, because it cuts no message, and so does one with
/// errc::ended from this session while no message has begun: the client has finished. The end does not depend on the
/// session's destructor: a session that was moved out of the handler also ends when the handler does.
///
/// **Lack of memory** ends the session that it hits, by RST, and is counted; accepting goes on. There is one exception:
/// Asio ends the program if memory runs out again while it destroys a coroutine.
///
/// **Destruction** stops listening and resets every session; no session outlives the server. The graceful end is
/// `co_await drain()`.
///
/// **How its sessions wait.** On Linux, all TCP sessions on the server's context, including those of a connector, wait
/// in an epoll instance of duet's own, whose descriptor waits in Asio's epoll. This takes two system calls per message
/// instead of the three of Asio's sockets. A session that is alone on its context waits with Asio, and a session moves
/// to Asio when its lowest_layer() is requested. A handler must not run the context itself: sessions that became ready
/// in the same event would wait until it returns. (Asio also advises against that.)
///
/// **Its coroutines are reused.** After a session or a message, the coroutine that co_spawn() created for the handler
/// serves another one; each thread keeps up to 128 idle coroutines. So most of the memory that a session needs is
/// allocated once for many sessions. Each handler starts with the cancellation state of a new coroutine, whatever the
/// previous one has changed. After a handler has ended, the server continues on its own thread, even if the handler
/// ended elsewhere (in a thread pool, for example); but a session that the handler owns must still be destroyed on its
/// own executor. abort(), and a drain whose time is over, cancel handlers on the server's thread, and Asio's
/// cancellation is not thread-safe: work on another thread that may be cancelled must be a separate coroutine, spawned
/// there. With server_options::threads above 1, a handler must be back from another thread within one second after the
/// server's destruction begins, because then the contexts of the server's threads are destroyed.
///
/// **On an executor.** Instead of an io_context, a server may be given any executor, or any execution context that has
/// one, as a thread_pool:
///
/// ```cpp
/// asio::thread_pool pool{4};
/// duet::server server{pool, {.port = 7777, .threads = 4}, echo};
/// return duet::run(server);
/// ```
///
/// It makes no thread: the program runs the executor, on as many threads as it likes. The server has
/// server_options::threads strands over the executor, each with a listener of its own. A session belongs to one of
/// them, as session::get_executor() says, so what is posted to that executor, and the handlers of that strand's
/// sessions, run one at a time, while handlers of different strands run at once. This is also the way for an io_context
/// that several threads run: pass its get_executor(). Sessions wait in Asio's reactor, so an io_context that one thread
/// runs is faster if it is passed itself. If you pass a strand, everything runs on that one; more than one of the
/// server's over it gains nothing.
///
/// All functions of such a server may be called on any thread, but one at a time. Hooks on the server are called on its
/// first strand, those on a session on the session's strand. Destroy the server before the execution context.
///
/// Its destructor may run on any thread. It stops each strand for a moment, and resets all sessions of it there. What
/// these waited for may be told on the destroying thread meanwhile, never at the same time as anything else of that
/// strand. Then it waits for one second at most until all handlers have ended; not for those of a strand that it is
/// called on (your strand, if you have passed one), and not if the thread_pool has been stopped and joined or the
/// io_context has stopped. A handler that has not ended then goes on, with its session reset, and ends on its strand,
/// as does a session whose strand a handler keeps for more than this second; the server's handler object lives as long.
/// To keep a pool's thread waiting may be what keeps a handler from its end: destroy the server elsewhere.
///
/// An exception that leaves what a handler has begun apart from itself, and std::bad_alloc of Asio's, leave the
/// function that runs the executor. A thread_pool ends the program then.
///
/// **Exceptions** of what a handler has begun apart from itself (posted functions, completion handlers) leave the run()
/// of the context that was passed in, whichever thread they come from, except std::bad_alloc on an additional thread.
/// The server goes on when the context is run again.
///
/// **Other threads** may use the executor of a session at any time before the server's destruction: to post to it, and
/// to make sockets and timers on it. They reach the session by a duet::remote or a canceller, which may outlive both.
///
/// **After fork(),** the child has copies of all descriptors. Whatever it does to its copy of the server (drain(),
/// abort(), destruction) closes the copies, and changes nothing for the parent: see acceptor::close(). A child that
/// goes on with the context, or calls exit(), must call its notify_fork() before, as Asio requires. In a child, the
/// destructor of a server with several threads, or on an executor, closes its listeners and leaves the rest as it is,
/// because the threads exist only in the parent. A program that is executed inherits nothing: each descriptor is
/// close-on-exec.
///
/// Only one thread may run an io_context that is passed as such; for more cores see server_options::threads.
/// Distinct objects: safe. Shared objects: unsafe; use it on the context's thread, except counters(), queue() and
/// ready(). On an executor: on any thread, one at a time.
template <class Protocol>
class basic_server
{
    using state_type = detail::server_state<Protocol>;
    using session_maker = typename state_type::session_maker;

    static constexpr bool is_tcp = std::is_same_v<typename state_type::layer::transport, boost::asio::ip::tcp>;

public:
    using protocol_type = Protocol;
    using acceptor_type = typename state_type::acceptor_type;
    using session_type = typename state_type::session_type;
    using endpoint_type = typename Protocol::endpoint;

    /// What drain() returns: an awaitable of drain_report that is also called with a completion token.
    using drain_call = typename detail::server_core<Protocol>::drain_call;

    /// Listen on `options.address` and `options.port`, and serve. Throws session_error if listening fails.
    template <class Handler>
        requires(is_tcp)
    basic_server(boost::asio::io_context& context, server_options options, Handler handler)
        : basic_server{detail::server_place{context}, options, std::move(handler)}
    {
    }

    /// As above, on strands over an executor, or over that of an execution context, as a thread_pool.
    template <detail::strands_place Where, class Handler>
        requires(is_tcp)
    basic_server(Where&& where, server_options options, Handler handler)
        : basic_server{detail::server_place{where}, options, std::move(handler)}
    {
    }

    /// Serve the connections that `listening` accepts: for a Unix-domain path, an inherited descriptor, or a listener
    /// with its own options. Its executor must be that of `context`. With several threads, they share its socket unless
    /// it has reuse_port.
    template <class Handler>
    basic_server(boost::asio::io_context& context, acceptor_type listening, server_options options, Handler handler)
        : core_{detail::server_place{context}, std::move(listening), options, share(std::move(handler))}
    {
    }

    /// As above, on strands. `listening` may have any executor, and must have no accept() pending: it moves to a
    /// strand.
    template <detail::strands_place Where, class Handler>
    basic_server(Where&& where, acceptor_type listening, server_options options, Handler handler)
        : basic_server{detail::server_place{where}, std::move(listening), options, std::move(handler)}
    {
    }

    /// Take over listeners of a service manager or of a predecessor that has handed them over
    /// (inherited_descriptors()). If there are none, listen on `options.address` and `options.port` (TCP only), as the
    /// first program does. Each listener has a queue of its own, so there are as many threads as listeners, or
    /// `options.threads` if that is more.
    ///
    /// Throws session_error if one is not such a listener; those that were not taken over yet stay open.
    template <class Handler>
    basic_server(boost::asio::io_context& context, std::vector<inherited_descriptor> const& inherited,
        server_options options, Handler handler)
        : basic_server{detail::server_place{context}, inherited, options, std::move(handler)}
    {
    }

    /// As above, on strands, of which there are then as many as listeners, or `options.threads` if that is more.
    template <detail::strands_place Where, class Handler>
    basic_server(
        Where&& where, std::vector<inherited_descriptor> const& inherited, server_options options, Handler handler)
        : basic_server{detail::server_place{where}, inherited, options, std::move(handler)}
    {
    }

    basic_server(basic_server const&) = delete;
    basic_server& operator=(basic_server const&) = delete;
    ~basic_server() = default;

    /// Stop without losing data: stop listening and serve the clients that are queued, or whose handshake has begun
    /// (for how long it waits for these, see acceptor::close(); with share_port it is 250 ms); ask every session to
    /// finish, sessions that begin later at once (session::request_finish() says what the handler's read is told, and
    /// when); wait until they end; after `timeout`, reset the remaining sessions and cancel their handlers. Completes
    /// when every handler has ended, at the latest one second after `timeout`. May be called again: it waits for the
    /// same end.
    ///
    /// Errors: cancelled. Cancellation of any type stops the waiting; the drain goes on, without its deadline.
    ///
    /// It also accepts a completion token, `server.drain(10s)(handler)`, as acceptor::accept() does. Its signature is
    /// void(error_code, drain_report).
    drain_call drain(std::chrono::steady_clock::duration timeout) { return core_.drain(timeout); }

    /// Stop at once: stop listening, reset every session, cancel every handler. Does not wait; drain() completes when
    /// all handlers have ended.
    void abort() { core_.abort(); }

    /// False once drain() or abort() was called: what a program answers to the question whether it is ready for more
    /// clients. May be called from any thread.
    bool ready() const noexcept { return core_.ready(); }

    /// Copies of its listeners, one for each thread, for a program that takes them over: see handed_listeners and
    /// acceptor::hand_over(). The server goes on; drain it when the other program serves. Throws session_error: closed,
    /// after drain() or abort(); no descriptor is left.
    handed_listeners hand_over(std::string const& name = {}) { return core_.hand_over(name); }

    /// The endpoint that it listens on.
    endpoint_type const& local_endpoint() const noexcept { return core_.local_endpoint(); }

    /// May be called from any thread.
    server_counters counters() const noexcept { return core_.counters(); }

    /// The kernel's queues of clients that wait for accept: the sums over all listeners. It asks the kernel, so call it
    /// for what is shown, not for each session. Errors: closed, once it does not accept any more;
    /// operation_not_supported if the system has no TCP_INFO, or if this is not TCP. May be called from any thread.
    listen_queue queue(error_code& error) const noexcept { return core_.queue(error); }

    /// The error of a listener that made the server stop accepting. Null while it accepts, or if it was asked to stop.
    std::exception_ptr listener_failure() const { return core_.listener_failure(); }

    /// Call `hook` on the context, or on the first strand, when a listener fails, or at once if one has failed already.
    /// An empty function removes the hook.
    void on_listener_failure(std::function<void()> hook) { core_.on_listener_failure(std::move(hook)); }

    server_options const& options() const noexcept { return core_.options(); }

private:
    template <class Handler>
    basic_server(detail::server_place place, server_options const& options, Handler handler)
        : core_{place, detail::listen_for(place.executor(), options), options, share(std::move(handler))}
    {
    }

    template <class Handler>
    basic_server(detail::server_place place, acceptor_type listening, server_options const& options, Handler handler)
        : core_{place, detail::acceptor_access::move_to(place.executor(), std::move(listening)), options,
              share(std::move(handler))}
    {
    }

    template <class Handler>
    basic_server(detail::server_place place, std::vector<inherited_descriptor> const& inherited,
        server_options const& options, Handler handler)
        : core_{place, detail::take_over<typename state_type::layer::transport>(place.executor(), inherited, options),
              options, share(std::move(handler)), inherited}
    {
    }

    template <class Handler>
    static typename state_type::handler_type share(detail::handler_of_layer<session_maker, Handler> both)
    {
        return share(std::move(both.handler), std::move(both.sessions));
    }

    /// Share one handler object: std::function requires copies, but coroutines refer to the captures of that one
    /// object.
    template <class Handler>
    static typename state_type::handler_type share(Handler handler, session_maker sessions = {})
    {
        static_assert(detail::handler_requirements<Handler, session_type>::checked);
        if constexpr (session_handler<Handler, session_type>)
        {
            auto shared = std::make_shared<Handler>(std::move(handler));
            if constexpr (conversation_handler<Handler, session_type>)
                return {.sessions = std::move(sessions),
                    .conversation = [shared = std::move(shared)](session_type peer)
                    { return (*shared)(std::move(peer)); }};
            else
                return {.sessions = std::move(sessions),
                    .message = [shared = std::move(shared)](session_type& peer) { return (*shared)(peer); }};
        }
        else
            return {.sessions = std::move(sessions)};  // refused above
    }

    friend detail::server_access;

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

}  // namespace DUET_ABI
}  // namespace duet

#endif
