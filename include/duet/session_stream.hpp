// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_STREAM_HPP
#define DUET_SESSION_STREAM_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/error.hpp>
#include <duet/session_options.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Stands for a handler of any operation. Where a stream uses async_initiate, nothing of the operation is instantiated.
struct probe_handler
{
    void operator()(error_code const&, std::size_t = 0) const noexcept {}
};

// ---- The stream. -----------------------------------------------------------------------------------------------

template <class Stream>
concept movable_stream = std::is_move_constructible_v<Stream>;

template <class Stream>
concept has_executor = requires(Stream& stream)
{
    requires std::convertible_to<typename Stream::executor_type, boost::asio::any_io_executor>;
    {
        stream.get_executor()
        } -> std::convertible_to<typename Stream::executor_type>;
};

template <class Stream>
concept readable_stream = requires(Stream& stream, boost::asio::mutable_buffer buffer, probe_handler handler)
{
    stream.async_read_some(buffer, std::move(handler));
};

template <class Stream>
concept writable_stream = requires(Stream& stream, boost::asio::const_buffer buffer,
    std::span<boost::asio::const_buffer const> buffers, error_code& error)
{
    {
        stream.write_some(buffer, error)
        } -> std::convertible_to<std::size_t>;
    {
        stream.write_some(buffers, error)
        } -> std::convertible_to<std::size_t>;
};

template <class Stream>
concept waitable_stream = requires(Stream& stream, probe_handler handler)
{
    stream.async_wait(Stream::wait_read, std::move(handler));
    stream.async_wait(Stream::wait_write, std::move(handler));
    stream.async_wait(Stream::wait_error, std::move(handler));
};

// ---- Its stream_traits. ----------------------------------------------------------------------------------------

template <class Stream>
concept has_stream_traits = requires
{
    sizeof(stream_traits<Stream>);
};

template <class Stream>
concept has_traits_types = requires
{
    typename stream_traits<Stream>::lowest_layer_type;
    typename stream_traits<Stream>::native_handle_type;
    requires std::copy_constructible<typename stream_traits<Stream>::endpoint_type>;
};

template <class Stream>
concept has_lowest_layer = requires(Stream& stream, error_code& error)
{
    {
        stream.lowest_layer()
        } -> std::convertible_to<typename stream_traits<Stream>::lowest_layer_type&>;
    {
        stream.lowest_layer().local_endpoint(error)
        } -> std::convertible_to<typename stream_traits<Stream>::endpoint_type>;
    {
        stream.lowest_layer().remote_endpoint(error)
        } -> std::convertible_to<typename stream_traits<Stream>::endpoint_type>;
    {
        stream.lowest_layer().native_handle()
        } -> std::convertible_to<typename stream_traits<Stream>::native_handle_type>;
};

template <class Stream>
concept says_half_close = requires
{
    typename std::bool_constant<stream_traits<Stream>::half_close>;
};

template <class Stream>
concept has_apply = requires(Stream& stream, session_options const& options)
{
    stream_traits<Stream>::apply(stream, options);
};

template <class Stream>
concept has_prepare = requires(Stream& stream)
{
    stream_traits<Stream>::prepare(stream);
};

template <class Stream>
concept has_shutdown_send = requires(Stream& stream, error_code& error)
{
    stream_traits<Stream>::shutdown_send(stream, error);
};

template <class Stream>
concept has_reset = requires(Stream& stream)
{
    stream_traits<Stream>::reset(stream);
};

template <class Stream>
concept has_close = requires(Stream& stream)
{
    stream_traits<Stream>::close(stream);
};

template <class Stream>
concept has_cancel = requires(Stream& stream)
{
    stream_traits<Stream>::cancel(stream);
};

template <class Stream>
concept has_discard = requires(Stream& stream, std::size_t limit, error_code& error)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::discard(stream, limit, error)), std::size_t>;
};

template <class Stream>
concept has_unacknowledged = requires(Stream& stream)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::unacknowledged(stream)), std::size_t>;
};

template <class Stream>
concept has_has_input = requires(Stream& stream)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::has_input(stream)), bool>;
};

template <class Stream>
concept has_has_failed = requires(Stream& stream)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::has_failed(stream)), bool>;
};

template <class Stream>
concept has_has_hung_up = requires(Stream& stream)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::has_hung_up(stream)), bool>;
};

template <class Stream>
concept has_take_failure = requires(Stream& stream)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::take_failure(stream)), error_code>;
};

template <class Stream>
concept has_set_dead_peer_timeout = requires(Stream& stream, deadlines::duration timeout)
{
    stream_traits<Stream>::set_dead_peer_timeout(stream, timeout);
};

template <class Stream>
concept has_info = requires(Stream& stream, error_code& error)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::info(stream, error)), duet::tcp_snapshot>;
};

template <class Stream>
concept has_describe = requires(typename stream_traits<Stream>::endpoint_type const& endpoint)
{
    requires std::convertible_to<decltype(stream_traits<Stream>::describe(endpoint)), std::string>;
};

// ---- The engine calls these from functions that are noexcept. There, an exception ends the program. ---------------

template <class Stream>
concept noexcept_apply = noexcept(
    stream_traits<Stream>::apply(std::declval<Stream&>(), std::declval<session_options const&>()));

template <class Stream>
concept noexcept_prepare = noexcept(stream_traits<Stream>::prepare(std::declval<Stream&>()));

template <class Stream>
concept noexcept_shutdown_send = noexcept(
    stream_traits<Stream>::shutdown_send(std::declval<Stream&>(), std::declval<error_code&>()));

template <class Stream>
concept noexcept_reset = noexcept(stream_traits<Stream>::reset(std::declval<Stream&>()));

template <class Stream>
concept noexcept_close = noexcept(stream_traits<Stream>::close(std::declval<Stream&>()));

template <class Stream>
concept noexcept_cancel = noexcept(stream_traits<Stream>::cancel(std::declval<Stream&>()));

template <class Stream>
concept noexcept_discard = noexcept(
    stream_traits<Stream>::discard(std::declval<Stream&>(), std::size_t{}, std::declval<error_code&>()));

template <class Stream>
concept noexcept_unacknowledged = noexcept(stream_traits<Stream>::unacknowledged(std::declval<Stream&>()));

template <class Stream>
concept noexcept_has_input = noexcept(stream_traits<Stream>::has_input(std::declval<Stream&>()));

template <class Stream>
concept noexcept_has_failed = noexcept(stream_traits<Stream>::has_failed(std::declval<Stream&>()));

template <class Stream>
concept noexcept_has_hung_up = noexcept(stream_traits<Stream>::has_hung_up(std::declval<Stream&>()));

template <class Stream>
concept noexcept_take_failure = noexcept(stream_traits<Stream>::take_failure(std::declval<Stream&>()));

template <class Stream>
concept noexcept_set_dead_peer_timeout = noexcept(
    stream_traits<Stream>::set_dead_peer_timeout(std::declval<Stream&>(), deadlines::duration{}));

template <class Stream>
concept noexcept_info = noexcept(stream_traits<Stream>::info(std::declval<Stream&>(), std::declval<error_code&>()));

template <class Stream>
concept has_noexcept_traits =
    noexcept_apply<Stream> && noexcept_prepare<Stream> && noexcept_shutdown_send<Stream> && noexcept_reset<Stream> &&
    noexcept_close<Stream> && noexcept_cancel<Stream> && noexcept_discard<Stream> && noexcept_unacknowledged<Stream> &&
    noexcept_has_input<Stream> && noexcept_has_failed<Stream> && noexcept_has_hung_up<Stream> &&
    noexcept_take_failure<Stream> && noexcept_set_dead_peer_timeout<Stream> && noexcept_info<Stream>;

// ---- What may be absent, and what holds then. ------------------------------------------------------------------

template <class Stream>
constexpr bool tells_hang_up() noexcept
{
    if constexpr (requires { stream_traits<Stream>::tells_hang_up; })
        return stream_traits<Stream>::tells_hang_up;
    else
        return true;
}

template <class Stream>
constexpr bool tells_reset() noexcept
{
    if constexpr (requires { stream_traits<Stream>::tells_reset; })
        return stream_traits<Stream>::tells_reset;
    else
        return true;
}

template <class Stream>
constexpr bool close_says_fin() noexcept
{
    if constexpr (requires { stream_traits<Stream>::close_says_fin; })
        return stream_traits<Stream>::close_says_fin;
    else
        return true;
}

}  // namespace detail

/// What a session needs of a stream, and of its stream_traits (`traits` below), as far as a compiler can check it. What
/// the functions have to do is said here, and asked by testing::check_stream() (duet/testing/stream_conformance.hpp)
/// of a pair of connected streams.
///
/// **Everywhere.** All functions are called on the stream's executor, by one thread at a time. They return at once, and
/// those of the traits and write_some() do not throw: those of the traits are declared noexcept, all but describe().
/// No handler is called from within any of them: it is called later,
/// once, from the execution context. When that is destroyed, the handlers it still has are destroyed, too.
///
/// **The stream**
/// - It can be moved while nothing is under way, which does not throw. Its destructor is a plain close.
/// - `executor_type`, `get_executor()`: what its handlers are called by; convertible to any_io_executor.
/// - `async_read_some(mutable_buffer, handler)`: at least one byte, or the error asio::error::eof at the peer's FIN. A
///   cancelled one has taken no byte. Bytes that came before a failure are read before it.
/// - `write_some(const_buffer, error)`, `write_some(std::span<const_buffer const>, error)`: take what goes, which may
/// be
///   a part, and never wait; would_block where nothing goes. Bytes that were taken are the stream's: one that keeps
///   some for itself sends them by itself.
/// - `async_wait(Stream::wait_read, handler)`: ends when a read would not wait, for bytes, the FIN or a failure; it
///   takes nothing. Bytes that a layer holds count, though the socket below has none.
/// - `async_wait(Stream::wait_write, handler)`: ends when write_some() would take something or fail. One that ends
///   early again and again makes a session busy.
/// - `async_wait(Stream::wait_error, handler)`: ends when the connection can carry nothing any more (has_hung_up()).
/// - One read or wait_read, one wait_write and one wait_error are under way at a time, and do not disturb each other.
///   An operation that cannot begin for lack of memory throws. The memory of the handler's allocator is given back
///   before the handler is called.
/// - `lowest_layer()`, and of that `local_endpoint(error)`, `remote_endpoint(error)`, `native_handle()`.
///
/// **The traits**
/// - `endpoint_type` (can be copied), `lowest_layer_type`, `native_handle_type`.
/// - `half_close`: true: after shutdown_send() the other direction goes on. False: the session's shutdown_send() fails
///   with operation_not_supported and calls nothing here; close() alone calls traits::shutdown_send(), as the goodbye.
/// - `apply(stream, options)`: set options. Called once, before prepare(). What cannot be set is left.
/// - `prepare(stream)`: called once, before the first operation: from now on calls without a handler never wait.
/// - `shutdown_send(stream, error)`: end our direction, behind every byte that was taken: the peer reads those, and
/// then
///   eof. Without half_close it is the goodbye of both directions: the peer answers with its own, and what it still
///   sends may be lost. An error: it was not said, and close() waits for the peer's end until its deadline.
/// - `reset(stream)`: the end of both, at once, such that the peer does not take it for a FIN.
/// - `close(stream)`: the plain close. reset() and close() end all that is under way with operation_aborted.
/// - `cancel(stream)`: end all that is under way with operation_aborted. The stream stays usable.
/// - `discard(stream, limit, error)`: read without waiting and throw away, up to `limit` bytes; their number. 0 without
///   an error is the peer's FIN; would_block: nothing was there.
/// - `unacknowledged(stream)`: bytes that the peer has not acknowledged, with those that a layer still holds. 0 when it
///   has read all; always 0 where that is not known.
/// - `has_input(stream)`: a read would not wait. Bytes that a layer holds count.
/// - `has_failed(stream)`: the connection is broken. Asking consumes nothing.
/// - `has_hung_up(stream)`: nothing will come or go any more: both directions ended, or it broke.
/// - `take_failure(stream)`: the error of a broken connection, else none. It may be told once only.
/// - `set_dead_peer_timeout(stream, timeout)`: may do nothing.
/// - `info(stream, error)`: a tcp_snapshot; or the error operation_not_supported.
/// - `describe(endpoint)`: a name for texts of errors. It may throw for lack of memory.
///
/// **May be absent**
/// - `tells_hang_up`: false: wait_error does not tell the hang-up, and a session looks every 50 ms. Absent: it tells.
/// - `tells_reset`: false: the peer of a reset() may see the FIN instead. Absent: it sees an error that equals
///   condition::reset. A session does not ask; the conformance test does.
/// - `close_says_fin`: false: the stream has a goodbye of its own, and a close() without it is a failure to the peer.
///   Absent: the peer reads eof. A session does not ask; the conformance test does.
/// - `is_tcp`, `options_are_inherited`; a constructor from an executor, and `assign()`: only acceptors and connectors
///   ask for these, and they are for sockets.
template <class Stream>
concept session_stream = detail::movable_stream<Stream> && detail::has_executor<Stream> &&
    detail::readable_stream<Stream> && detail::writable_stream<Stream> && detail::waitable_stream<Stream> &&
    detail::has_stream_traits<Stream> && detail::has_traits_types<Stream> && detail::has_lowest_layer<Stream> &&
    detail::says_half_close<Stream> && detail::has_apply<Stream> && detail::has_prepare<Stream> &&
    detail::has_shutdown_send<Stream> && detail::has_reset<Stream> && detail::has_close<Stream> &&
    detail::has_cancel<Stream> && detail::has_discard<Stream> && detail::has_unacknowledged<Stream> &&
    detail::has_has_input<Stream> && detail::has_has_failed<Stream> && detail::has_has_hung_up<Stream> &&
    detail::has_take_failure<Stream> && detail::has_set_dead_peer_timeout<Stream> && detail::has_info<Stream> &&
    detail::has_describe<Stream> && detail::has_noexcept_traits<Stream>;

}  // namespace DUET_ABI
}  // namespace duet

/// The handler of a check: the operation is looked up, not begun.
template <class Signature>
class boost::asio::async_result<duet::detail::probe_handler, Signature>
{
public:
    using completion_handler_type = duet::detail::probe_handler;
    using return_type = void;

    template <class Initiation, class Handler, class... Arguments>
    static void initiate(Initiation&&, Handler&&, Arguments&&...)
    {
    }
};

#endif
