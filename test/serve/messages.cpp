// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A handler that is called for each message: it serves a session as the loop does that server.hpp shows, but between
// two messages there is nothing of it.

#define BOOST_TEST_MODULE serve.messages
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include "serve/message_server.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;

namespace {

/// All that has arrived at a client by now.
std::string heard_so_far(raw_socket& client)
{
    char buffer[4096];
    auto const size = ::recv(client.fd(), buffer, sizeof(buffer), MSG_DONTWAIT);
    return {buffer, static_cast<std::size_t>(std::max<::ssize_t>(size, 0))};
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_handler_is_called_for_each_message_and_is_gone_in_between)
{
    int calls = 0;
    int now = 0;
    serving s{[&](duet::session& peer) -> asio::awaitable<bool>
        {
            ++calls;
            running const guard{now};
            bool const more = co_await answer(peer);
            co_return more;
        }};
    std::deque<raw_socket> clients;
    for (int i = 0; i < 3; ++i)
        clients.push_back(s.connect());
    s.until_active(3);
    BOOST_TEST(calls == 0);
    for (int round = 1; round <= 3; ++round)
    {
        for (auto& client : clients)
            client.send_all("ping");
        s.until([&] { return calls == 3 * round; });
        BOOST_TEST(now == 0);
        for (auto& client : clients)
            BOOST_TEST(client.recv_exactly(4) == "ping");
    }
    for (auto& client : clients)
        client.shutdown_write();
    s.until_active(0);
    for (auto& client : clients)
    {
        auto const rest = client.recv_all();
        BOOST_TEST(rest.eof());
    }
    BOOST_TEST(s.counters().completed == 3u);
    BOOST_TEST(s.counters().unclean == 0u);
    for (auto const& end : s.ends)
        BOOST_TEST(end.report.bytes_received == 12u);
}

BOOST_AUTO_TEST_CASE(messages_that_come_together_are_answered_one_by_one)
{
    int calls = 0;
    serving s{[&](duet::session& peer)
        {
            ++calls;
            return answer_three(peer);
        }};
    auto client = s.connect();
    auto other = s.connect();
    client.send_all("onetwothr");
    client.shutdown_write();
    s.until([&] { return s.counters().completed == 1; });
    auto const heard = client.recv_all();
    BOOST_TEST(heard.data == "onetwothr");
    BOOST_TEST(heard.error == 0);
    BOOST_TEST(calls == 4);  // the last finds the FIN
}

BOOST_AUTO_TEST_CASE(false_ends_the_session_with_all_that_was_written)
{
    serving s{[](duet::session& peer) -> asio::awaitable<bool>
        {
            co_await write(peer, "too much");
            co_return false;
        }};
    auto client = s.connect();
    client.send_all(std::string(1000, 'x'));  // unread by the handler
    client.shutdown_write();
    s.until_active(0);
    auto const heard = client.recv_all();
    BOOST_TEST(heard.data == "too much");
    BOOST_TEST(heard.error == 0);
    BOOST_REQUIRE(s.ends.size() == 1u);
    BOOST_TEST(s.ends[0].report.bytes_discarded == 1000u);
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_resets_its_session_alone)
{
    serving s{[](duet::session& peer) -> asio::awaitable<bool>
        {
            auto const heard = co_await read(peer);
            if (heard == "bad")
                throw std::runtime_error{"no luck"};
            co_await write(peer, heard);
            co_return !heard.empty();
        }};
    auto client = s.connect();
    auto bad = s.connect();
    for (std::string const text : {"one", "two"})
    {
        client.send_all(text);
        s.until([&] { return heard_so_far(client) == text; });
        bad.send_all(text == "one" ? text : "bad");
        if (text == "one")
            s.until([&] { return heard_so_far(bad) == text; });
    }
    s.until([&] { return s.counters().handler_failures == 1; });
    BOOST_TEST((bad.recv_some().error == ECONNRESET || bad.recv_all().error == ECONNRESET));
    BOOST_TEST(s.ends.at(0).what() == "no luck");
    client.send_all("three");
    s.until([&] { return heard_so_far(client) == "three"; });
    BOOST_TEST(s.counters().active == 1u);
}

// Nobody reads in between; the failure is told all the same, and told right.
BOOST_AUTO_TEST_CASE(a_reset_between_two_messages_ends_the_session)
{
    serving s{[](duet::session& peer) { return answer(peer); }};
    auto client = s.connect();
    auto other = s.connect();
    client.send_all("ping");
    s.until([&] { return heard_so_far(client) == "ping"; });
    client.reset();
    s.until([&] { return s.counters().handler_failures == 1; });
    BOOST_REQUIRE(s.ends.size() == 1u);
    BOOST_TEST(s.ends[0].report.reason == close_reason::peer_reset);
    BOOST_TEST(s.ends[0].what().find("reset") != std::string::npos);
    BOOST_TEST(s.counters().active == 1u);
}

BOOST_AUTO_TEST_CASE(deadlines_hold_between_two_messages)
{
    for (bool const idle : {false, true})
    {
        duet::server_options options;
        (idle ? options.session.deadlines.idle : options.session.deadlines.read) = 20ms;
        serving s{[](duet::session& peer) { return answer(peer); }, options};
        auto client = s.connect();
        auto other = s.connect();
        s.until([&] { return s.counters().handler_failures == 2; });
        BOOST_TEST(client.recv_all().error == ECONNRESET);
        for (auto const& end : s.ends)
        {
            BOOST_TEST(end.what().find("wait_readable") != std::string::npos);
            BOOST_CHECK_EXCEPTION(std::rethrow_exception(end.failure), duet::session_error,
                [&](duet::session_error const& error)
                { return error.code() == (idle ? duet::errc::idle_timed_out : duet::errc::read_timed_out); });
        }
    }
}

// Each in both ways: the loop that server.hpp shows is what the server does.
BOOST_AUTO_TEST_CASE(a_drain_ends_sessions_between_two_messages_and_answers_what_has_arrived)
{
    for (bool const by_message : {false, true})
    {
        BOOST_TEST_CONTEXT((by_message ? "by message" : "in a loop"))
        {
            std::optional<serving> s;
            if (by_message)
                s.emplace([](duet::session& peer) { return answer_three(peer); });
            else
                s.emplace([](duet::session peer) { return answer_in_a_loop(std::move(peer)); });
            auto silent = s->connect();
            auto talking = s->connect();
            auto flooding = s->connect();
            s->until_active(3);
            auto const report = s->drain_after(
                [&]
                {
                    talking.send_all("one");
                    flooding.send_all("onetwothrfou");
                    for (auto* const client : {&talking, &flooding})
                        eventually([&] { return unacknowledged_bytes(client->fd()) == 0; }, "it has arrived");
                    for (auto* const client : {&silent, &talking, &flooding})
                        client->shutdown_write();
                });
            BOOST_TEST(report.finished == 3u);
            BOOST_TEST(report.aborted == 0u);
            auto const none = silent.recv_all();
            BOOST_TEST(none.eof());
            auto const one = talking.recv_all();
            BOOST_TEST(one.data == "one");
            BOOST_TEST(one.error == 0);
            // One that it had waited for, and one more.
            auto const some = flooding.recv_all();
            BOOST_TEST(some.data == "onetwo");
            BOOST_TEST(some.error == 0);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_drain_waits_for_the_message_that_is_being_answered)
{
    asio::steady_timer* work = nullptr;
    int calls = 0;
    serving s{[&](duet::session& peer) -> asio::awaitable<bool>
        {
            ++calls;
            auto const heard = co_await read(peer);
            asio::steady_timer timer{peer.get_executor(), asio::steady_timer::time_point::max()};
            work = &timer;
            boost::system::error_code ignored;
            asio::use_awaitable_t<> const token;
            co_await timer.async_wait(asio::redirect_error(token, ignored));
            co_await write(peer, heard);
            co_return true;
        }};
    auto client = s.connect();
    client.send_all("one");
    s.until([&] { return work != nullptr; });
    auto const report = s.drain_after([&] { asio::post(s.context, [&] { work->cancel(); }); });
    BOOST_TEST(report.finished == 1u);
    auto const heard = client.recv_all();
    BOOST_TEST(heard.data == "one");
    BOOST_TEST(heard.error == 0);
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(abort_ends_those_that_wait_and_cancels_the_handler_that_runs)
{
    bool cancelled = false;
    bool waiting = false;
    serving s{[&](duet::session& peer) -> asio::awaitable<bool>
        {
            asio::steady_timer timer{peer.get_executor(), asio::steady_timer::time_point::max()};
            waiting = true;
            try
            {
                asio::use_awaitable_t<> const token;
                co_await timer.async_wait(token);
            }
            catch (boost::system::system_error const&)
            {
                cancelled = true;
                throw;
            }
            co_return true;
        }};
    std::deque<raw_socket> clients;
    for (int i = 0; i < 4; ++i)
        clients.push_back(s.connect());
    clients[2].send_all("x");
    s.until_active(4);
    s.until([&] { return waiting; });
    s.server->abort();
    s.until_active(0);
    BOOST_TEST(cancelled);
    BOOST_TEST(s.counters().handler_failures == 1u);
    BOOST_TEST(s.counters().completed == 3u);
    for (auto& client : clients)
        BOOST_TEST(client.recv_all().error == ECONNRESET);
    s.server.reset();
    require_end(s.context);
}

BOOST_AUTO_TEST_CASE(sessions_that_wait_keep_nothing_running_once_their_server_is_gone)
{
    serving s{[](duet::session& peer) { return answer(peer); }};
    auto client = s.connect();
    auto other = s.connect();
    s.until_active(2);
    s.server.reset();
    require_end(s.context);
    BOOST_TEST(client.recv_all().error == ECONNRESET);
}

// Those that were not told to finish fail at once, all in one turn, the server's state with the last of them.
BOOST_AUTO_TEST_CASE(sessions_that_wait_to_be_told_of_a_drain_end_with_their_server)
{
    serving one{answer_three, {.drain_spread = 10s}};
    std::vector<raw_socket> clients;
    for (int i = 0; i < 100; ++i)
        clients.push_back(one.connect());
    one.until_active(100);
    one.server.reset();
    require_end(one.context);
    BOOST_TEST(one.ends.size() == 100U);
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(a_context_that_runs_no_more_takes_sessions_that_wait_with_it)
{
    for (bool const server_first : {false, true})
    {
        serving s{[](duet::session& peer) { return answer(peer); }};
        auto client = s.connect();
        auto other = s.connect();
        s.until_active(2);
        if (server_first)
            s.server.reset();
    }
}

// Nor does one that reads nothing hold up the others.
BOOST_AUTO_TEST_CASE(a_session_that_always_has_a_message_gives_way_to_others)
{
    for (bool const reads : {true, false})
    {
        int calls = 0;
        int calls_before_others = 0;
        serving s{[&](duet::session& peer) -> asio::awaitable<bool>
            {
                if (++calls == 1)
                    asio::post(peer.get_executor(), [&] { calls_before_others = calls; });
                std::string byte(1, '\0');
                if (reads)
                    co_await peer.read_some(asio::buffer(byte));
                co_return calls < 1000;
            }};
        auto client = s.connect();
        auto other = s.connect();
        client.send_all(std::string(2000, 'x'));
        client.shutdown_write();
        s.until([&] { return calls == 1000; });
        BOOST_TEST(calls_before_others > 0);
        BOOST_TEST(calls_before_others < 100);
    }
}

BOOST_AUTO_TEST_CASE(a_session_moved_out_of_its_handler_is_still_the_servers)
{
    int calls = 0;
    serving s{[&](duet::session& peer) -> asio::awaitable<bool>
        {
            ++calls;
            auto mine = std::move(peer);
            bool const more = co_await answer(mine);
            co_return more;
        }};
    auto client = s.connect();
    for (std::string const text : {"one", "two"})
    {
        client.send_all(text);
        s.until([&] { return heard_so_far(client) == text; });
    }
    client.shutdown_write();
    s.until_active(0);
    BOOST_TEST(calls == 3);
    BOOST_TEST(s.counters().completed == 1u);
}

BOOST_AUTO_TEST_CASE(what_a_handler_does_to_its_coroutine_does_not_reach_the_next_message)
{
    int calls = 0;
    bool throws = false;
    serving s{[&](duet::session& peer) -> asio::awaitable<bool>
        {
            if (++calls == 2)
                throws = co_await asio::this_coro::throw_if_cancelled();
            co_await asio::this_coro::throw_if_cancelled(false);
            bool const more = co_await answer(peer);
            co_return more;
        }};
    auto client = s.connect();
    for (std::string const text : {"one", "two"})
    {
        client.send_all(text);
        s.until([&] { return heard_so_far(client) == text; });
    }
    BOOST_TEST(throws);
}

// More at once than coroutines are kept.
BOOST_AUTO_TEST_CASE(many_messages_are_answered_at_once)
{
    constexpr int many = 300;
    std::optional<asio::steady_timer> gate;
    int now = 0;
    serving s{[&](duet::session& peer) -> asio::awaitable<bool>
        {
            running const guard{now};
            auto const heard = co_await read(peer);
            if (heard.empty())
                co_return false;
            boost::system::error_code ignored;
            asio::use_awaitable_t<> const token;
            co_await gate->async_wait(asio::redirect_error(token, ignored));
            co_await write(peer, heard);
            co_return true;
        }};
    gate.emplace(s.context, asio::steady_timer::time_point::max());
    std::deque<raw_socket> clients;
    for (std::uint64_t i = 1; i <= many; ++i)
    {
        clients.push_back(s.connect());
        if (i % 100 == 0)
            s.until_active(i);  // no listen queue need take them all
    }
    for (int round = 0; round < 3; ++round)
    {
        for (auto& client : clients)
            client.send_all("ping");
        s.until([&] { return now == many; });
        gate->cancel();
        s.until([&] { return now == 0; });
        for (auto& client : clients)
            BOOST_TEST(client.recv_exactly(4) == "ping");
    }
    for (auto& client : clients)
        client.shutdown_write();
    s.until_active(0);
    BOOST_TEST(s.counters().completed == static_cast<std::uint64_t>(many));
    gate.reset();
}

BOOST_AUTO_TEST_CASE(several_threads_serve_messages)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    {
        auto options = on_loopback();
        options.threads = 3;
        duet::server server{context, options, [](duet::session& peer) { return answer(peer); }};
        std::deque<raw_socket> clients;
        for (int i = 0; i < 30; ++i)
            clients.push_back(client_of(server));
        for (auto& client : clients)
            client.send_all("ping");
        for (auto& client : clients)
        {
            std::string heard;
            serve(context,
                [&]
                {
                    heard += heard_so_far(client);
                    return heard == "ping";
                });
        }
        serve_until_active(context, server, 30);
        for (std::size_t i = 0; i < 15; ++i)
            clients[i].shutdown_write();
        serve_until_active(context, server, 15);
        BOOST_TEST(server.counters().completed == 15u);
    }
    require_end(context);
}

BOOST_AUTO_TEST_CASE(a_unix_server_may_serve_messages)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    auto const name = std::string{'\0'} + "duet-server-messages-" + std::to_string(::getpid());
    duet::unix_acceptor listening{context, asio::local::stream_protocol::endpoint{name}};
    duet::unix_server server{context, std::move(listening), {}, [](duet::unix_session& peer) { return answer(peer); }};
    auto client = raw_socket::connect(raw_address::local(name));
    for (std::string const text : {"one", "two"})
    {
        client.send_all(text);
        serve(context, [&] { return heard_so_far(client) == text; });
    }
    client.close();
    serve(context, [&] { return server.counters().completed == 1; });
}
