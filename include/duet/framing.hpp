// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_FRAMING_HPP
#define DUET_FRAMING_HPP

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <duet/detail/engine/data_buffers.hpp>
#include <duet/detail/engine/frame_awaiter.hpp>
#include <duet/detail/engine/frame_buffer.hpp>
#include <duet/detail/engine/frame_operations.hpp>
#include <duet/detail/engine/operation.hpp>
#include <duet/error.hpp>
#include <duet/frame_layout.hpp>
#include <duet/session.hpp>

namespace duet {
inline namespace DUET_ABI {

/// Reads whole messages from a session. `Framing` says how messages are told apart: length_prefix, varint_prefix,
/// delimiter, lines, fixed_size (duet/frame_layout.hpp), or whatever satisfies the concept duet::framing.
///
/// ```cpp
/// duet::frame_reader messages{peer, duet::length_prefix{.bytes = 4}, 65536};
/// for (;;)
/// {
///     auto const message = co_await messages.next();
///     if (!message)
///         break;
///     use(*message);
/// }
/// ```
///
/// It reads as much as is there into a buffer of its own, and holds what came behind a message: the session's other
/// reads do not see it. The session may be moved meanwhile. Destroy the reader only when no next() is under way.
/// Distinct objects: safe. Shared objects: unsafe. Use it on the session's executor.
template <framing Framing>
class frame_reader
{
public:
    /// `limit` is the largest frame that is accepted, in bytes and with what stands before and behind the message. It
    /// is checked as soon as the size is known. The buffer grows with the bytes that have arrived, and not because a
    /// prefix announces many: to at most `limit`, or 4 KiB if that is more.
    template <class Session>
    frame_reader(Session& from, Framing how, std::size_t limit)
        : codec_{std::move(how)}, input_{codec_, limit}, target_{detail::session_access::target(from)}
    {
    }

    frame_reader(frame_reader const&) = delete;
    frame_reader& operator=(frame_reader const&) = delete;

    /// The next message, without what stands around it; valid until the next call. Nothing where there are no more: the
    /// peer has finished after a whole message, or the session was asked to finish (server::drain()) and none has
    /// begun. After that request it gives the messages that have arrived, and reads once more, for one that has begun:
    /// a client that goes on sending does not hold the drain.
    ///
    /// A message that is in the buffer already is given at once, without a system call; a coroutine that awaits it is
    /// not even suspended. Others that wait on the executor have their turn after about a thousand of them.
    /// Takes a completion token, and `within()`, as an operation of the session:
    /// void(error_code, std::optional<std::string_view>).
    ///
    /// Where messages begin and end is known here, so deadlines::next_message, message and first_message count exactly.
    ///
    /// Errors: as session::read_some(); truncated if the peer's FIN came in the middle of a message; limit_exceeded;
    /// malformed_frame. The last two stay, because what follows cannot be told apart: both are
    /// condition::invalid_message.
    /// Cancellation of any type: what was read stays for the next call. With || use within() instead: a message that
    /// loses a race is lost.
    auto next() { return next_after(nullptr); }

    /// The next message if it is in the buffer already, else nothing: next() then reads, or says why there is none. For
    /// a program that serves what has arrived together, also where it cannot await.
    ///
    /// ```cpp
    /// auto message = co_await messages.next();
    /// for (; message; message = messages.next_buffered())
    ///     messages.put(answer_to(*message));
    /// ```
    ///
    /// Not while a next() is under way: there is nothing then.
    std::optional<std::string_view> next_buffered()
    {
        if (input_.promised() || !input_.look(codec_) || input_.error())
            return {};
        return input_.take();
    }

    /// The bytes that were received behind the last message: for a protocol that goes on without frames.
    std::string_view unread() const noexcept { return input_.rest(); }

protected:
    auto next_after(detail::frame_output* output)
    {
        input_.look(codec_);  // here the framing's type is known; the operation then need not look
        return detail::frame_read{target_, "next", detail::reading_frame{input_, output}};
    }

    std::string peer() const
    {
        return target_->stands_in() ? "an empty session"
                                    : static_cast<detail::connection const&>(*target_).describe_peer();
    }

    detail::codec_of<Framing> codec_;
    detail::frame_buffer input_;
    detail::operation_target target_;
};

/// Reads and writes whole messages of a session.
///
/// ```cpp
/// duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, 65536};
/// for (;;)
/// {
///     auto const request = co_await messages.next();
///     if (!request)
///         break;
///     messages.put(answer_to(*request));
/// }
/// ```
///
/// Small requests that arrive together are answered by one call of the system, and a peer that does not read its
/// answers is not read from.
///
/// Writes may overlap, and each message is sent whole. What was put goes out in the order of the calls, before what is
/// written later through this object. The destruction writes what was put, as far as the session still can. Distinct
/// objects: safe. Shared objects: unsafe. Use it on the session's executor.
template <framing Framing>
class frame_stream : public frame_reader<Framing>
{
public:
    /// See frame_reader. The limit is for reading only.
    template <class Session>
    frame_stream(Session& with, Framing how, std::size_t limit) : frame_reader<Framing>{with, std::move(how), limit}
    {
    }

    ~frame_stream()
    {
        if (!this->target_->stands_in())
            output_.flush(static_cast<detail::connection&>(*this->target_));
    }

    /// As frame_reader::next(). If it has to read, it first writes what was put. While the peer does not take that, it
    /// waits: a program that puts an answer to each message needs no other bound.
    ///
    /// Errors also: why what was put could not be written, as of session::write().
    auto next() { return this->next_after(&output_); }

    /// Copy one message, to be written with those before and behind it. It goes out when next() has to read, with a
    /// later write() or flush(), or when 64 KiB have gathered; at once, if a next() waits already.
    ///
    /// For a loop that answers one request after the other and then calls next(). Use write() where an answer must not
    /// wait for the work on further requests that have arrived, and flush() before session::shutdown_send().
    ///
    /// `body` is one buffer, or what session::write() takes as one. Throws session_error: invalid_argument if the
    /// framing cannot carry the message, because its size does not fit into the prefix, it contains the delimiter, or
    /// it has another size; closed if the session is empty; std::bad_alloc. If the session cannot write any more, the
    /// next operation tells so.
    template <class Data>
    void put(Data const& body)
    {
        auto const text = checked("put", detail::buffers_of(body));
        if (this->target_->stands_in())
            throw detail::error_of_empty_session("put");
        output_.put(this->codec_, static_cast<detail::connection&>(*this->target_), text);
    }

    /// Write one message, and before it all that were put, in one call of the system. Completes when the kernel has
    /// accepted all of it. `body` is as of put(), and must stay valid until then: a large one is not copied.
    ///
    /// Errors: as session::write(); what put() throws is thrown by the call.
    /// Cancellation: as session::write(). If messages that were put go with it, a cut always poisons the send side,
    /// because nobody would be told that they are missing.
    template <class Data>
    auto write(Data&& body)
    {
        return make("write", checked("write", detail::buffers_of(std::forward<Data>(body))));
    }

    /// Write all that were put. Completes when the kernel has accepted all writes of the session up to here.
    ///
    /// Errors and cancellation: as write().
    auto flush() { return make("flush", {}); }

private:
    auto make(char const* name, std::optional<std::string_view> body)
    {
        using operation = detail::operation<detail::nothing, detail::writing_frame>;
        return operation{this->target_, name, detail::writing_frame{output_, body}};
    }

    std::string_view checked(char const* operation, boost::asio::const_buffer body) const
    {
        std::string_view const text{static_cast<char const*>(body.data()), body.size()};
        if (!this->codec_.accepts(text)) [[unlikely]]
            refuse(operation);
        return text;
    }

    [[noreturn, gnu::cold, gnu::noinline]] void refuse(char const* operation) const
    {
        throw session_error{boost::asio::error::invalid_argument, operation, this->peer(), 0};
    }

    detail::frame_output output_{this->codec_};
};

template <class Session, class Framing>
frame_reader(Session&, Framing, std::size_t) -> frame_reader<Framing>;

template <class Session, class Framing>
frame_stream(Session&, Framing, std::size_t) -> frame_stream<Framing>;

}  // namespace DUET_ABI
}  // namespace duet

#endif
