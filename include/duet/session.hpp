// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SESSION_HPP
#define DUET_SESSION_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include <duet/canceller.hpp>
#include <duet/close_report.hpp>
#include <duet/detail/channel/stream_requirements.hpp>
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/data_buffers.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/detail/engine/observed_handler.hpp>
#include <duet/detail/engine/operation.hpp>
#include <duet/detail/engine/operation_races.hpp>
#include <duet/detail/engine/read_loop_call.hpp>
#include <duet/detail/engine/read_loops.hpp>
#include <duet/detail/engine/session_handle.hpp>
#include <duet/detail/engine/stream_connection.hpp>
#include <duet/detail/recording/adopted.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>
#include <duet/session_state.hpp>
#include <duet/session_stream.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {

namespace detail {
struct session_access;
}

/// One connection, from handshake to close. Its two directions begin, run and end independently.
///
/// An acceptor, a connector or a server creates sessions; a session can also adopt a connected stream. A session is a
/// handle: moving it does not affect operations under way.
///
/// **Two interfaces.** The coroutine interface (`co_await s.read_some(b)`) returns 0 at the peer's FIN and throws
/// duet::session_error, with the operation, the peer and the bytes so far, for everything else. The Asio interface
/// (`async_read_some`, `async_write_some`, any completion token) reports FIN as asio::error::eof: a session is an
/// AsyncReadStream and AsyncWriteStream, so code written for Asio's streams works on it. An operation of the coroutine
/// interface also accepts a completion token, `co_await s.read_some(b)(asio::as_tuple(asio::deferred))`: its signature
/// is void(error_code, result). Tokens that throw (asio::deferred, use_awaitable, use_future, also inside of Asio's
/// bind functions) get the session_error, too.
///
/// **Errors.** The first terminal error (reset, dead peer, a session deadline, abort, close) stays: every later
/// operation reports it. Bytes that arrived before it are read first. Compare errors with duet::condition.
///
/// **Time.** An operation of the coroutine interface takes a deadline of its own where it is called:
/// `co_await s.read(b).within(5s)`. The session's deadlines count besides.
///
/// **Buffers** belong to the caller and must stay valid until the operation completes.
///
/// **Cancellation.** Every operation obeys the cancellation slot associated with its handler (in a coroutine: the
/// coroutine's), and then completes with asio::error::operation_aborted, which is duet::condition::cancelled. No byte
/// is lost. Each operation says what partial, total and terminal cancellation leave behind.
///
/// **Destruction** is the kernel's plain close. It sends RST instead of FIN if input is unread, which may destroy bytes
/// that the peer has not yet read (RFC 1122 4.2.2.13), and if a write is pending or was cut part-way, because a FIN
/// would make the incomplete message look complete. The graceful end is `co_await close()`. Pending operations complete
/// with errc::closed. In a child that fork() made later, destruction, close() and abort() only close the child's copy:
/// the parent has the same connection. shutdown_send() ends the direction for both.
///
/// Distinct objects: safe. Shared objects: unsafe. Use everything except canceller() on the session's executor only; a
/// context run by several threads needs a strand. Other threads reach it through a duet::remote.
///
/// A moved-from session keeps its executor, as Asio's sockets do. It and a default-constructed one are empty: every
/// operation fails with errc::closed, and their state is that of a session without a byte that has ended. A handler
/// without an executor of its own is called on the executor that was kept. A default-constructed session has none:
/// there the call with such a handler throws session_error, and the handler is not called.
template <class Stream>
class basic_session : public basic_session_state<Stream>
{
    static_assert(detail::stream_requirements<Stream>::checked);

    using state_type = basic_session_state<Stream>;
    using connection = detail::stream_connection<Stream>;
    using handle = detail::session_handle<Stream>;
    using ref = detail::owner_ref<connection>;
    using kind = detail::read_kind;
    using waiting = detail::waiting_to_read;
    using calling = detail::calling;
    using duration = duet::deadlines::duration;

public:
    using stream_type = Stream;
    using traits = stream_traits<Stream>;
    using executor_type = typename state_type::executor_type;
    using endpoint_type = typename state_type::endpoint_type;
    using lowest_layer_type = typename traits::lowest_layer_type;
    using native_handle_type = typename traits::native_handle_type;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// No connection, as after a move. co_spawn() needs this for the types that its coroutines return.
    basic_session() noexcept = default;

    /// Adopt a connected stream and query its endpoints. If it was reset in the meantime, an endpoint may be unknown,
    /// which is no error here.
    explicit basic_session(Stream stream, session_options const& options = {});

    /// Adopt a connected stream whose endpoints are known, as accept and connect do.
    basic_session(
        Stream stream, endpoint_type const& local, endpoint_type const& remote, session_options const& options = {})
        : basic_session{made_of(std::move(stream), local, remote, options)}
    {
        detail::watch_adopted(*connection_.ref());
    }

    basic_session(basic_session&&) noexcept = default;
    basic_session& operator=(basic_session&&) noexcept = default;
    ~basic_session() = default;

    // ---- Receiving. One read at a time: a second one fails with errc::read_in_progress. --------------------------

    /// Read the available bytes: completes with at least one byte, or with 0 at the peer's FIN. After FIN the peer may
    /// still be reading: the other direction goes on.
    ///
    /// Errors: timed_out (the read deadline; you may try again), reset, dead_peer, closed, cancelled. An empty buffer
    /// is refused with invalid_argument, because 0 means FIN. Of a sequence of buffers the first one is used that is
    /// not empty. Cancellation of any type: nothing was read. So a race loses no byte:
    /// `co_await (s.read_some(b) || timer)` reads only when it has won. It throws at once when the session fails.
    template <class Buffers = boost::asio::mutable_buffer>
    auto read_some(Buffers const& buffers)
    {
        return make<detail::bytes_or_end>("read_some", detail::reading_into(kind::some, buffers));
    }

    /// Read exactly the whole buffer: completes with its size. `buffers` is one buffer, or a sequence (an array, vector
    /// or span of them), which is filled in order and copied: only the memory that they refer to must stay valid.
    ///
    /// Errors: as read_some; truncated if the peer's FIN came after some bytes, ended if it came before the first. The
    /// error's bytes_transferred() is the number of bytes in the buffer.
    /// Cancellation: partial and terminal leave the bytes so far in the buffer and report their number; total works
    /// only before the first byte. If it loses a race (||) part-way, nobody is told the number: use within() there.
    template <class Buffers = boost::asio::mutable_buffer>
    auto read(Buffers const& buffers)
    {
        return make<detail::whole_message>("read", detail::reading_into(kind::exact, buffers));
    }

    /// As read(), where the peer may finish instead: between two messages. Completes with true if the whole buffer was
    /// read, with false if the peer's FIN came before the first byte.
    ///
    /// ```cpp
    /// auto const more = co_await s.read_or_end(asio::buffer(header));
    /// if (!more)
    ///     break;
    /// ```
    template <class Buffers = boost::asio::mutable_buffer>
    auto read_or_end(Buffers const& buffers)
    {
        return make<detail::message_or_end>("read_or_end", detail::reading_into(kind::exact, buffers));
    }

    /// Read until `buffer` contains `delimiter`, which it may already do. Completes with the size up to and including
    /// the first delimiter, or with 0 if the peer's FIN comes while `buffer` is empty. Bytes after the delimiter stay
    /// in `buffer`: erase what you have used, and call again.
    ///
    /// Errors: as read_some; truncated if the FIN came and `buffer` has bytes without a delimiter; limit_exceeded if
    /// the delimiter does not end within `limit` bytes. The bytes read are in `buffer` in every case. An empty
    /// delimiter is refused with invalid_argument.
    /// Cancellation: partial and terminal (in a coroutine: as its cancellation state allows) leave the bytes read in
    /// `buffer`.
    auto read_until(std::string& buffer, std::string delimiter, std::size_t limit)
    {
        auto begin = [to = &buffer, delimiter = std::move(delimiter), limit](ref const& c, duration within)
        { return detail::read_until_delimiter<executor_type>(c, *to, delimiter, limit, within); };
        return detail::read_loop_call<connection, decltype(begin)>{
            connection_.target(), "read_until", std::move(begin)};
    }

    /// Read until the peer's FIN and append to `into`; completes with the number of bytes appended.
    ///
    /// Errors: as read_some; limit_exceeded after more than `limit` bytes. The bytes read are in `into` in every case.
    /// Cancellation: as read_until.
    auto read_all(std::string& into, std::size_t limit)
    {
        auto begin = [to = &into, limit](ref const& c, duration within)
        { return detail::append_all<executor_type>(c, *to, limit, within); };
        return detail::read_loop_call<connection, decltype(begin)>{connection_.target(), "read_all", std::move(begin)};
    }

    /// As above, but returns a new string. If it fails, the bytes read are lost.
    auto read_all(std::size_t limit)
    {
        auto begin = [limit](ref const& c, duration within)
        { return detail::collect_all<executor_type>(c, limit, within); };
        return detail::read_loop_call<connection, decltype(begin)>{connection_.target(), "read_all", std::move(begin)};
    }

    /// Wait, without a buffer, until a read would not block. Completes with true when bytes, the peer's FIN or a
    /// failure have arrived; with false if the owner asked the session to finish (server::drain()) and nothing has
    /// arrived. A handler that serves messages should wait here between them: a drain reported at that point loses no
    /// data.
    ///
    /// It checks the connection only. Look first in the string of an earlier read_until(), which may hold more bytes.
    ///
    /// Errors: as read_some. Counts as a read. Cancellation of any type: nothing was read.
    auto wait_readable() { return make<detail::readable_or_finish>("wait_readable", waiting{kind::message}); }

    // A session knows no messages, so it takes the following for the end of one: the program writes while it does not
    // read; it calls wait_readable(); it calls message_received(). Bytes that arrive then begin the next one. The
    // deadlines of messages and request_finish() go by that.

    /// The program has received a whole message. Only needed where it neither answers a message nor waits for the next
    /// one in wait_readable().
    void message_received() noexcept { connection_.call(&connection::message_received); }

    /// The first whole message has arrived: ends deadlines::first_message. Only needed with read_some, if the program
    /// does not answer.
    void first_message_received() noexcept { connection_.call(&connection::first_message_received); }

    /// Ask this session to finish between two messages, as server::drain() does. A read that waits with nothing of a
    /// message begun, now or later, ends with errc::draining when `grace` is over, wait_readable() with false. A
    /// message that begins to arrive before is read first, and asks again after its answer.
    void request_finish(duet::deadlines::duration grace = {}) noexcept
    {
        connection_.call(&connection::request_finish, grace);
    }

    /// True if the owner has asked the session to finish.
    bool finish_requested() const noexcept { return connection_ && connection_->finish_requested(); }

    /// Completes when the owner asks the session to finish; at once if it has. For layers with an end of their own, and
    /// for handlers that wait for something else than the peer.
    ///
    /// Errors: the terminal error of a session that ends before; cancelled.
    /// Cancellation of any type stops the waiting and changes nothing.
    auto wait_finish_requested()
    {
        return make<detail::nothing>(
            "wait_finish_requested", calling{&detail::connection::start_wait_finish_requested});
    }

    // ---- Sending -------------------------------------------------------------------------------------------------

    /// Write all of `data`: one of Asio's buffers or a sequence of them, or a string, a string_view, a span, an array
    /// or a vector of trivially copyable elements; of a string literal all but its final NUL. Its bytes stay the
    /// caller's until the operation completes, so a temporary that owns them is refused. Completes with their size when
    /// the kernel has accepted the last byte. "Written" is not "delivered": the first write after the peer is gone
    /// still succeeds, see delivered().
    ///
    /// Writes may overlap: they queue, first in first out, and each is sent whole or fails. See bytes_queued() and
    /// session_options::queue_limit.
    /// Errors: timed_out (no byte accepted for the write deadline), reset, dead_peer, closed, cancelled;
    /// errc::send_finished after shutdown_send(); errc::queue_full. bytes_transferred() is the number of bytes that the
    /// kernel accepted. A write that ends part-way poisons the send side: later writes and shutdown_send() fail with
    /// errc::send_poisoned, and close() resets, because a FIN would make the incomplete message look complete.
    /// Cancellation: total works only before the first byte is accepted, and leaves the session unchanged; partial and
    /// terminal also work later, and then poison the send side.
    template <class Data>
    auto write(Data&& data)
    {
        auto const buffers = detail::buffers_of(std::forward<Data>(data));
        using start = detail::writing<std::remove_const_t<decltype(buffers)>>;
        // It is large: construct it where it stays.
        return detail::operation<detail::bytes_written, start>{
            connection_.target(), "write", std::in_place, buffers, true};
    }

    /// Finish our direction: send FIN after every accepted write. Completes when the kernel has the FIN. The peer reads
    /// to its end and may still answer: the receive side stays open. Later writes fail.
    ///
    /// May be called again. If the peer is gone it succeeds, and a read or write reports the reset.
    /// Errors: errc::send_poisoned, errc::aborted, closed; the error of a queued write that failed;
    /// operation_not_supported if the stream cannot half-close.
    /// Cancellation of any type stops the waiting; the FIN stays queued.
    auto shutdown_send()
    {
        return make<detail::nothing>("shutdown_send", calling{&detail::connection::start_shutdown_send});
    }

    /// Wait until the peer's TCP has acknowledged every byte written, and the FIN if it was sent (Linux: SIOCOUTQ). On
    /// a Unix-domain socket: until the peer has read them. This does not mean that the peer's program has processed
    /// them. If the system cannot tell, it completes when the kernel has accepted them.
    ///
    /// Errors: reset, dead_peer, closed, errc::send_poisoned. The only deadline is dead_peer.
    /// Cancellation of any type stops the waiting and changes nothing.
    auto delivered() { return make<detail::nothing>("delivered", calling{&detail::connection::start_delivered}); }

    // ---- Ending --------------------------------------------------------------------------------------------------

    /// End the connection without losing data: flush the writes, send FIN, read and discard until the peer's FIN, wait
    /// until our FIN is acknowledged, and close the descriptor. Completes with a report; failures of the peer are in
    /// the report and are not thrown.
    ///
    /// It gives up, with RST, after deadlines::close without progress, or when the peer sends more than
    /// close_discard_limit; after deadlines::close_total it leaves the rest to the kernel. A pending read completes
    /// with errc::closed. May be called again, and several times at once: all calls get the same report. Errors:
    /// cancelled only. Cancellation of any type stops the waiting, but the close goes on: call close() again to wait
    /// for it, or abort().
    auto close() { return make<detail::report_of_close>("close", detail::closing{}); }

    /// End the connection at once: send RST only, unless a FIN was already sent. Destroys bytes that the peer has not
    /// yet read, so that a failed answer never looks complete. Pending operations complete with errc::aborted.
    ///
    /// Unix-domain sockets have no RST: the peer reads the bytes that were sent and then the end, or ECONNRESET only if
    /// we leave input unread.
    void abort() noexcept { connection_.call(&connection::abort); }

    /// Wait, without reading, until the connection can carry no more bytes: reset (peer_reset), dead (dead_peer), both
    /// sides sent FIN (clean), or ended by this side. The peer's FIN alone is not the end: the peer may still be
    /// reading. A Unix-domain peer that closes is noticed at once, and counts as peer_reset unless we have finished,
    /// too. If Asio does not use epoll, the session polls every 50 ms. Only one at a time: a second call fails with
    /// errc::wait_in_progress.
    ///
    /// Cancellation of any type stops the waiting and changes nothing.
    auto wait_peer_gone()
    {
        return make<detail::reason_of_end>("wait_peer_gone", calling{&detail::connection::start_wait_peer_gone});
    }

    /// Complete every pending operation with operation_aborted. A write that is part-way poisons the send side.
    void cancel() noexcept { connection_.call(&connection::cancel_all); }

    /// A handle that cancels or aborts this session from any thread, and may outlive it. Throws std::bad_alloc.
    duet::canceller canceller() const { return duet::canceller{connection_.control()}; }

    /// What the program has to say about this session, for session_end::note. It takes memory only while it is set.
    void set_note(std::string const& text) { connection_ ? connection_->remarks().set_note(text) : void(); }

    /// The descriptor, for socket options. Do not read from it, write to it or close it. Throws session_error (closed)
    /// if this session is empty.
    native_handle_type native_handle() { return connection_.get("native_handle").native_handle(); }

    // ---- The Asio interface -----------------------------------------------------------------------------------------

    /// AsyncReadStream: void(error_code, std::size_t). The peer's FIN is asio::error::eof. Reads into the first buffer
    /// of the sequence that is not empty; if all are empty, completes at once with 0.
    template <class MutableBufferSequence, class Token = boost::asio::default_completion_token_t<executor_type>>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token = {})
    {
        auto const first = detail::first_nonempty<boost::asio::mutable_buffer>(buffers);
        detail::reading const start{first.size() == 0 ? kind::nothing : kind::some, first};
        return initiate("async_read_some", start, std::forward<Token>(token));
    }

    /// AsyncWriteStream: void(error_code, std::size_t). Queues with the writes of the coroutine interface. It may write
    /// a part of the buffers by definition, so a partial write does not poison.
    template <class ConstBufferSequence, class Token = boost::asio::default_completion_token_t<executor_type>>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token = {})
    {
        detail::writing<ConstBufferSequence> start{buffers, false};
        return initiate("async_write_some", std::move(start), std::forward<Token>(token));
    }

    /// For asio::ssl::stream. See native_handle(). Moves a socket from duet's reactor (see server.hpp) to Asio's;
    /// operations under way go on. If there is no memory for that, the session is reset; it may also throw
    /// std::bad_alloc. Throws session_error (closed) if this session is empty.
    lowest_layer_type& lowest_layer() { return connection_.get("lowest_layer").stream().lowest_layer(); }

    lowest_layer_type const& lowest_layer() const { return connection_.get("lowest_layer").stream().lowest_layer(); }

private:
    friend detail::session_access;

    explicit basic_session(ref existing) noexcept : state_type{handle{std::move(existing)}} {}

    static ref made_of(
        Stream&& stream, endpoint_type const& local, endpoint_type const& remote, session_options const&);

    template <class Result, class Start>
    auto make(char const* name, Start start)
    {
        return detail::operation<Result, Start>{connection_.target(), name, std::move(start)};
    }

    template <class Start, class Token>
    auto initiate(char const* name, Start start, Token&& token);

    using state_type::connection_;
};

using session = basic_session<boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::any_io_executor>>;
using unix_session =
    basic_session<boost::asio::basic_stream_socket<boost::asio::local::stream_protocol, boost::asio::any_io_executor>>;

}  // namespace DUET_ABI
}  // namespace duet

#include <duet/detail/engine/session.ipp>

#endif
