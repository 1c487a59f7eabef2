// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_ACCEPTOR_HPP
#define DUET_ACCEPTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/acceptor_options.hpp>
#include <duet/detail/accept/accept_queue.hpp>
#include <duet/detail/completion/coroutine_call.hpp>
#include <duet/hand_over.hpp>
#include <duet/inherited.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {
struct acceptor_access;
}

/// A listening port or Unix-domain path that accepts sessions.
///
/// It listens as soon as it is constructed. An error of a single connection is counted and skipped. If the system has
/// no descriptor or memory left, the acceptor waits (5 ms, doubling up to 1 s), calls its hook and tries again;
/// meanwhile clients wait in the kernel's queue. A connection that it has taken and has no memory to make a session of
/// is reset, or closed if the session was to have an executor of its own. Only an error of the listener itself is
/// thrown, and std::bad_alloc if accept() has no memory to wait.
///
/// ```cpp
/// duet::acceptor acceptor{executor, {boost::asio::ip::tcp::v6(), 7777}};
/// for (;;)
/// {
///     duet::session peer = co_await acceptor.accept();
///     ...
/// }
/// ```
///
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor.
template <class Protocol, class Executor = boost::asio::any_io_executor>
class basic_acceptor
{
    using queue_type = detail::accept_queue<Protocol, Executor>;

public:
    using protocol_type = Protocol;
    using executor_type = Executor;
    using endpoint_type = typename Protocol::endpoint;
    using session_type = typename queue_type::session_type;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// What accept() returns: an awaitable of session_type that is also called with a completion token.
    using accept_call = detail::coroutine_call<awaitable<session_type>, queue_type>;

    /// Bind and listen. Throws session_error, which names the failed call and the endpoint: address in use, permission
    /// denied, ...
    basic_acceptor(executor_type const& executor, endpoint_type const& endpoint, acceptor_options options = {});

    /// Take over a socket that already listens. The options of the socket itself (backlog, reuse) stay as they are.
    /// Throws session_error if it does not listen or has another protocol; the caller then still owns the descriptor.
    basic_acceptor(executor_type const& executor, inherited_descriptor const& inherited, acceptor_options options = {});

    template <class Context, class Source>
        requires(std::is_convertible_v<Context&, boost::asio::execution_context&>)
    basic_acceptor(Context& context, Source const& source, acceptor_options options = {})
        : basic_acceptor{executor_type{context.get_executor()}, source, std::move(options)}
    {
    }

    basic_acceptor(basic_acceptor&&) noexcept = default;
    basic_acceptor& operator=(basic_acceptor&&) noexcept = default;

    /// Closes the listener. The kernel resets the clients in its queue. To avoid that, call close() and accept the rest
    /// first.
    ~basic_acceptor()
    {
        if (queue_)
            queue_->discard();
    }

    /// Completes with the next session. It takes connections from the kernel's queue in batches; this object keeps the
    /// rest of a batch for later calls.
    ///
    /// Errors (session_error): closed, after close() and after the last queued session; cancelled; an error of the
    /// listener itself. Cancellation of any type: no connection is lost, the next call gets it.
    ///
    /// Several calls may be pending at once: each gets sessions of its own, in no fixed order, and each may be
    /// cancelled by itself. close() and the destructor end all of them: closed.
    ///
    /// It also accepts a completion token, `acceptor.accept()(handler)`. Its signature is
    /// void(error_code, session_type). The handler is not called from within its initiating function. Tokens that throw
    /// get the exception, all others its code; std::bad_alloc is asio::error::no_memory then.
    accept_call accept() { return {queue_type::accept(queue_, get_executor()), *queue_}; }

    /// As above, but the session belongs to `executor`: for a pool of threads, where each session needs a strand of its
    /// own, or for another context:
    ///
    /// ```cpp
    /// duet::session peer = co_await acceptor.accept(asio::make_strand(pool));
    /// auto const executor = peer.get_executor();
    /// asio::co_spawn(executor, serve(std::move(peer)), asio::detached);
    /// ```
    ///
    /// The acceptor itself needs an executor that runs one thing at a time, too: a context that one thread runs, or a
    /// strand. Move the session to its executor without using it before. Its socket waits in Asio's reactor.
    accept_call accept(executor_type executor) { return {queue_type::accept(queue_, std::move(executor)), *queue_}; }

    /// Stop listening without resetting a client: refuse new handshakes (Linux, TCP), move the kernel's queue into this
    /// object, and close the listener. accept() then returns the queued sessions, and after that fails with
    /// errc::closed. Returns at once. Idempotent.
    ///
    /// A client whose handshake is complete is in the queue, and is served. While handshakes have begun and are not
    /// complete (Linux, TCP), the listener stays for up to 1.5 s, with acceptor_options::reuse_port for up to 250 ms,
    /// and accept() returns those that complete; run the context meanwhile. Whoever is later is reset, and so is a
    /// handshake with a SYN cookie (the kernel's answer to a flood of SYNs) that completes after this call. New clients
    /// repeat their SYN after a second, and are then refused or reach another listener of the port.
    ///
    /// However many clients keep connecting, it takes at most twice what the queue can hold; of an inherited listener,
    /// at most what the queue holds at the time of the call. If the system has no descriptor for a queued connection,
    /// the kernel resets it, and it is counted.
    ///
    /// Other processes may hold the listener, too: after fork(), or because it was inherited or handed over. For them
    /// it goes on:
    /// - In a forked child that has not accepted from it, close() closes the child's copy and takes nothing. In a child
    ///   that has accepted, it takes the connections that are queued at the time of the call.
    /// - An inherited listener, or one that was handed over: close() takes what is queued at the time of the call, and
    ///   refuses nobody. Who connects later is in the queue of the others; if there are none, the kernel resets them.
    /// - If this process has forked, or native_handle() was called, new handshakes are refused only until the queue is
    ///   empty. A client that connects in the microseconds from then to the end of the call is in the queue of the
    ///   others, or reset if there are none.
    /// - Only the process that made a Unix-domain listener removes its file. It does so first, so new clients are
    ///   refused.
    void close() noexcept { queue_->close(); }

    /// A copy of the listening socket, for a program that takes it over: see handed_listeners. This acceptor goes on,
    /// and its close() then leaves new clients to the other program, and the file of a Unix-domain path to its next
    /// owner, who replaces it. Throws session_error: closed; no descriptor is left.
    handed_listeners hand_over(std::string name = {}) { return queue_->hand_over(std::move(name)); }

    bool is_open() const noexcept { return queue_->is_open(); }

    /// The endpoint that it listens on; with port 0, the port that the system has chosen.
    endpoint_type const& local_endpoint() const noexcept { return queue_->local(); }

    /// The current state of the kernel's accept queue. Errors: operation_not_supported if the system has no TCP_INFO.
    listen_queue queue(error_code& error) const noexcept { return queue_->kernel_queue(error); }

    acceptor_counters const& counters() const noexcept { return queue_->counters(); }

    executor_type get_executor() const noexcept { return queue_->get_executor(); }

    /// The descriptor. After this call, close() assumes that other processes may hold a copy.
    int native_handle() noexcept { return queue_->native_handle(); }

private:
    friend detail::acceptor_access;

    std::shared_ptr<queue_type> queue_;
};

using acceptor = basic_acceptor<boost::asio::ip::tcp>;
using unix_acceptor = basic_acceptor<boost::asio::local::stream_protocol>;

#if defined(DUET_SEPARATE_COMPILATION)
namespace detail {
using tcp_accept_queue = accept_queue<boost::asio::ip::tcp, boost::asio::any_io_executor>;
using unix_accept_queue = accept_queue<boost::asio::local::stream_protocol, boost::asio::any_io_executor>;
extern template class accept_queue<boost::asio::ip::tcp, boost::asio::any_io_executor>;
extern template class accept_queue<boost::asio::local::stream_protocol, boost::asio::any_io_executor>;
extern template boost::asio::awaitable<session> tcp_accept_queue::accept(
    tcp_accept_queue::self, boost::asio::any_io_executor, tcp_accept_queue::session_maker);
extern template boost::asio::awaitable<unix_session> unix_accept_queue::accept(
    unix_accept_queue::self, boost::asio::any_io_executor, unix_accept_queue::session_maker);
}  // namespace detail
extern template class basic_acceptor<boost::asio::ip::tcp>;
extern template class basic_acceptor<boost::asio::local::stream_protocol>;
#endif

}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/accept/acceptor.ipp>

#endif
