// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_COMPLETION_RESULT_HPP
#define DUET_DETAIL_ENGINE_COMPLETION_RESULT_HPP

#include <boost/asio/error.hpp>

#include <cstddef>

#include <duet/close_report.hpp>
#include <duet/detail/engine/connection.hpp>
#include <duet/error.hpp>
#include <duet/whole_or_end.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// The results of the operations of the coroutine interface, and which errors count as values there.

/// The report of a session that has no connection.
inline close_report report_of_nothing() noexcept
{
    close_report result;
    result.error = errc::closed;
    result.receive = receive_state::failed;
    result.send = send_state::failed;
    return result;
}

/// Its state: it has ended.
inline lifecycle const& life_of_nothing() noexcept
{
    static lifecycle const ended = []
    {
        lifecycle result;
        result.apply(lifecycle_event::dropped);
        return result;
    }();
    return ended;
}

struct every_error_throws
{
    static bool is_value(error_code) noexcept { return false; }
};

/// Bytes read; the peer's FIN is 0.
struct bytes_or_end
{
    using type = std::size_t;

    static bool is_value(error_code error) noexcept { return error == boost::asio::error::eof; }

    static std::size_t result(connection&, error_code, std::size_t size) noexcept { return size; }
};

/// A whole message; the peer's FIN is an error.
struct whole_message : every_error_throws
{
    using type = std::size_t;

    static error_code told(error_code const& error) noexcept
    {
        return error == boost::asio::error::eof ? error_code{errc::ended} : error;
    }

    static std::size_t result(connection& target, error_code error, std::size_t size) noexcept
    {
        if (!error)
            target.first_message_received();
        return size;
    }
};

/// A whole message, or the peer's FIN in its place.
struct message_or_end
{
    using type = whole_or_end;

    static bool is_value(error_code error) noexcept { return error == boost::asio::error::eof; }

    static whole_or_end result(connection& target, error_code error, std::size_t) noexcept
    {
        if (error)
            return {};
        target.first_message_received();
        return whole_or_end{true};
    }
};

struct bytes_written : every_error_throws
{
    using type = std::size_t;

    static std::size_t result(connection&, error_code, std::size_t size) noexcept { return size; }
};

struct nothing : every_error_throws
{
    using type = void;
};

/// No error is reported; for the library's own coroutines.
struct ignore_error
{
    using type = void;

    static bool is_value(error_code) noexcept { return true; }
};

/// True: a read would not block. False: the owner asked the session to finish.
struct readable_or_finish
{
    using type = bool;

    static bool is_value(error_code error) noexcept { return error == errc::draining; }

    static bool result(connection&, error_code error, std::size_t) noexcept { return !error; }
};

struct report_of_close : every_error_throws
{
    using type = close_report;

    static close_report result(connection& target, error_code, std::size_t) noexcept { return target.report(); }
};

struct reason_of_end : every_error_throws
{
    using type = close_reason;

    static close_reason result(connection& target, error_code, std::size_t) noexcept
    {
        auto const& life = target.life();
        if (life.reason() != close_reason::none)
            return life.reason();
        // There was no failure. But if the peer is gone before we sent our FIN, it has reset the connection or left it.
        return life.send() == send_state::finished ? close_reason::clean : close_reason::peer_reset;
    }
};

/// The number of bytes and the error code, unchanged; for the library's own loops.
struct bytes_and_error
{
    using type = io_result;

    static bool is_value(error_code) noexcept { return true; }

    /// The loop throws it.
    static error_code seen(error_code const& error) noexcept
    {
        return error == boost::asio::error::eof ? error_code{} : error;
    }

    static type result(connection&, error_code error, std::size_t size) noexcept { return {error, size}; }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
