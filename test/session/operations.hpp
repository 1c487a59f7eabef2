// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_OPERATIONS_HPP
#define DUET_TEST_OPERATIONS_HPP

// What the tests of the session share, on any stream: operations as coroutines, and what came of them.

#include "support/coro.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <duet/session.hpp>

#include <cstddef>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

// How Boost.Test prints what is compared; it looks for this where the type lives.
namespace duet {

inline std::ostream& boost_test_print_type(std::ostream& out, receive_state value)
{
    return out << to_string(value);
}

inline std::ostream& boost_test_print_type(std::ostream& out, send_state value)
{
    return out << to_string(value);
}

inline std::ostream& boost_test_print_type(std::ostream& out, session_state value)
{
    return out << to_string(value);
}

inline std::ostream& boost_test_print_type(std::ostream& out, close_reason value)
{
    return out << to_string(value);
}

inline std::ostream& boost_test_print_type(std::ostream& out, tcp_state value)
{
    return out << to_string(value);
}

inline std::ostream& boost_test_print_type(std::ostream& out, errc value)
{
    return out << make_error_code(value).message();
}

inline std::ostream& boost_test_print_type(std::ostream& out, condition value)
{
    return out << make_error_condition(value).message();
}

}  // namespace duet

namespace duet_test {

/// Bytes that tell their position, so that a lost, doubled or misplaced one shows.
inline std::string pattern(std::size_t size, std::size_t seed = 0)
{
    std::string result(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        result[i] = static_cast<char>('a' + (i * 7 + i / 251 + seed) % 26);
    return result;
}

inline duet::session_options with(duet::deadlines const& values)
{
    duet::session_options result;
    result.deadlines = values;
    return result;
}

/// An operation of a session as a coroutine of its own, for started, error_of and outcome_of.
template <class T, class Operation>
asio::awaitable<T> awaited(Operation operation)
{
    if constexpr (std::is_void_v<T>)
    {
        co_await std::move(operation);
    }
    else
    {
        T result = co_await std::move(operation);
        co_return result;
    }
}

/// What came of an operation: a value, or what it threw.
struct outcome
{
    boost::system::error_code code{};
    std::string operation{};
    std::string text{};
    std::size_t bytes = 0;  // of the value, or of the error

    bool ok() const noexcept { return !code; }
};

inline std::ostream& operator<<(std::ostream& out, outcome const& value)
{
    return out << value.code << " (" << value.code.message() << "), " << value.bytes << " bytes";
}

template <class T>
asio::awaitable<outcome> outcome_of(asio::awaitable<T> body)
{
    outcome result;
    try
    {
        if constexpr (std::is_same_v<T, std::size_t>)
            result.bytes = co_await std::move(body);
        else if constexpr (std::is_void_v<T>)
            co_await std::move(body);
        else
            static_cast<void>(co_await std::move(body));
    }
    catch (duet::session_error const& error)
    {
        result.code = error.code();
        result.operation = error.operation();
        result.text = error.what();
        result.bytes = error.bytes_transferred();
    }
    catch (boost::system::system_error const& error)
    {
        result.code = error.code();
        result.text = error.what();
    }
    co_return result;
}

template <class Session>
asio::awaitable<std::size_t> write(Session& session, std::string data)
{
    auto const size = co_await session.write(asio::buffer(data));
    co_return size;
}

template <class Session>
asio::awaitable<std::string> read(Session& session, std::size_t limit = 65536)
{
    std::string data(limit, '\0');
    auto const size = co_await session.read_some(asio::buffer(data));
    data.resize(size);
    co_return data;
}

/// Read for as long as it works: the data, and the error that ended it (none: the peer's FIN).
struct all_read
{
    std::string data;
    boost::system::error_code code{};
};

template <class Session>
asio::awaitable<all_read> read_to_end(Session& session)
{
    all_read result;
    std::string chunk(65536, '\0');
    try
    {
        for (;;)
        {
            auto const size = co_await session.read_some(asio::buffer(chunk));
            if (size == 0)
                break;
            result.data.append(chunk, 0, size);
        }
    }
    catch (boost::system::system_error const& error)
    {
        result.code = error.code();
    }
    co_return result;
}

template <class Session>
asio::awaitable<duet::close_report> close(Session& session)
{
    auto const report = co_await session.close();
    co_return report;
}

template <class Session>
asio::awaitable<void> shutdown_send(Session& session)
{
    co_await session.shutdown_send();
}

}  // namespace duet_test

#endif
