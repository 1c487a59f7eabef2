// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TEST_TRACE_STORIES_HPP
#define DUET_TEST_TRACE_STORIES_HPP

#include <boost/asio/error.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include <duet/error.hpp>
#include <duet/trace_log.hpp>

namespace duet_test::trace {

/// Writes a trace by hand: session 1 is the client's, session 2 the server's. Times are in microseconds.
class story
{
public:
    static constexpr std::uint32_t client = 1;
    static constexpr std::uint32_t server = 2;

    story(bool with_client = true, bool with_server = true)
    {
        log.program = "story";
        if (with_client)
            log.sessions.push_back({client, true, "127.0.0.1:40312", "127.0.0.1:7777", ""});
        if (with_server)
            log.sessions.push_back({server, false, "127.0.0.1:7777", "127.0.0.1:40312", ""});
    }

    story& at(std::int64_t microseconds)
    {
        now_ = std::chrono::microseconds(microseconds);
        return *this;
    }

    /// Events of a session that is not in the trace are left out.
    std::uint64_t add(std::uint32_t session, duet::trace_kind kind, std::string name, std::uint64_t bytes = 0)
    {
        if (log.find(session) == nullptr)
            return 0;
        duet::trace_event event;
        event.number = log.events.size() + 1;
        event.time = now_;
        now_ += std::chrono::microseconds(10);
        event.session = session;
        event.kind = kind;
        event.name = std::move(name);
        event.bytes = bytes;
        log.events.push_back(std::move(event));
        return log.events.back().number;
    }

    duet::trace_event& last() { return log.events.back(); }

    std::uint64_t call(std::uint32_t session, std::string name, std::uint64_t bytes = 0)
    {
        return add(session, duet::trace_kind::call, std::move(name), bytes);
    }

    void result(std::uint32_t session, std::string name, std::uint64_t call, std::uint64_t bytes = 0,
        duet::error_code error = {})
    {
        if (add(session, duet::trace_kind::result, std::move(name), bytes) == 0)
            return;
        last().call = call;
        fail(error);
    }

    void transfer(std::uint32_t session, std::string name, std::uint64_t bytes = 0, duet::error_code error = {})
    {
        if (add(session, duet::trace_kind::transfer, std::move(name), bytes) != 0)
            fail(error);
    }

    void fail(duet::error_code error)
    {
        if (error)
            last().error = {error.category().name(), error.value(), error.message()};
    }

    /// The kernel's word on the state, with everything acknowledged or not.
    void kernel(duet::tcp_state state, std::uint32_t unacknowledged = 0)
    {
        last().kernel.emplace();
        last().kernel->state = state;
        last().kernel->segments_unacknowledged = unacknowledged;
    }

    void end(std::uint32_t session, duet::close_reason reason, std::string text)
    {
        if (add(session, duet::trace_kind::end, "") == 0)
            return;
        last().reason = reason;
        last().text = std::move(text);
    }

    void connect()
    {
        auto const number = call(client, "connect");
        at_after(100);
        result(client, "connect", number);
        add(server, duet::trace_kind::begin, "accept");
    }

    void write(std::uint32_t session, std::uint64_t bytes)
    {
        auto const number = call(session, "write", bytes);
        transfer(session, "send", bytes);
        result(session, "write", number, bytes);
    }

    void read(std::uint32_t session, std::uint64_t bytes)
    {
        auto const number = call(session, "read_some", 4096);
        at_after(30);
        transfer(session, "receive", bytes);
        result(session, "read_some", number, bytes);
    }

    /// A read that meets the peer's FIN.
    void read_end(std::uint32_t session)
    {
        auto const number = call(session, "read_some", 4096);
        at_after(30);
        transfer(session, "peer_fin");
        result(session, "read_some", number, 0);
        if (number != 0)
            last().receive = duet::receive_state::ended;
    }

    void finish(std::uint32_t session, std::string with = "shutdown_send")
    {
        call(session, std::move(with));
        transfer(session, "fin");
    }

    void at_after(std::int64_t microseconds) { now_ += std::chrono::microseconds(microseconds); }

    duet::trace_log log;

private:
    std::chrono::nanoseconds now_{};
};

/// Handshake, question, answer, half-close, close.
inline story whole_flow(bool with_client = true, bool with_server = true)
{
    story it(with_client, with_server);
    it.connect();
    it.write(story::client, 5);
    it.read(story::server, 5);
    it.finish(story::client);
    it.read_end(story::server);
    it.write(story::server, 12);
    it.read(story::client, 12);
    auto const close = it.call(story::server, "close");
    it.transfer(story::server, "fin");
    it.read_end(story::client);
    auto const other = it.call(story::client, "close");
    it.transfer(story::server, "close");
    it.result(story::server, "close", close);
    it.end(story::server, duet::close_reason::clean, "clean: 5 bytes received, 12 sent");
    it.transfer(story::client, "close");
    it.result(story::client, "close", other);
    it.end(story::client, duet::close_reason::clean, "clean: 12 bytes received, 5 sent");
    return it;
}

inline story abort_by_client(bool with_client = true, bool with_server = true)
{
    story it(with_client, with_server);
    it.connect();
    auto const read = it.call(story::server, "read_some", 4096);
    it.at_after(500);
    it.call(story::client, "abort");
    it.transfer(story::client, "reset");
    it.end(story::client, duet::close_reason::aborted, "aborted by its owner after 0 bytes");
    it.transfer(story::server, "receive", 0, boost::asio::error::connection_reset);
    it.result(story::server, "read_some", read, 0, boost::asio::error::connection_reset);
    it.end(story::server, duet::close_reason::peer_reset, "reset by the peer while reading");
    return it;
}

inline story refused()
{
    story it(true, false);
    auto const connect = it.call(story::client, "connect");
    it.at_after(80);
    it.result(story::client, "connect", connect, 0, boost::asio::error::connection_refused);
    return it;
}

inline story unanswered()
{
    story it(true, false);
    auto const connect = it.call(story::client, "connect");
    it.at(4'000'000).result(story::client, "connect", connect, 0, duet::errc::connect_timed_out);
    return it;
}

/// The server closes by hand, with input unread.
inline story unread_input()
{
    story it;
    it.connect();
    it.write(story::client, 3);
    it.call(story::server, "close");
    it.transfer(story::server, "close");
    it.end(story::server, duet::close_reason::dropped, "dropped with 3 bytes unread");
    auto const read = it.call(story::client, "read_some", 4096);
    it.result(story::client, "read_some", read, 0, boost::asio::error::connection_reset);
    it.end(story::client, duet::close_reason::peer_reset, "reset by the peer while reading");
    return it;
}

/// Both ends finish before the other's FIN is there.
inline story simultaneous_close()
{
    story it;
    it.connect();
    it.at(1000).finish(story::client, "close");
    it.at(1050).finish(story::server, "close");
    it.at(1200).transfer(story::server, "peer_fin");
    it.at(1250).transfer(story::client, "peer_fin");
    it.at(1400).transfer(story::server, "close");
    it.end(story::server, duet::close_reason::clean, "clean: both ends closed at once");
    it.transfer(story::client, "close");
    it.end(story::client, duet::close_reason::clean, "clean: both ends closed at once");
    return it;
}

inline story peer_vanishes()
{
    story it(true, false);
    it.connect();
    it.write(story::client, 5);
    it.read(story::client, 5);
    it.at(2'000'000).write(story::client, 7);
    auto const read = it.call(story::client, "read_some", 4096);
    it.at(12'000'000).result(story::client, "read_some", read, 0, duet::errc::dead_peer);
    it.end(story::client, duet::close_reason::dead_peer, "the peer no longer answers; 7 bytes unacknowledged");
    return it;
}

/// The server sends to a client that has gone.
inline story write_to_closed_peer()
{
    story it;
    it.connect();
    it.call(story::client, "close");
    it.transfer(story::client, "close");
    it.end(story::client, duet::close_reason::dropped, "dropped");
    it.at_after(100);
    it.write(story::server, 1);
    it.at_after(100);
    auto const write = it.call(story::server, "write", 1);
    it.result(story::server, "write", write, 0, boost::asio::error::broken_pipe);
    it.end(story::server, duet::close_reason::peer_reset, "the peer was gone");
    return it;
}

/// The server sends `count` times `bytes`, which the client reads; then both close.
inline story download(int count, std::uint64_t bytes)
{
    story it;
    it.connect();
    it.write(story::client, 16);
    it.read(story::server, 16);
    for (int each = 0; each != count; ++each)
    {
        it.at_after(5'000);
        it.write(story::server, bytes);
        it.read(story::client, bytes);
    }
    it.finish(story::server, "close");
    it.read_end(story::client);
    it.finish(story::client, "close");
    it.transfer(story::server, "peer_fin");
    it.transfer(story::server, "close");
    it.end(story::server, duet::close_reason::clean, "clean");
    it.transfer(story::client, "close");
    it.end(story::client, duet::close_reason::clean, "clean");
    return it;
}

}  // namespace duet_test::trace

#endif
