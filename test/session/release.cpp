// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A socket leaves its session, with its connection.

#define BOOST_TEST_MODULE session.release
#include <duet/release.hpp>

#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <string>
#include <type_traits>
#include <utility>

#include <unistd.h>

using namespace duet_test;
using duet::close_reason;
using duet::errc;

namespace {

template <class Socket>
asio::awaitable<std::string> read_five(Socket& socket)
{
    std::string data(5, '\0');
    co_await asio::async_read(socket, asio::buffer(data), asio::use_awaitable);
    co_return data;
}

}  // namespace

// Unread bytes are in the socket, and both directions go on.
BOOST_AUTO_TEST_CASE(the_connection_goes_on_without_the_session)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            talk.peer.send_all("onetwothree");
            std::string first(3, '\0');
            co_await s.read(asio::buffer(first));
            asio::ip::tcp::socket socket = duet::release(std::move(s));
            BOOST_TEST(!s.valid());
            BOOST_TEST((s.get_executor() == socket.get_executor()));
            auto const rest = co_await read_five(socket);
            BOOST_TEST(rest == "twoth");
            co_await asio::async_write(socket, asio::buffer("answer", 6), asio::use_awaitable);
            BOOST_TEST(talk.peer.recv_exactly(6) == "answer");
            socket.shutdown(socket.shutdown_send);
            BOOST_TEST(talk.peer.recv_all().error == 0);
        });
}

BOOST_AUTO_TEST_CASE(a_unix_domain_socket_leaves_its_session_too)
{
    unix_talk talk;
    talk.play(
        [&](duet::unix_session& s) -> asio::awaitable<void>
        {
            auto socket = duet::release(std::move(s));
            talk.peer.send_all("hello");
            auto const heard = co_await read_five(socket);
            BOOST_TEST(heard == "hello");
        });
}

// They would otherwise end with the socket's next owner: it reads what comes then.
BOOST_AUTO_TEST_CASE(operations_under_way_end)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            auto const gone = [](duet::session& of) -> asio::awaitable<void>
            {
                auto const reason = co_await of.wait_peer_gone();
                BOOST_TEST(reason == close_reason::dropped);
            };
            started<void> waiting{executor, gone(s)};
            started<duet::close_report> closing{executor, close(s)};
            co_await settle();
            auto socket = duet::release(std::move(s));
            co_await expect_error(reading.result(), errc::closed);
            co_await waiting.result();
            auto const report = co_await closing.result();
            BOOST_TEST(report.reason == close_reason::dropped);
            talk.peer.send_all("hello");
            auto const heard = co_await read_five(socket);
            BOOST_TEST(heard == "hello");
        });
}

BOOST_AUTO_TEST_CASE(a_write_under_way_ends_and_resets_nothing)
{
    tcp_talk talk{small_window};
    talk.play(stalling(),
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::size_t> writing{executor, write(s, pattern(long_write))};
            co_await settle();
            auto socket = duet::release(std::move(s));
            auto const end = co_await outcome_of(writing.result());
            BOOST_TEST(!end.ok());
            BOOST_TEST(end.bytes < long_write);
            socket.shutdown(socket.shutdown_send);
            auto const take = [&] { return talk.peer.recv_all(); };
            auto const heard = co_await in_thread(take);
            BOOST_TEST(heard.error == 0);
            BOOST_TEST(heard.data.size() == end.bytes);
        });
}

// The server's, for example.
BOOST_AUTO_TEST_CASE(other_objects_of_the_session_see_that_it_is_gone)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto other = duet::detail::session_access::make<duet::session>(duet::detail::session_access::connection(s));
            auto socket = duet::release(std::move(s));
            auto const report = co_await other.close();
            BOOST_TEST(report.reason == close_reason::dropped);
            other.abort();
            talk.peer.send_all("hello");
            auto const heard = co_await read_five(socket);
            BOOST_TEST(heard == "hello");
        });
}

BOOST_AUTO_TEST_CASE(the_descriptor_can_be_had)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            descriptor const own{duet::release(std::move(s)).release()};
            BOOST_TEST(::write(own.get(), "hello", 5) == 5);
            BOOST_TEST(talk.peer.recv_exactly(5) == "hello");
            co_return;
        });
}

BOOST_AUTO_TEST_CASE(what_has_no_connection_releases_none)
{
    tcp_talk talk;
    talk.play(
        [](duet::session& s) -> asio::awaitable<void>
        {
            auto const is_closed = [](duet::session_error const& error) { return error.code() == errc::closed; };
            s.abort();
            BOOST_CHECK_EXCEPTION(duet::release(std::move(s)), duet::session_error, is_closed);
            BOOST_TEST(s.valid());
            BOOST_CHECK_EXCEPTION(duet::release(duet::session{}), duet::session_error, is_closed);
            co_return;
        });
}
