// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_MEMORY_FIXTURE_HPP
#define DUET_TEST_MEMORY_FIXTURE_HPP

// A session with a peer in memory, on a clock that moves by itself: the order of events and their times are the same in
// every run.

#include "session/operations.hpp"
#include "support/raw_peer.hpp"
#include "support/simulated_time.hpp"
#include "support/started.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <duet/testing/memory_stream.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace duet_test {

using duet::testing::memory_session;

/// The capacity of a connection on which a write of `stalling_size` bytes stalls when the peer does not read.
inline constexpr std::size_t small_capacity = 8 * 1024;
inline constexpr std::size_t stalling_size = 100'000;

/// The other end: as raw_socket, it does exactly what the test says.
class memory_peer
{
public:
    explicit memory_peer(duet::testing::memory_stream stream) : stream_{std::move(stream)} {}

    duet::testing::memory_behaviour& behaviour() noexcept { return stream_.behaviour(); }

    // ---- At once, as far as the session has come. What would have to wait throws. ----------------------------------

    void send_all(std::string_view data)
    {
        if (send_some(data) != data.size())
            throw std::logic_error{"the connection does not take all of it"};
    }

    /// As much as the connection takes.
    std::size_t send_some(std::string_view data)
    {
        duet::error_code error;
        auto const size = stream_.write_some(asio::buffer(data), error);
        return error ? 0 : size;
    }

    /// What has arrived, to the FIN or reset behind it.
    received recv_all()
    {
        received all;
        for (;;)
        {
            auto part = take(65536);
            all.data += part.data;
            all.error = part.error;
            if (part.data.empty())
                return all;
        }
    }

    /// What has arrived; maybe nothing.
    std::string recv_available()
    {
        std::string all(std::size_t{1} << 20, '\0');
        duet::error_code error;
        all.resize(stream_.read_some(asio::buffer(all), error));
        return all;
    }

    std::string recv_exactly(std::size_t size)
    {
        auto part = take(size);
        if (part.data.size() != size)
            throw std::logic_error{"less has arrived"};
        return part.data;
    }

    void shutdown_write()
    {
        duet::error_code error;
        stream_.shutdown_send(error);
        if (error)
            throw boost::system::system_error{error, "shutdown"};
    }

    /// FIN, or RST if there is unread input.
    void close() noexcept { stream_.close(); }

    void reset() noexcept { stream_.reset(); }

    // ---- While the session goes on --------------------------------------------------------------------------------

    /// All of it, or as much as the session takes before it resets.
    asio::awaitable<std::size_t> send(std::string data)
    {
        std::size_t sent = 0;
        while (sent < data.size())
        {
            boost::system::error_code error;
            auto const rest = asio::buffer(data) + sent;
            auto const size = co_await stream_.async_write_some(rest, asio::redirect_error(asio::use_awaitable, error));
            sent += size;
            if (error)
                break;
        }
        co_return sent;
    }

    asio::awaitable<received> receive_some(std::size_t limit = 65536)
    {
        received part;
        part.data.resize(limit);
        boost::system::error_code error;
        auto const room = asio::buffer(part.data);
        auto const size = co_await stream_.async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
        part.data.resize(size);
        part.error = errno_of(error);
        co_return part;
    }

    asio::awaitable<received> receive_all()
    {
        received all;
        for (;;)
        {
            auto const part = co_await receive_some();
            all.data += part.data;
            all.error = part.error;
            if (part.data.empty())
                co_return all;
        }
    }

    asio::awaitable<std::string> receive_exactly(std::size_t size)
    {
        std::string all;
        while (all.size() < size)
        {
            auto const part = co_await receive_some(size - all.size());
            if (part.data.empty())
                throw std::runtime_error{"the connection ends before"};
            all += part.data;
        }
        co_return all;
    }

    asio::awaitable<received> receive_all_and_close()
    {
        auto const all = co_await receive_all();
        close();
        co_return all;
    }

private:
    static int errno_of(boost::system::error_code const& error)
    {
        return error == asio::error::eof ? 0 : error.value();
    }

    received take(std::size_t limit)
    {
        received part;
        part.data.resize(limit);
        duet::error_code error;
        part.data.resize(stream_.read_some(asio::buffer(part.data), error));
        if (error == asio::error::would_block)
            throw std::logic_error{"nothing has arrived"};
        part.error = errno_of(error);
        return part;
    }

    duet::testing::memory_stream stream_;
};

/// A session, and the peer at the other end of its connection, which holds at most `capacity` unread bytes each way.
class memory_talk
{
public:
    using duration = simulated_time::duration;

    explicit memory_talk(std::size_t capacity = std::size_t{64} * 1024)
    {
        ends_.first.behaviour().capacity = peer.behaviour().capacity = capacity;
    }

    memory_talk(memory_talk const&) = delete;
    memory_talk& operator=(memory_talk const&) = delete;

    memory_session make(duet::session_options const& options = {})
    {
        return memory_session{std::move(ends_.first), options};
    }

    /// Run `body(session)` to its end. Then the session is destroyed, and nothing may be left to do on the context.
    template <class Body>
    void play(duet::session_options const& options, Body&& body)
    {
        time.run(converse(options, body));
    }

    template <class Body>
    void play(Body&& body)
    {
        play({}, std::forward<Body>(body));
    }

    simulated_time::time_point now() const noexcept { return time.now(); }

    asio::awaitable<void> pause(duration how_long) { return time.pause(how_long); }

    template <class Predicate>
    asio::awaitable<void> until(Predicate predicate)
    {
        return time.until(std::move(predicate));
    }

    /// Until the session has ended by itself, while nothing but this waits for the peer.
    static asio::awaitable<void> ended(memory_session& session) { co_await session.wait_peer_gone(); }

    simulated_time time;
    asio::io_context& context = time.context;

private:
    template <class Body>
    asio::awaitable<void> converse(duet::session_options const& options, Body& body)
    {
        auto session = make(options);
        co_await body(session);
    }

    std::pair<duet::testing::memory_stream, duet::testing::memory_stream> ends_{
        duet::testing::memory_stream::pair(time.context.get_executor())};

public:
    memory_peer peer{std::move(ends_.second)};
};

}  // namespace duet_test

#endif
