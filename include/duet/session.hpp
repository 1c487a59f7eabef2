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
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/detail/engine/operation.hpp>
#include <duet/detail/engine/stream_connection.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>
#include <duet/session_stream.hpp>
#include <duet/stream_traits.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace v0 {

namespace detail {
struct session_access;
}

/// One connection, from handshake to close: two directions, each of which begins, runs and ends on its own.
///
/// Sessions come from an acceptor, a connector or a server; or adopt a connected stream. A session is a handle: move
/// it, operations under way do not notice.
///
/// **Two faces.** The coroutine face (`co_await s.read_some(b)`) tells the peer's FIN as the value 0 and throws
/// duet::session_error, with the operation, the peer and the bytes so far, for everything else. The Asio face
/// (`async_read_some`, `async_write_some`, any completion token) tells FIN as asio::error::eof: a session is an
/// AsyncReadStream and AsyncWriteStream, so what was written for Asio works on it. An operation of the coroutine face
/// may also be called with a completion token, `co_await s.read_some(b)(asio::as_tuple(asio::deferred))`: its
/// signature is void(error_code, result), and nothing is thrown.
///
/// **Errors.** The first terminal error (reset, dead peer, a session deadline, abort, close) stays: every later
/// operation reports it. Bytes that arrived before it are read first. Compare with duet::condition.
///
/// **Buffers** belong to the caller and must stay until the operation completes.
///
/// **Cancellation.** Every operation heeds the cancellation slot associated with its handler (in a coroutine: the
/// coroutine's), and completes then with asio::error::operation_aborted, which is duet::condition::cancelled. No byte
/// is lost by it. What partial, total and terminal cancellation leave behind is said at each operation.
///
/// **Destruction** is the kernel's plain close: unread input makes it a RST, which may destroy what the peer has not
/// yet read (RFC 1122 4.2.2.13). So does a pending write, and one that was cut part-way: a FIN would make
/// the stump look whole. The graceful end is `co_await close()`. Pending operations complete with errc::closed.
///
/// Distinct objects: safe. Shared objects: unsafe. Everything but canceller() is used on the session's executor alone;
/// a context run by several threads needs a strand.
///
/// A session that was default-constructed or moved from may be destroyed, assigned to, and asked for `valid()`; nothing
/// else.
template <class Stream>
class basic_session
{
    static_assert(detail::stream_requirements<Stream>::checked);

    using connection = detail::stream_connection<Stream>;
    using ref = detail::owner_ref<connection>;
    using kind = detail::read_kind;
    using reading = detail::reading;
    using calling = detail::calling;

public:
    using stream_type = Stream;
    using traits = stream_traits<Stream>;
    using executor_type = typename Stream::executor_type;
    using endpoint_type = typename traits::endpoint_type;
    using lowest_layer_type = typename traits::lowest_layer_type;
    using native_handle_type = typename traits::native_handle_type;

    template <class T>
    using awaitable = boost::asio::awaitable<T, executor_type>;

    /// No connection, as one that was moved from: a place for one to come. (What co_spawn() is to return needs it.)
    basic_session() noexcept = default;

    /// Adopt a connected stream. The endpoints are asked of it; one that was reset in the meantime has none to tell,
    /// which is no error here.
    explicit basic_session(Stream stream, session_options const& options = {})
    {
        error_code ignored;
        auto const local = stream.lowest_layer().local_endpoint(ignored);
        auto const remote = stream.lowest_layer().remote_endpoint(ignored);
        traits::apply(stream, options);
        traits::prepare(stream);
        adopt(ref{new connection{std::move(stream), local, remote, options}});
    }

    /// Adopt a connected stream whose endpoints are known, as accept and connect do.
    basic_session(
        Stream stream, endpoint_type const& local, endpoint_type const& remote, session_options const& options = {})
    {
        traits::apply(stream, options);
        traits::prepare(stream);
        adopt(ref{new connection{std::move(stream), local, remote, options}});
    }

    basic_session(basic_session&& other) noexcept = default;

    basic_session& operator=(basic_session&& other) noexcept
    {
        if (this != &other)
        {
            drop();
            connection_ = std::move(other.connection_);
        }
        return *this;
    }

    ~basic_session() { drop(); }

    bool valid() const noexcept { return static_cast<bool>(connection_); }

    // ---- Receiving. One read at a time: a second one fails with errc::read_in_progress. --------------------------

    /// Read what there is: completes with at least one byte, or with 0 at the peer's FIN. The peer may have finished
    /// and still be listening: the other direction goes on.
    ///
    /// Errors: timed_out (the read deadline; try again if you like), reset, dead_peer, closed, cancelled. An empty
    /// buffer is refused with invalid_argument, since 0 means FIN.
    /// Cancellation of any type: nothing was read.
    auto read_some(boost::asio::mutable_buffer buffer)
    {
        return make<detail::bytes_or_end>("read_some", reading{kind::some, buffer});
    }

    /// Read exactly the whole buffer: completes with its size, or with 0 if the peer's FIN came before the first byte.
    ///
    /// Errors: as read_some; and truncated, when the peer's FIN came in the middle. bytes_transferred() of the error
    /// tells how many bytes are in the buffer.
    /// Cancellation: partial and terminal leave the bytes so far in the buffer, and tell their number; total is heeded
    /// only while there are none.
    auto read(boost::asio::mutable_buffer buffer)
    {
        return make<detail::message_or_end>("read", reading{kind::exact, buffer});
    }

    /// Read until `buffer` holds `delimiter`: completes with the size up to and including its first occurrence, which
    /// may be in there already; or with 0 at the peer's FIN, if `buffer` is empty by then. What follows the delimiter
    /// stays in `buffer`: erase what you have used, and call again.
    ///
    /// Errors: as read_some; truncated, when the FIN came and `buffer` holds something without a delimiter;
    /// limit_exceeded, when `limit` bytes came without one. What was read is in `buffer` in every case. An empty
    /// delimiter is refused with invalid_argument.
    /// Cancellation: partial and terminal (in a coroutine: what its cancellation state lets through) leave what was
    /// read in `buffer`.
    awaitable<std::size_t> read_until(std::string& buffer, std::string delimiter, std::size_t limit)
    {
        return read_until_delimiter(connection_, buffer, std::move(delimiter), limit);
    }

    /// Read until the peer's FIN and append to `into`; completes with the number of bytes appended.
    ///
    /// Errors: as read_some; limit_exceeded after more than `limit` bytes. What was read is in `into` in every case.
    /// Cancellation: as read_until.
    awaitable<std::size_t> read_all(std::string& into, std::size_t limit)
    {
        return append_all(connection_, into, limit);
    }

    /// Read until the peer's FIN. As above, but what was read before an error is lost with it.
    awaitable<std::string> read_all(std::size_t limit) { return collect_all(connection_, limit); }

    /// Wait, holding no buffer, until a read would not wait: for bytes, the peer's FIN or a failure; then true. False:
    /// the owner asked the session to finish (server::drain()), and nothing has arrived. A handler that serves message
    /// after message waits here between them, and so is told of a drain where it loses nothing.
    ///
    /// It asks the connection: what an earlier read_until() left in its string is already yours, so look there first.
    ///
    /// Errors: as read_some. Counts as a read. Cancellation of any type: nothing was read.
    auto wait_readable() { return make<detail::readable_or_finish>("wait_readable", reading{kind::wait, {}}); }

    /// The owner has asked the session to finish (server::drain()).
    bool finish_requested() const noexcept { return connection_->finish_requested(); }

    /// Ask this session to finish: see wait_readable().
    void request_finish() noexcept { connection_->request_finish(); }

    /// The first whole message is here: its absolute deadline is met. Only needed with read_some.
    void first_message_received() noexcept { connection_->first_message_received(); }

    // ---- Sending -------------------------------------------------------------------------------------------------

    /// Write all of `buffers` (one buffer or a sequence): completes with their size when the kernel has taken the last
    /// byte. "Written" is not "delivered": the first write after the peer is gone still succeeds, see delivered().
    ///
    /// Writes may overlap: they queue, first in first out, and each goes out whole or fails.
    /// Errors: timed_out (no byte taken for the write deadline), reset, dead_peer, closed, cancelled;
    /// errc::send_finished after shutdown_send(). bytes_transferred() tells what the kernel had taken. A write that
    /// ends part-way poisons the send side: later writes and shutdown_send() fail with errc::send_poisoned, and close()
    /// resets, since a FIN would make the stump look whole.
    /// Cancellation: total is heeded only before the first byte is taken, and leaves the session as it was; partial
    /// and terminal also later, and poison.
    template <class ConstBufferSequence>
    auto write(ConstBufferSequence const& buffers)
    {
        return make<detail::bytes_written>("write", writing(buffers, true));
    }

    /// Finish our direction: FIN, ordered behind every write that was accepted. Completes when the kernel has the FIN.
    /// The peer reads to its end and may still answer: the receive side stays open. Writes after it fail.
    ///
    /// May be called again, and after the peer is gone: it succeeds, and a read or write reports the reset.
    /// Errors: errc::send_poisoned, errc::aborted, closed; the error of a queued write that failed; and
    /// operation_not_supported where the stream cannot half-close.
    /// Cancellation of any type stops the waiting; the FIN stays queued.
    auto shutdown_send()
    {
        return make<detail::nothing>("shutdown_send", calling{&detail::connection::start_shutdown_send});
    }

    /// Wait until the peer's TCP has acknowledged every byte written, and the FIN if it was sent (Linux: SIOCOUTQ). On
    /// a Unix-domain socket: until the peer has read them. Not that the peer's program has done anything with them.
    /// Where the system cannot tell, it completes when the kernel has taken them.
    ///
    /// Errors: reset, dead_peer, closed, errc::send_poisoned. No deadline but dead_peer.
    /// Cancellation of any type stops the waiting and changes nothing.
    auto delivered() { return make<detail::nothing>("delivered", calling{&detail::connection::start_delivered}); }

    // ---- Ending --------------------------------------------------------------------------------------------------

    /// End the connection so that nothing is lost: flush the writes, send FIN, read and discard until the peer's FIN,
    /// wait until ours is acknowledged, and close the descriptor. Completes with how it went; failures of the peer are
    /// told there and do not throw.
    ///
    /// It gives up, with RST, when there is no progress for deadlines::close, after deadlines::close_total in all, or
    /// when the peer sends more than close_discard_limit. A pending read completes with errc::closed. May be called
    /// again, and several times at once: all get the same report.
    /// Errors: cancelled only. Cancellation of any type stops the waiting, while the close goes on by itself: call
    /// close() again to wait on, or abort().
    auto close() { return make<detail::report_of_close>("close", detail::closing{}); }

    /// End the connection at once: RST and nothing else, unless a FIN is already out. What the peer has not yet read is
    /// destroyed, and an answer that failed never looks complete. Pending operations complete with errc::aborted.
    ///
    /// Unix-domain sockets know no RST: their peer reads what was sent, and then the end; with ECONNRESET only when we
    /// leave input unread.
    void abort() noexcept { connection_->abort(); }

    /// Wait, reading nothing, until the connection can carry nothing any more: reset (peer_reset), dead (dead_peer),
    /// both sides said FIN (clean), or ended from here. A FIN of the peer alone is not gone: it may well be listening.
    /// A Unix-domain peer that closes is seen at once, and is peer_reset unless we have finished too. Where Asio has no
    /// epoll, the session looks for it every 50 ms.
    /// One at a time: a second one fails with errc::wait_in_progress.
    ///
    /// Cancellation of any type stops the waiting and changes nothing.
    auto wait_peer_gone()
    {
        return make<detail::reason_of_end>("wait_peer_gone", calling{&detail::connection::start_wait_peer_gone});
    }

    /// Complete every pending operation with operation_aborted. A write that is part-way poisons the send side.
    void cancel() noexcept { connection_->cancel_all(); }

    /// A handle that cancels or aborts this session from any thread, and may outlive it.
    duet::canceller canceller() { return detail::make_canceller(connection_->control()); }

    // ---- State: none of these throws, waits or asks the peer. ----------------------------------------------------

    duet::receive_state receive_state() const noexcept { return connection_->life().receive(); }

    duet::send_state send_state() const noexcept { return connection_->life().send(); }

    session_state state() const noexcept { return connection_->life().state(); }

    /// Who ended it and how; close_reason::none while it lives.
    duet::close_reason close_reason() const noexcept { return connection_->report().reason; }

    /// The first terminal error, if there was one.
    error_code error() const noexcept { return connection_->error(); }

    /// As of now what close() will report.
    close_report report() const noexcept { return connection_->report(); }

    /// As accept or connect told them: still known when the connection is long gone.
    endpoint_type const& local_endpoint() const noexcept { return connection_->local(); }

    endpoint_type const& remote_endpoint() const noexcept { return connection_->remote(); }

    std::uint64_t bytes_received() const noexcept { return connection_->bytes_received(); }

    std::uint64_t bytes_sent() const noexcept { return connection_->bytes_sent(); }

    /// The kernel's view. Errors: operation_not_supported where there is none (not Linux, not TCP); bad_descriptor
    /// after the end.
    duet::tcp_info tcp_info(error_code& error) const noexcept
    {
        if (!connection_->life().released())
            return connection_->info(error);
        error = boost::asio::error::bad_descriptor;
        return {};
    }

    duet::deadlines const& deadlines() const noexcept { return connection_->limits(); }

    /// Change the deadlines, from now on. A pending operation keeps the one it began with.
    void set_deadlines(duet::deadlines const& values) noexcept { connection_->set_deadlines(values); }

    executor_type get_executor() const noexcept { return connection_->get_executor(); }

    /// The descriptor, for socket options. Reading from it, writing to it or closing it behind the session's back is
    /// not supported.
    native_handle_type native_handle() noexcept { return connection_->native_handle(); }

    // ---- The Asio face -------------------------------------------------------------------------------------------

    /// AsyncReadStream: void(error_code, std::size_t). The peer's FIN is asio::error::eof. Reads into the first buffer
    /// of the sequence that has room; no room at all completes at once with 0.
    template <class MutableBufferSequence, class Token = boost::asio::default_completion_token_t<executor_type>>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token = {})
    {
        auto const first = detail::first_nonempty<boost::asio::mutable_buffer>(buffers);
        return initiate(reading{first.size() == 0 ? kind::nothing : kind::some, first}, std::forward<Token>(token));
    }

    /// AsyncWriteStream: void(error_code, std::size_t). Queues with the writes of the coroutine face; as it may write a
    /// part by its nature, a part does not poison.
    template <class ConstBufferSequence, class Token = boost::asio::default_completion_token_t<executor_type>>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token = {})
    {
        return initiate(writing(buffers, false), std::forward<Token>(token));
    }

    /// What asio::ssl::stream asks for. See native_handle(). A socket that waits in duet's reactor (see server.hpp) is
    /// Asio's from then on; what is under way goes on. If there is no memory for that, the session is reset.
    lowest_layer_type& lowest_layer() noexcept { return connection_->stream().lowest_layer(); }

    lowest_layer_type const& lowest_layer() const noexcept { return connection_->stream().lowest_layer(); }

private:
    friend detail::session_access;

    explicit basic_session(ref existing) noexcept { adopt(std::move(existing)); }

    void adopt(ref existing) noexcept
    {
        connection_ = std::move(existing);
        connection_->add_handle();
    }

    void drop() noexcept
    {
        if (connection_)
            connection_->remove_handle();
        connection_ = {};
    }

    template <class Result, class Start>
    auto make(char const* name, Start start)
    {
        return detail::operation<Result, Start>{connection_, name, std::move(start)};
    }

    template <class ConstBufferSequence>
    static auto writing(ConstBufferSequence const& buffers, bool whole)
    {
        return detail::writing<ConstBufferSequence>{buffers, whole};
    }

    template <class Start, class Token>
    auto initiate(Start start, Token&& token)
    {
        using signature = void(error_code, std::size_t);
        return boost::asio::async_initiate<Token, signature>(
            [begun = std::move(start)](auto&& handler, detail::connection::ref c) mutable
            {
                using handler_type = std::decay_t<decltype(handler)>;
                constexpr bool is_coroutine = detail::is_awaiting_coroutine<handler_type, signature>::value;
                auto const known = begun.at_once(*c);
                detail::begin<is_coroutine>(*c, begun, known, std::forward<decltype(handler)>(handler));
            },
            token, detail::connection::ref{connection_});
    }

    static awaitable<std::size_t> read_until_delimiter(
        ref c, std::string& buffer, std::string delimiter, std::size_t limit);
    static awaitable<std::size_t> append_all(ref c, std::string& into, std::size_t limit);
    static awaitable<std::string> collect_all(ref c, std::size_t limit);

    ref connection_;
};

using session = basic_session<boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::any_io_executor>>;
using unix_session =
    basic_session<boost::asio::basic_stream_socket<boost::asio::local::stream_protocol, boost::asio::any_io_executor>>;

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

#include <duet/detail/engine/session.ipp>

#endif
