// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_READ_LOOPS_HPP
#define DUET_DETAIL_ENGINE_READ_LOOPS_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include <duet/detail/config.hpp>
#include <duet/detail/engine/completion_result.hpp>
#include <duet/detail/engine/initiation.hpp>
#include <duet/detail/engine/operation.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// The operations of a session that read more than once.

// A string fills with zeros when it grows, so a read of a line asks for little room and a read of a whole stream for
// much.
inline constexpr std::size_t line_chunk = 4 * 1024;
inline constexpr std::size_t stream_chunk = 64 * 1024;

// The strings are the caller's, and may be gone when a coroutine is destroyed without an end. So what cuts them off
// again is a catch, and no destructor.
using read_once = operation<bytes_and_error, reading_by>;

/// See session::read_until(). `c` may be null: an empty session.
template <class Executor>
boost::asio::awaitable<std::size_t, Executor> read_until_delimiter(
    connection::ref c, std::string& buffer, std::string delimiter, std::size_t limit, deadlines::duration within)
{
    if (!c)
        throw session_error{errc::closed, "read_until", "an empty session", 0};
    // An empty delimiter would be found at once at position 0, and complete with 0, which means FIN.
    if (delimiter.empty())
        throw session_error{boost::asio::error::invalid_argument, "read_until", c->describe_peer(), 0};
    auto const by = c->deadlines_of_read(within);
    std::size_t searched = 0;
    std::size_t received = 0;
    error_code error;
    for (;;)
    {
        auto const found = buffer.find(delimiter, searched);
        if (found != std::string::npos && found + delimiter.size() <= limit)
        {
            c->first_message_received();
            co_return found + delimiter.size();
        }
        auto const size = buffer.size();
        if (found != std::string::npos || size >= limit)
        {
            error = errc::limit_exceeded;
            break;
        }
        // The delimiter may be split between two reads.
        if (size > 0)
            c->message_begun();
        searched = size < delimiter.size() ? 0 : size - delimiter.size() + 1;
        auto const room = std::min(line_chunk, limit - size);
        buffer.resize(size + room);
        reading_by const start{boost::asio::buffer(buffer.data() + size, room), by};
        bytes_and_error::type got;
        try
        {
            got = co_await read_once{c, "read_until", start};
        }
        catch (...)  // co_await throws at once if the coroutine was cancelled in the meantime
        {
            buffer.resize(size);
            throw;
        }
        buffer.resize(size + got.size);
        received += got.size;
        if (!got.error)
            continue;
        error = got.error;
        if (error == boost::asio::error::eof)
        {
            if (buffer.empty())
                co_return 0;
            error = errc::truncated;
        }
        break;
    }
    throw session_error{error, "read_until", c->describe_peer(), received};
}

/// See session::read_all().
template <class Executor>
boost::asio::awaitable<std::size_t, Executor> append_all(
    connection::ref c, std::string& into, std::size_t limit, deadlines::duration within)
{
    if (!c)
        throw session_error{errc::closed, "read_all", "an empty session", 0};
    auto const by = c->deadlines_of_read(within);
    std::size_t received = 0;
    error_code error;
    for (;;)
    {
        auto const size = into.size();
        // Asking for one byte more than the limit allows distinguishes more input from the peer's FIN.
        auto const room = std::min(stream_chunk - 1, limit - received) + 1;
        into.resize(size + room);
        reading_by const start{boost::asio::buffer(into.data() + size, room), by};
        bytes_and_error::type got;
        try
        {
            got = co_await read_once{c, "read_all", start};
        }
        catch (...)  // co_await throws at once if the coroutine was cancelled in the meantime
        {
            into.resize(size);
            throw;
        }
        into.resize(size + got.size);
        received += got.size;
        if (got.error == boost::asio::error::eof)
        {
            c->first_message_received();
            co_return received;
        }
        error = got.error ? got.error : received > limit ? error_code{errc::limit_exceeded} : error_code{};
        if (error)
            break;
    }
    throw session_error{error, "read_all", c->describe_peer(), received};
}

/// See session::read_all().
template <class Executor>
boost::asio::awaitable<std::string, Executor> collect_all(
    connection::ref c, std::size_t limit, deadlines::duration within)
{
    std::string result;
    co_await append_all<Executor>(c, result, limit, within);
    co_return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
