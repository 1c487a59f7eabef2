// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A peer's requests are answered several at once: how many, in which order, and what becomes of them at the end.

#define BOOST_TEST_MODULE requests.serve_requests
#include <duet/serve_requests.hpp>

#include <boost/test/unit_test.hpp>

#include "requests/request_fixture.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::condition;
using duet::errc;

namespace {

// Answers "N" after N seconds, and "x" with an exception.
struct scene : memory_talk
{
    using memory_talk::memory_talk;

    asio::awaitable<std::string> answer(std::string request)
    {
        ++begun;
        most = std::max(most, ++running);
        struct leave
        {
            int& count;
            ~leave() { --count; }
        } const guard{running};
        if (request == "x")
            throw std::runtime_error{"it was x"};
        auto const seconds = std::stoi(request);
        if (seconds > 0)
            co_await pause(std::chrono::seconds{seconds});
        co_return request + "!";
    }

    asio::awaitable<void> serve(memory_session& session, duet::serve_requests_options options = {})
    {
        auto const handler = [this](std::string request) { return answer(std::move(request)); };
        co_await duet::serve_requests(session, framing, 1024, handler, options);
        served = true;
    }

    int begun = 0;
    int running = 0;
    int most = 0;
    bool served = false;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(answers_go_out_as_they_are_ready, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            started<void> serving{context.get_executor(), serve(session)};
            peer.send_all(message(1, "3") + message(2, "1") + message(3, "2") + message(4, "0") + message(5, "0"));
            co_await settle();
            BOOST_TEST(told(peer.recv_available()) == "4:0! 5:0!");
            co_await pause(10s);
            BOOST_TEST(told(peer.recv_available()) == "2:1! 3:2! 1:3!");
            BOOST_TEST(most == 4);  // those that need no time have ended
            peer.shutdown_write();
            co_await serving.result();
        });
}

BOOST_FIXTURE_TEST_CASE(no_more_are_read_than_may_run, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            started<void> serving{context.get_executor(), serve(session, {.max_concurrent = 2})};
            std::string all;
            for (std::uint64_t id = 1; id <= 20; ++id)
                all += message(id, "1");
            peer.send_all(all);
            co_await settle();
            BOOST_TEST(begun == 2);
            auto const received = session.bytes_received();
            peer.send_all(all);
            co_await settle();
            BOOST_TEST(session.bytes_received() == received);  // nothing is read meanwhile
            co_await pause(30s);
            BOOST_TEST(begun == 40);
            BOOST_TEST(most == 2);
            peer.shutdown_write();
            co_await serving.result();
        });
}

// The answer to a short request does not wait for the long ones that hold back the reading.
BOOST_FIXTURE_TEST_CASE(an_answer_does_not_wait_for_long_requests, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            started<void> serving{context.get_executor(), serve(session, {.max_concurrent = 2})};
            peer.send_all(message(1, "50") + message(2, "0") + message(3, "50") + message(4, "50") + message(5, "0"));
            co_await settle();
            BOOST_TEST(told(peer.recv_available()) == "2:0!");
            co_await pause(51s);
            BOOST_TEST(told(peer.recv_available()) == "1:50! 3:50! 5:0!");
            peer.shutdown_write();
            co_await serving.result();
        });
}

BOOST_FIXTURE_TEST_CASE(a_peer_that_half_closes_gets_all_of_its_answers, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            peer.send_all(message(1, "2") + message(2, "1"));
            peer.shutdown_write();
            started<void> serving{context.get_executor(), serve(session)};
            co_await pause(1500ms);
            BOOST_TEST(told(peer.recv_available()) == "2:1!");  // it does not wait for the other
            co_await serving.result();
            BOOST_TEST(told(peer.recv_available()) == "1:2!");
        });
}

BOOST_FIXTURE_TEST_CASE(a_drain_waits_for_what_is_under_way, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            started<void> serving{context.get_executor(), serve(session, {.max_concurrent = 1})};
            peer.send_all(message(1, "5") + message(2, "0"));
            co_await settle();
            session.request_finish();
            co_await settle();
            BOOST_TEST(!serving.done());
            co_await serving.result();
            BOOST_TEST(told(peer.recv_available()) == "1:5! 2:0!");  // it had arrived
        });
}

BOOST_FIXTURE_TEST_CASE(a_drain_ends_a_peer_that_is_silent, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            started<void> serving{context.get_executor(), serve(session)};
            co_await settle();
            session.request_finish();
            co_await serving.result();
        });
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_throws_fails_the_connection_and_cancels_the_others, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            started<void> serving{context.get_executor(), serve(session)};
            peer.send_all(message(1, "3000"));
            co_await settle();
            auto const begin = now();
            peer.send_all(message(2, "x"));
            bool thrown = false;
            try
            {
                co_await serving.result();
            }
            catch (std::runtime_error const& error)
            {
                thrown = error.what() == std::string{"it was x"};
            }
            BOOST_TEST(thrown);
            BOOST_TEST(running == 0);
            BOOST_TEST((now() == begin));
        });
}

BOOST_FIXTURE_TEST_CASE(it_is_cancelled_with_its_handlers, scene)
{
    play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            for (auto const most_at_once : {1U, 8U})
            {
                started<void> serving{context.get_executor(), serve(session, {.max_concurrent = most_at_once})};
                peer.send_all(message(1, "3000"));
                co_await settle();
                BOOST_TEST(running == 1);
                serving.cancel();
                co_await expect_error(serving.result(), condition::cancelled);
                BOOST_TEST(running == 0);
            }
        });
}

BOOST_AUTO_TEST_CASE(a_peer_that_waits_for_its_answer_may_be_silent)
{
    for (bool const by_message : {false, true})
    {
        scene one;
        duet::session_options options;
        (by_message ? options.deadlines.next_message : options.deadlines.read) = 1min;
        one.play(options,
            [&](memory_session& session) -> asio::awaitable<void>
            {
                started<void> serving{one.context.get_executor(), one.serve(session)};
                one.peer.send_all(message(1, "330"));
                co_await one.pause(330s);
                co_await settle();
                BOOST_TEST(told(one.peer.recv_available()) == "1:330!");
                auto const answered = one.now();
                co_await expect_error(
                    serving.result(), by_message ? errc::next_message_timed_out : errc::read_timed_out);
                BOOST_TEST((one.now() == answered + 1min + tick));  // from the answer: it has its whole time
            });
    }
}

BOOST_AUTO_TEST_CASE(what_is_no_request_fails_the_connection)
{
    std::string const no_id{"\0\3abc", 5};
    std::string const too_large{"\7\0", 2};
    for (auto const& bytes : {no_id, too_large})
    {
        scene one;
        one.play(
            [&](memory_session& session) -> asio::awaitable<void>
            {
                one.peer.send_all(bytes);
                co_await expect_error(one.serve(session), condition::invalid_message);
            });
    }
    scene half;
    half.play(
        [&](memory_session& session) -> asio::awaitable<void>
        {
            half.peer.send_all("\1");
            half.peer.shutdown_write();
            co_await expect_error(half.serve(session), condition::truncated);
        });
    scene none;
    none.play([&](memory_session& session) -> asio::awaitable<void>
        { co_await expect_error(none.serve(session, {.max_concurrent = 0}), asio::error::invalid_argument); });
}

// Both ends, over a connection that holds little: each of a thousand requests gets its own answer.
BOOST_AUTO_TEST_CASE(many_requests_find_their_answers)
{
    simulated_time time;
    auto const executor = time.context.get_executor();
    auto ends = duet::testing::memory_stream::pair(executor);
    ends.first.behaviour().capacity = ends.second.behaviour().capacity = 256;
    memory_session server{std::move(ends.second)};
    memory_requests client{memory_session{std::move(ends.first)}, framing, 1024, {.within = {}, .max_under_way = 100}};
    auto const handler = [&](std::string request) -> asio::awaitable<std::string>
    {
        co_await time.pause(std::chrono::milliseconds{std::stoi(request) * 7919 % 50});
        co_return request + "!";
    };
    int answered = 0;
    auto const ask = [&](int number) -> asio::awaitable<void>
    {
        auto const body = std::to_string(number);
        auto const answer = co_await client.ask(body);
        BOOST_TEST(answer == body + "!");
        ++answered;
    };
    auto const talk = [&]() -> asio::awaitable<void>
    {
        duet::serve_requests_options const options{.max_concurrent = 10};
        started<void> serving{executor, duet::serve_requests(server, framing, 1024, handler, options)};
        std::vector<started<void>> all;
        for (int number = 0; number < 1000; ++number)
            all.emplace_back(executor, ask(number));
        for (auto& each : all)
            co_await each.result();
        started<duet::close_report> closing{executor, client.close()};
        co_await serving.result();
        auto const report = co_await server.close();
        BOOST_TEST(report.clean());
        co_await closing.result();
    };
    time.run(talk());
    BOOST_TEST(answered == 1000);
    BOOST_TEST(client.counters().writes < 1000U);
}
