// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVE_REQUESTS_HPP
#define DUET_SERVE_REQUESTS_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/detail/requests/request_server.hpp>
#include <duet/error.hpp>
#include <duet/framing.hpp>
#include <duet/request_codec.hpp>
#include <duet/request_options.hpp>
#include <duet/tasks.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Answer the requests of one peer, several at once: the other end of a request_stream. Completes when the peer has
/// finished, or the session was asked to finish (server::drain()), and every request that was read is answered.
///
/// ```cpp
/// asio::awaitable<void> serve(duet::session peer)
/// {
///     co_await duet::serve_requests(peer, duet::length_prefix{.bytes = 4}, 65536, answer_to);
/// }
/// ```
///
/// `handler(request)` is called for each request with its body as a std::string, and returns `awaitable<std::string>`:
/// the answer. Up to serve_requests_options::max_concurrent run at once, on the session's executor; answers go out as
/// they are ready, in any order. While so many run, nothing more is read, so a peer that asks faster than it is
/// answered, or that does not read its answers, is held back by its own window. Answers to requests that have arrived
/// together go out together, if they are ready at once.
///
/// A handler that throws fails the connection: the other handlers are cancelled, and the exception leaves this function
/// when they have ended. An error that the peer shall know belongs into the answer. The session ends meanwhile as in
/// any handler of a server: gracefully when this returns, with a reset when it throws.
///
/// A peer that waits for its answers may be silent: deadlines::read and next_message count only while none of its
/// requests is being answered.
///
/// `limit` is the largest request that is accepted, as that of a frame_reader. The session must outlive this; so must
/// what the handler refers to. In a `co_await` expression, pass the handler as a named object or a function: g++ 12
/// destroys the captures of a temporary twice.
///
/// Errors: what the handler throws; truncated, reset, dead_peer, timed_out, closed; limit_exceeded and malformed_frame,
/// also for a message without an id: condition::invalid_message; session_error (invalid_argument) for an answer that
/// the framing cannot carry. Cancellation: cancels the handlers, and fails with condition::cancelled when they have
/// ended.
template <class Session, framing Framing, class Handler, request_codec Codec = id_prefix>
boost::asio::awaitable<void> serve_requests(Session& peer, Framing how, std::size_t limit, Handler handler,
    serve_requests_options options = {}, Codec codec = {})
{
    static_assert(std::is_invocable_r_v<boost::asio::awaitable<std::string>, Handler&, std::string>,
        "the handler of serve_requests() is handler(std::string) and returns awaitable<std::string>");
    if (options.max_concurrent == 0)
        throw system_error{boost::asio::error::invalid_argument, "serve_requests"};
    auto const executor = co_await boost::asio::this_coro::executor;
    detail::request_server<Session, Framing, Handler, Codec> requests{
        executor, peer, std::move(how), limit, handler, options, codec};
    auto const body = [&requests](tasks& scope) { return requests.run(scope); };
    co_await with_tasks(body);
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
