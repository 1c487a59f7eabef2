// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SESSION_FIXTURE_HPP
#define DUET_TEST_SESSION_FIXTURE_HPP

// What the tests of the session share: a session with a raw peer, operations as coroutines, and what came of them.

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/fd.hpp"
#include "support/in_thread.hpp"
#include "support/kernel.hpp"
#include "support/raw_peer.hpp"
#include "support/started.hpp"

#include <boost/asio/buffer.hpp>

#include <duet/session.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include <unistd.h>

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
        else
            co_await std::move(body);
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

// What a peer sees that reads to the end and then closes.
inline received read_all_and_close(raw_socket& peer)
{
    auto all = peer.recv_all();
    peer.close();
    return all;
}

inline asio::awaitable<void> pause(std::chrono::steady_clock::duration time)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

/// The buffers on both sides of a connection on which a write of `long_write` bytes stalls for certain when the peer
/// does not read.
inline constexpr int small_buffer = 8 * 1024;
inline constexpr std::size_t long_write = std::size_t{2} << 20U;

inline duet::session_options stalling(duet::session_options options = {})
{
    options.send_buffer_size = small_buffer;
    return options;
}

inline duet::session_options stalling(duet::deadlines const& values)
{
    return stalling(with(values));
}

inline raw_options const small_window{.receive_buffer = small_buffer};

/// A session, and the raw peer at the other end of its connection. The session's end is the one that accepted.
template <class Session>
class conversation_with
{
    no_leaked_descriptors descriptors_;  // first: it watches all the others

public:
    explicit conversation_with(raw_options const& peer_options = {}) : pair{connect(peer_options)} {}

    conversation_with(conversation_with const&) = delete;
    conversation_with& operator=(conversation_with const&) = delete;

    Session make(duet::session_options const& options = {})
    {
        return adopt<Session>(pair.server, context.get_executor(), options);
    }

    /// Run `body(session)` to its end. Then the session is destroyed, and nothing may be left to do on the context.
    template <class Body>
    void play(duet::session_options const& options, Body&& body)
    {
        run(context, converse(options, body));
    }

    template <class Body>
    void play(Body&& body)
    {
        play({}, std::forward<Body>(body));
    }

    asio::io_context context;
    raw_pair pair;
    raw_socket& peer = pair.client;

private:
    static raw_pair connect(raw_options const& peer_options)
    {
        if constexpr (std::is_same_v<Session, duet::session>)
        {
            return connected_pair(raw_address::v4(0), peer_options);
        }
        else
        {
            static std::atomic<int> number = 0;
            auto const name =
                std::string(1, '\0') + "duet-" + std::to_string(::getpid()) + '-' + std::to_string(++number);
            return connected_pair(raw_address::local(name), peer_options);
        }
    }

    template <class Body>
    asio::awaitable<void> converse(duet::session_options const& options, Body& body)
    {
        auto session = make(options);
        co_await body(session);
    }
};

using tcp_talk = conversation_with<duet::session>;
using unix_talk = conversation_with<duet::unix_session>;

}  // namespace duet_test

#endif
