// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TLS_ACCEPTOR_HPP
#define DUET_TLS_ACCEPTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/acceptor.hpp>
#include <duet/acceptor_options.hpp>
#include <duet/detail/accept/handshake_queue.hpp>
#include <duet/detail/completion/coroutine_call.hpp>
#include <duet/hand_over.hpp>
#include <duet/over_tls.hpp>
#include <duet/tls_context.hpp>

namespace duet {
inline namespace DUET_ABI {

/// An acceptor that hands out sessions when their TLS handshake has ended well, in the order in which it has.
///
/// ```cpp
/// duet::tls_acceptor acceptor{executor, {boost::asio::ip::tcp::v6(), 7778}, tls};
/// for (;;)
/// {
///     duet::tls_session peer = co_await acceptor.accept();
///     ...
/// }
/// ```
///
/// While an accept() waits, connections are taken from the listener and shake hands beside each other, each within
/// tls_server_options::handshake_timeout: a client that connects and says nothing stops nobody. At most
/// `most_handshakes` sessions shake hands or wait to be handed out; then clients wait in the kernel's queue. A
/// handshake that has begun goes on when no accept() waits. One that fails is told to the client by an alert, to the
/// hook and to handshake_failures(), and to nobody else.
///
/// Distinct objects: safe. Shared objects: unsafe; use it on its executor.
template <class Protocol, class Executor = boost::asio::any_io_executor>
class basic_tls_acceptor
{
    using queue_type =
        detail::handshake_queue<basic_acceptor<Protocol, Executor>, detail::tls_sessions<Protocol, Executor>>;

public:
    using protocol_type = Protocol;
    using executor_type = Executor;
    using acceptor_type = basic_acceptor<Protocol, Executor>;
    using endpoint_type = typename Protocol::endpoint;
    using session_type = typename queue_type::session_type;

    static constexpr std::size_t most_handshakes = 256;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// What accept() returns: an awaitable of session_type that is also called with a completion token.
    using accept_call = detail::coroutine_call<awaitable<session_type>, queue_type>;

    /// Bind and listen. Throws as basic_acceptor, and session_error (invalid_argument) if `tls` is not a server's
    /// context.
    basic_tls_acceptor(
        executor_type const& executor, endpoint_type const& endpoint, tls_context tls, acceptor_options options = {})
        : basic_tls_acceptor{acceptor_type{executor, endpoint, std::move(options)}, std::move(tls)}
    {
    }

    template <class Context>
        requires(std::is_convertible_v<Context&, boost::asio::execution_context&>)
    basic_tls_acceptor(Context& context, endpoint_type const& endpoint, tls_context tls, acceptor_options options = {})
        : basic_tls_acceptor{executor_type{context.get_executor()}, endpoint, std::move(tls), std::move(options)}
    {
    }

    /// Use a listener of your own: an inherited one, or one at a Unix-domain path. Throws session_error
    /// (invalid_argument) as above.
    explicit basic_tls_acceptor(acceptor_type listening, tls_context tls, std::size_t most = most_handshakes)
        : queue_{std::make_shared<queue_type>(
              std::move(listening), detail::tls_sessions<Protocol, Executor>{checked(std::move(tls))}, most)}
    {
    }

    basic_tls_acceptor(basic_tls_acceptor&&) noexcept = default;

    basic_tls_acceptor& operator=(basic_tls_acceptor&& other) noexcept
    {
        std::swap(queue_, other.queue_);
        return *this;
    }

    /// Closes the listener, and resets clients that are in the kernel's queue, shake hands or were not handed out.
    /// Pending calls of accept() fail with errc::closed.
    ~basic_tls_acceptor()
    {
        if (queue_)
            queue_->end();
    }

    /// Completes with the next session. It belongs to the acceptor's executor. Errors, cancellation and several calls
    /// at once: as basic_acceptor::accept(). After close() it returns the sessions whose handshake ends well, and when
    /// none is left fails with errc::closed.
    accept_call accept() { return {queue_type::accept(queue_, get_executor()), *queue_}; }

    /// As above, but the session belongs to `executor`: see basic_acceptor::accept(). Its handshake runs on the
    /// acceptor's executor nevertheless. A session that cannot be moved, for lack of memory, is closed and counted as a
    /// failed handshake.
    accept_call accept(executor_type executor) { return {queue_type::accept(queue_, std::move(executor)), *queue_}; }

    /// Stop listening without resetting a client: see basic_acceptor::close(). Handshakes under way go on, each to its
    /// deadline at most.
    void close() noexcept { queue_->acceptor().close(); }

    /// Call `hook` on the executor when a handshake has failed. An empty function removes the hook. What it throws
    /// leaves the context's run(); the acceptor goes on.
    void on_handshake_failure(std::function<void(session_error const&)> hook) { queue_->on_failure(std::move(hook)); }

    /// How many handshakes have failed.
    std::uint64_t handshake_failures() const noexcept { return queue_->failures(); }

    /// A copy of the listening socket, for a program that takes it over: see basic_acceptor::hand_over(). Handshakes
    /// under way are this acceptor's.
    handed_listeners hand_over(std::string name = {}) { return queue_->acceptor().hand_over(std::move(name)); }

    bool is_open() const noexcept { return queue_->acceptor().is_open(); }

    endpoint_type const& local_endpoint() const noexcept { return queue_->acceptor().local_endpoint(); }

    acceptor_counters const& counters() const noexcept { return queue_->acceptor().counters(); }

    executor_type get_executor() const noexcept { return queue_->get_executor(); }

private:
    static tls_context checked(tls_context tls)
    {
        if (tls.is_client())
            throw session_error{boost::asio::error::invalid_argument, "listen", "a tls_context for clients", 0};
        return tls;
    }

    std::shared_ptr<queue_type> queue_;
};

using tls_acceptor = basic_tls_acceptor<boost::asio::ip::tcp>;
using unix_tls_acceptor = basic_tls_acceptor<boost::asio::local::stream_protocol>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
