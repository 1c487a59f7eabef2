// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A session that speaks TLS: reading, writing, and the ends of both.

#define BOOST_TEST_MODULE tls.session
#include "tls/tls_fixture.hpp"

#include <duet/trace.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace asio = boost::asio;
using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;

namespace {

template <class Session>
asio::awaitable<std::size_t> read_some(Session& session, asio::mutable_buffer room)
{
    auto const size = co_await session.read_some(room);
    co_return size;
}

template <class Session>
asio::awaitable<std::string> read_all(Session& session)
{
    auto text = co_await session.read_all(std::size_t{1} << 24);
    co_return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(both_directions_and_a_clean_end)
{
    tls_talk talk;
    talk.play(
        [&](auto& server, auto& client) -> asio::awaitable<void>
        {
            co_await client.write("question");
            std::string question(8, ' ');
            co_await server.read(asio::buffer(question));
            BOOST_TEST(question == "question");
            co_await server.write("answer");
            started<duet::close_report> closing{talk.context.get_executor(), close(server)};
            auto const answer = co_await client.read_all(100);
            BOOST_TEST(answer == "answer");
            auto const mine = co_await client.close();
            auto const theirs = co_await closing.result();
            BOOST_TEST(mine.clean());
            BOOST_TEST(theirs.clean());
            BOOST_TEST(mine.bytes_sent == 8u);
            BOOST_TEST(mine.bytes_received == 6u);
            BOOST_TEST(theirs.bytes_sent == 6u);
        });
}

BOOST_AUTO_TEST_CASE(one_read_takes_from_as_many_records_as_are_there)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            for (int i = 0; i < 5; ++i)
                peer.say("12345");
            std::string room(100, ' ');
            auto const size = co_await server.read_some(asio::buffer(room));
            BOOST_TEST(room.substr(0, size) == "1234512345123451234512345");
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(wait_readable_sees_what_openssl_holds)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            peer.say("0123456789");
            std::array<char, 3> room{};
            co_await server.read(asio::buffer(room));
            // The other bytes have left the stream: nothing below will ever tell of them.
            auto const readable = co_await server.wait_readable();
            BOOST_TEST(readable);
            std::string rest(7, ' ');
            co_await server.read(asio::buffer(rest));
            BOOST_TEST(rest == "3456789");
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(large_writes_flow_at_the_pace_of_the_reader)
{
    tls_talk talk{8 * 1024};
    talk.play(
        [&](auto& server, auto& client) -> asio::awaitable<void>
        {
            auto const data = pattern(1'000'000);
            started<std::size_t> writing{talk.context.get_executor(), write(server, data)};
            co_await talk.time.pause(10s);
            BOOST_TEST(!writing.done());
            BOOST_TEST(server.bytes_queued() > 800'000u);  // the session keeps but a batch of it
            started<std::string> reading{talk.context.get_executor(), read_all(client)};
            co_await writing.result();
            co_await server.shutdown_send();
            auto const arrived = co_await reading.result();
            BOOST_TEST((arrived == data));
            co_await client.shutdown_send();
            auto const report = co_await server.close();
            BOOST_TEST(report.clean());
        });
}

BOOST_AUTO_TEST_CASE(delivered_waits_for_what_the_session_keeps)
{
    tls_talk talk{8 * 1024};
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            peer.takes = false;
            auto const data = pattern(30'000);
            co_await server.write(data);  // taken, and mostly kept
            BOOST_TEST(server.bytes_queued() == 0u);
            auto delivered = [](auto& one) -> asio::awaitable<void> { co_await one.delivered(); };
            started<void> waiting{talk.context.get_executor(), delivered(server)};
            co_await talk.time.pause(10s);
            BOOST_TEST(!waiting.done());
            peer.takes = true;
            co_await talk.until(
                [&]
                {
                    peer.hear();
                    return peer.heard.size() == 30'000;
                });
            co_await waiting.result();
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(a_half_close_leaves_the_other_direction)
{
    for (char const* version : {"1.3", "1.2"})
    {
        tls_talk talk;
        talk.play_with_openssl(
            [&](auto& server, auto& peer) -> asio::awaitable<void>
            {
                co_await server.write("all of it");
                co_await server.shutdown_send();
                peer.hear();
                BOOST_TEST(peer.heard == "all of it");
                BOOST_TEST(peer.ended());
                BOOST_TEST(peer.fin);
                peer.say("and the answer");
                std::string answer(14, ' ');
                co_await server.read(asio::buffer(answer));
                BOOST_TEST(answer == "and the answer");
                peer.close_notify();
                auto const size = co_await server.read_some(asio::buffer(answer));
                BOOST_TEST(size == 0u);
                // Both have finished, though no FIN of the peer has come.
                auto const reason = co_await server.wait_peer_gone();
                BOOST_TEST((reason == duet::close_reason::clean || reason == duet::close_reason::none));
                auto const report = co_await server.close();
                BOOST_TEST(report.clean());
            },
            version);
    }
}

BOOST_AUTO_TEST_CASE(the_wait_for_the_hang_up_ends_when_both_have_said_close_notify)
{
    for (bool const reads : {true, false})
    {
        tls_talk talk;
        talk.play_with_openssl(
            [&](auto& server, auto& peer) -> asio::awaitable<void>
            {
                auto gone = [](auto& session) -> asio::awaitable<void> { co_await session.wait_peer_gone(); };
                started<void> waiting{talk.context.get_executor(), gone(server)};
                std::string room(5, ' ');
                if (reads)
                {
                    co_await server.shutdown_send();
                    peer.hear();
                    peer.close_notify();  // and no FIN
                    co_await server.read_some(asio::buffer(room));
                }
                else
                {
                    peer.close_notify();
                    co_await server.read_some(asio::buffer(room));
                    co_await talk.time.pause(1s);
                    BOOST_TEST(!waiting.done());
                    co_await server.shutdown_send();
                }
                co_await waiting.result();
            });
    }
}

BOOST_AUTO_TEST_CASE(a_fin_without_close_notify_is_truncated)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            peer.say("begun");
            duet::error_code ignored;
            peer.stream().shutdown_send(ignored);
            std::string room(100, ' ');
            auto const size = co_await server.read_some(asio::buffer(room));
            BOOST_TEST(room.substr(0, size) == "begun");
            auto const told = co_await failure_of(read_some(server, asio::buffer(room)));
            BOOST_TEST((told.first == duet::tls_errc::truncated));
            BOOST_TEST((told.first == condition::truncated));
            BOOST_TEST(!(told.first == condition::ended));
            BOOST_TEST(!(told.first == condition::reset));
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(a_reset_is_a_reset)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            std::string room(100, ' ');
            started<std::size_t> reading{talk.context.get_executor(), read_some(server, asio::buffer(room))};
            co_await talk.time.pause(1s);
            peer.stream().reset();
            auto const told = co_await failure_of(reading.result());
            BOOST_TEST((told.first == condition::reset));
        });
}

BOOST_AUTO_TEST_CASE(what_follows_close_notify_is_ignored)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            peer.close_notify();
            duet::error_code error;
            peer.stream().write_some(asio::buffer("GARBAGE", 7), error);
            std::string room(100, ' ');
            auto const size = co_await server.read_some(asio::buffer(room));
            BOOST_TEST(size == 0u);
            auto const again = co_await server.read_some(asio::buffer(room));
            BOOST_TEST(again == 0u);
            co_await server.write("still heard");
            peer.hear();
            BOOST_TEST(peer.heard == "still heard");
            started<duet::close_report> closing{talk.context.get_executor(), close(server)};
            co_await talk.time.pause(1ms);
            peer.hear();
            auto const report = co_await closing.result();
            BOOST_TEST(report.clean());
        });
}

BOOST_AUTO_TEST_CASE(close_ends_with_a_fin_that_no_close_notify_came_before)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            started<duet::close_report> closing{talk.context.get_executor(), close(server)};
            co_await talk.time.pause(1s);
            BOOST_TEST(!closing.done());
            peer.hear();
            BOOST_TEST(peer.ended());
            peer.say("late");
            duet::error_code ignored;
            peer.stream().shutdown_send(ignored);
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_discarded == 4u);
        });
}

BOOST_AUTO_TEST_CASE(a_peer_that_never_answers_costs_the_close_deadline)
{
    tls_talk talk;
    talk.options.deadlines.close = 3s;
    talk.play_with_openssl(
        [&](auto& server, auto&) -> asio::awaitable<void>
        {
            auto const before = talk.time.now();
            auto const report = co_await server.close();
            BOOST_TEST((report.reason == duet::close_reason::timed_out));
            BOOST_TEST((talk.time.now() - before <= 3100ms));
        });
}

BOOST_AUTO_TEST_CASE(a_cancelled_read_is_cancelled_and_loses_nothing)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            std::string room(5, ' ');
            started<std::size_t> reading{talk.context.get_executor(), read_some(server, asio::buffer(room))};
            co_await talk.time.pause(1s);
            reading.cancel();
            auto const told = co_await failure_of(reading.result());
            BOOST_TEST((told.first == condition::cancelled));
            peer.say("12345");
            co_await server.read(asio::buffer(room));
            BOOST_TEST(room == "12345");
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(a_cancelled_close_is_cancelled_and_goes_on)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            started<duet::close_report> closing{talk.context.get_executor(), close(server)};
            co_await talk.time.pause(1s);
            closing.cancel();
            auto const told = co_await failure_of(closing.result());
            BOOST_TEST((told.first == condition::cancelled));
            peer.close_notify();
            auto const report = co_await server.close();
            BOOST_TEST(report.clean());
        });
}

BOOST_AUTO_TEST_CASE(a_drain_ends_a_read_that_waits)
{
    tls_talk talk;
    talk.play(
        [&](auto&, auto& client) -> asio::awaitable<void>
        {
            std::string room(5, ' ');
            started<std::size_t> reading{talk.context.get_executor(), read_some(client, asio::buffer(room))};
            client.request_finish();
            auto const told = co_await failure_of(reading.result());
            BOOST_TEST((told.first == duet::errc::draining));
            client.abort();
        });
}

BOOST_AUTO_TEST_CASE(a_drain_that_meets_input_reads_it)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            std::string room(5, ' ');
            started<std::size_t> reading{talk.context.get_executor(), read_some(server, asio::buffer(room))};
            co_await talk.time.pause(1s);
            peer.say("12345");
            server.request_finish();
            auto const size = co_await reading.result();
            BOOST_TEST(size == 5u);
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(the_deadlines_of_a_session_hold)
{
    tls_talk talk;
    talk.options.deadlines.read = 2s;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            std::string room(5, ' ');
            auto const told = co_await failure_of(read_some(server, asio::buffer(room)));
            BOOST_TEST((told.first == duet::errc::read_timed_out));
            peer.say("12345");
            co_await server.read(asio::buffer(room));
            BOOST_TEST(room == "12345");
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(keys_are_updated_in_both_directions)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            std::string room(1, ' ');
            for (int i = 0; i < 3; ++i)
            {
                ::SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED);
                peer.say("x");
                co_await server.read(asio::buffer(room));
                co_await server.write("y");
                peer.hear();
                BOOST_TEST(peer.heard.size() == static_cast<std::size_t>(i + 1));
            }
            server.abort();
        });
}

BOOST_AUTO_TEST_CASE(an_abort_is_a_reset_for_the_peer)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            server.abort();
            peer.hear();
            BOOST_TEST(peer.reset);
            BOOST_TEST(!peer.ended());
            co_return;
        });
}

BOOST_AUTO_TEST_CASE(a_trace_sees_plaintext_and_changes_nothing)
{
    tls_talk talk;
    duet::trace trace;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            std::string room(8, ' ');
            started<std::size_t> reading{talk.context.get_executor(), read_some(server, asio::buffer(room))};
            co_await talk.time.pause(1s);
            trace.attach(server);  // while a read waits
            peer.say("question");
            auto const size = co_await reading.result();
            BOOST_TEST(size == 8u);
            co_await server.write("answer");
            peer.hear();
            BOOST_TEST(peer.heard == "answer");
            peer.close_notify();
            auto const end = co_await server.read_some(asio::buffer(room));
            BOOST_TEST(end == 0u);
            started<duet::close_report> closing{talk.context.get_executor(), close(server)};
            co_await talk.time.pause(1ms);
            peer.hear();
            auto const report = co_await closing.result();
            BOOST_TEST(report.clean());
        });
    BOOST_TEST(trace.recorded() > 5u);
    bool told = false;
    for (auto const& each : trace.log().events)
        told = told || (each.name == std::string_view{"write"} && each.bytes == 6);
    BOOST_TEST(told);
}

BOOST_AUTO_TEST_CASE(nothing_is_left_in_the_queue_of_errors)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            duet::error_code error;
            peer.stream().write_some(asio::buffer("this is no record of TLS at all, is it?", 39), error);
            std::string room(5, ' ');
            auto const told = co_await failure_of(read_some(server, asio::buffer(room)));
            BOOST_TEST((told.first == duet::tls_condition::protocol));
            BOOST_TEST(::ERR_peek_error() == 0u);
            peer.hear();
            BOOST_TEST(!peer.reason.empty());  // the alert
            server.abort();
        });
}
