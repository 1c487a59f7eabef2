// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/timeouts.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.timeouts
#include "session/memory_fixture.hpp"

#include <duet/connector.hpp>
#include <duet/server_options.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> read_once(memory_session& peer, std::array<char, 16>& buffer)
{
    co_await peer.read_some(asio::buffer(buffer));
}

duet::server_options for_strangers()
{
    duet::server_options options;
    options.session.deadlines.first_message = 10s;  // however it drips
    options.session.deadlines.message = 30s;        // the whole of each request
    options.session.deadlines.next_message = 60s;   // silence between two requests
    options.session.deadlines.write = 20s;          // it takes nothing of an answer

    return options;
}

asio::awaitable<void> read_within(memory_session& peer)
{
    std::array<char, 16> buffer{};
    std::size_t const size = co_await peer.read_some(asio::buffer(buffer)).within(5s);

    BOOST_TEST(size == 0);  // not reached: the peer is silent
}

asio::awaitable<void> ask_whether_it_is_there(memory_session& peer)
{
    std::string line;
    bool late = false;
    try
    {
        co_await peer.read_until(line, "\n", 4096).within(5s);
    }
    catch (duet::session_error const& error)
    {
        late = error.code() == duet::errc::call_timed_out;
        if (!late)
            throw;
    }
    if (late)  // no co_await in a catch block
        co_await peer.write("still there?\n");

    BOOST_TEST(line == "half a");
}

void allow_more(memory_session& peer)
{
    duet::deadlines limits = peer.deadlines();
    limits.next_message = 1h;  // it has logged in
    peer.set_deadlines(limits);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_client_that_says_nothing_is_reset)
{
    memory_talk talk;
    talk.play(for_strangers().session,
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            auto const begin = talk.now();
            std::array<char, 16> buffer{};
            co_await expect_error(read_once(peer, buffer), duet::errc::first_message_timed_out);
            BOOST_TEST((talk.now() - begin) / 1s == 10);
        });
}

BOOST_AUTO_TEST_CASE(one_call_has_a_limit)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            auto const begin = talk.now();
            co_await expect_error(read_within(peer), duet::errc::call_timed_out);
            BOOST_TEST((talk.now() - begin) / 1s == 5);
        });
}

BOOST_AUTO_TEST_CASE(what_has_come_is_kept)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            talk.peer.send_all("half a");
            co_await ask_whether_it_is_there(peer);
            BOOST_TEST(talk.peer.recv_available() == "still there?\n");
        });
}

BOOST_AUTO_TEST_CASE(deadlines_are_changed)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            allow_more(peer);
            bool const changed = peer.deadlines().next_message == 1h;
            BOOST_TEST(changed);
            co_return;
        });
}

BOOST_AUTO_TEST_CASE(every_limit_but_a_dead_host_is_a_time_out)
{
    for (auto const code :
        {duet::errc::next_message_timed_out, duet::errc::message_timed_out, duet::errc::first_message_timed_out,
            duet::errc::read_timed_out, duet::errc::write_timed_out, duet::errc::call_timed_out,
            duet::errc::idle_timed_out, duet::errc::half_closed_timed_out, duet::errc::connect_timed_out})
        BOOST_TEST((make_error_code(code) == duet::condition::timed_out));
    BOOST_TEST((make_error_code(duet::errc::dead_peer) != duet::condition::timed_out));
}

BOOST_AUTO_TEST_CASE(a_connector_has_limits)
{
    asio::io_context context;
    auto const executor = context.get_executor();
    duet::connector connector{executor, {.timeout = 5s, .resolve_timeout = 2s, .attempt_timeout = 1s}};

    bool const limited = connector.options().timeout == 5s && connector.options().attempt_timeout == 1s;
    BOOST_TEST(limited);
}
