// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_ERROR_HPP
#define DUET_ERROR_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

using boost::system::error_code;
using boost::system::error_condition;
using boost::system::system_error;

/// The error codes of duet itself. All other errors are those of the system or of Asio.
///
/// A code says exactly what happened (which deadline, which rule). Use its duet::condition to decide what to do.
enum class errc
{
    read_timed_out = 1,       ///< the read deadline passed; the session stays usable, unread bytes stay readable
    write_timed_out,          ///< no byte of a write was accepted for the write deadline; if part-way, it poisons
    idle_timed_out,           ///< no byte in either direction for the idle deadline; the connection was reset
    half_closed_timed_out,    ///< one direction ended, and the other made no progress; the connection was reset
    close_timed_out,          ///< close() gave up on the peer and reset it, or left a slow one to the kernel
    first_message_timed_out,  ///< no whole message by the absolute deadline; the connection was reset
    connect_timed_out,        ///< a connection attempt, or all of connect(), took too long
    resolve_timed_out,        ///< the name was not resolved in time

    truncated,         ///< the peer's FIN came in the middle of a message
    limit_exceeded,    ///< a message is larger than the limit: its delimiter or the FIN did not come within it
    dead_peer,         ///< the peer's host no longer gives any sign of life, or is unreachable
    send_finished,     ///< a write after shutdown_send(): nothing of it was sent
    send_poisoned,     ///< an earlier write was cut part-way, so the peer no longer knows where a message begins
    closed,            ///< the session or acceptor was closed by its owner
    aborted,           ///< the session was aborted by its owner
    read_in_progress,  ///< a second read while one is pending
    wait_in_progress,  ///< a second wait_peer_gone() while one is pending
    no_local_port,     ///< connect(): no local port is left (EADDRNOTAVAIL)
    self_connect,      ///< connect(): the kernel repeatedly connected the socket to itself
    no_address,        ///< connect(): the name has no address
    draining,          ///< the server drains, and the read would only wait for another message

    next_message_timed_out,  ///< no byte of a further message came; the session stays usable
    call_timed_out,          ///< the time passed that within() gives to one call
    message_timed_out,       ///< the whole of a message did not come in time; the connection was reset
    queue_full,              ///< a write found session_options::queue_limit bytes in the queue
    ended,                   ///< the peer's FIN came where read() expected the first byte of a message
    too_many_lookups,        ///< as many names wait to be looked up as resolver.hpp allows
    malformed_frame,         ///< what came is not how a frame begins
    too_many_waiting,        ///< as many wait for a connection or a place as the options allow
    unexpected_answer,       ///< an answer came to a request that was not sent
};

/// The kinds of errors that a program can tell apart. Compare any error_code with them, whether it came from duet, Asio
/// or the system: `if (error.code() == duet::condition::timed_out)`.
enum class condition
{
    timed_out = 1,    ///< one of duet's deadlines passed; the system's ETIMEDOUT is dead_peer instead
    cancelled,        ///< the operation was cancelled (asio::error::operation_aborted)
    reset,            ///< the peer reset the connection, or it is broken (ECONNRESET, EPIPE, ECONNABORTED, ENOTCONN)
    ended,            ///< the peer's FIN: errc::ended, or asio::error::eof on the Asio interface
    truncated,        ///< the peer's FIN in the middle of a message
    dead_peer,        ///< the peer's host does not answer any more
    closed,           ///< the program itself closed, aborted or finished this session or direction
    exhausted,        ///< no more descriptors, memory, ports or places to wait to give
    invalid_message,  ///< what the peer sent is no message: malformed_frame, limit_exceeded, unexpected_answer
};

DUET_DECL boost::system::error_category const& duet_category() noexcept;
DUET_DECL boost::system::error_category const& condition_category() noexcept;

inline error_code make_error_code(errc code) noexcept
{
    return {static_cast<int>(code), duet_category()};
}

inline error_condition make_error_condition(condition value) noexcept
{
    return {static_cast<int>(value), condition_category()};
}

namespace detail {
struct error_origin;
}

/// The exception of the coroutine interface: the error, the operation, the peer, and the number of bytes transferred
/// before the error.
///
/// `what()` reads "read 127.0.0.1:40312: read deadline passed": its end is code().message(), without the category and
/// number that boost::system::system_error adds.
class session_error : public system_error
{
public:
    DUET_DECL session_error(error_code code, char const* operation, std::string const& peer, std::size_t bytes);

    char const* what() const noexcept override { return text_.what(); }

    /// The name of the function that failed: "read_some", "write", ...
    char const* operation() const noexcept { return operation_; }

    /// The number of bytes that the operation had received into, or sent from, the caller's buffer when it ended.
    std::size_t bytes_transferred() const noexcept { return bytes_; }

private:
    friend struct detail::error_origin;

    std::runtime_error text_;  // a string whose copies do not throw
    char const* operation_;
    std::size_t bytes_;
    void const* origin_ = nullptr;  // the connection; only compared
};

namespace detail {

/// Tells whether an exception came from a certain connection: a handler that uses other connections, too, may let their
/// exceptions leave.
struct error_origin
{
    static void set(session_error& error, void const* connection) noexcept { error.origin_ = connection; }

    static bool is(session_error const& error, void const* connection) noexcept { return error.origin_ == connection; }
};

/// What an exception says; empty if there is none. A boost::system::system_error reads as a session_error does.
DUET_DECL std::string text_of(std::exception_ptr const& failure);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

template <>
struct boost::system::is_error_code_enum<duet::errc> : std::true_type
{
};

template <>
struct boost::system::is_error_condition_enum<duet::condition> : std::true_type
{
};

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/completion/error.ipp>
#endif

#endif
