// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Many requests under way on one session: who gets which answer, what goes out together, and what each is told at the
// end.

#define BOOST_TEST_MODULE requests.request_stream
#include <duet/request_stream.hpp>

#include <boost/test/unit_test.hpp>

#include "requests/request_fixture.hpp"
#include "support/told_result.hpp"

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::condition;
using duet::errc;

BOOST_FIXTURE_TEST_SUITE(answers, request_fixture)

BOOST_AUTO_TEST_CASE(each_request_gets_its_own_in_any_order)
{
    auto const requests = open();
    run(
        [&]() -> asio::awaitable<void>
        {
            auto first = ask(*requests, "one");
            auto second = ask(*requests, "two");
            auto third = ask(*requests, "three");
            co_await settle();
            BOOST_TEST(told(peer.recv_available()) == "1:one 2:two 3:three");
            BOOST_TEST(requests->counters().writes == 1U);
            BOOST_TEST(requests->counters().under_way == 3U);
            peer.send_all(message(3, "c") + message(1, "a"));
            co_await settle();
            BOOST_TEST(!second.done());
            peer.send_all(message(2, "b"));
            auto const got_third = co_await third.result();
            BOOST_TEST(got_third == "c");
            auto const got_second = co_await second.result();
            BOOST_TEST(got_second == "b");
            auto const got_first = co_await first.result();
            BOOST_TEST(got_first == "a");
            BOOST_TEST(requests->counters().answered == 3U);
            BOOST_TEST(requests->counters().under_way == 0U);
            peer.shutdown_write();
        });
    BOOST_TEST((requests->error() == errc::ended));
}

BOOST_AUTO_TEST_CASE(one_that_is_late_harms_no_other)
{
    with_requests({.within = 1min},
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto const begun = now();
            auto late = ask(requests, "late");
            co_await pause(30s);
            auto other = ask(requests, "other");
            auto const got_late = co_await outcome(late);
            BOOST_TEST(got_late == "sent, the time given to this call passed");
            BOOST_TEST((now() == begun + 1min + tick));
            peer.send_all(message(1, "too late"));
            co_await settle();
            BOOST_TEST(!other.done());
            BOOST_TEST(requests.counters().late == 1U);
            peer.send_all(message(2, "yes"));
            auto const got_other = co_await other.result();
            BOOST_TEST(got_other == "yes");
            peer.send_all(message(2, "twice"));
            co_await settle();
            BOOST_TEST(requests.counters().late == 2U);
            BOOST_TEST(!requests.error());
            asio::awaitable<std::string> hurried = requests.ask("hurried", 1s);
            co_await expect_error(std::move(hurried), errc::call_timed_out);
            BOOST_TEST((now() == begun + 1min + 1s + 2 * tick));
            BOOST_TEST(requests.counters().timed_out == 2U);
            peer.close();
        });
}

BOOST_AUTO_TEST_CASE(one_that_is_cancelled_harms_no_other)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto sent = ask(requests, "sent");
            co_await settle();
            auto other = ask(requests, "other");
            co_await settle();
            sent.cancel();
            auto const got_sent = co_await outcome(sent);
            BOOST_TEST(got_sent == "sent, Operation canceled");
            BOOST_TEST(told(peer.recv_available()) == "1:sent 2:other");
            peer.send_all(message(1, "?") + message(2, "yes"));
            auto const got_other = co_await other.result();
            BOOST_TEST(got_other == "yes");
            BOOST_TEST(requests.counters().late == 1U);
            peer.close();
        });
}

BOOST_AUTO_TEST_CASE(what_the_framing_cannot_carry_is_refused_alone)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto good = ask(requests, "good");
            std::string const large(65536, 'x');
            asio::awaitable<std::string> bad = requests.ask(large);
            co_await expect_error(std::move(bad), asio::error::invalid_argument);
            peer.send_all(message(1, "yes"));
            auto const got_good = co_await good.result();
            BOOST_TEST(got_good == "yes");
            BOOST_TEST(requests.counters().under_way == 0U);
            peer.close();
        });
}

BOOST_AUTO_TEST_CASE(a_completion_token_gets_the_answer)
{
    auto const requests = open();
    told_result<std::string> got;
    requests->ask("one")(got.handler());
    time.run_until([&] { return requests->counters().writes == 1; }, "the request");
    peer.send_all(message(1, "yes"));
    time.run_until([&] { return got.calls == 1; }, "the answer");
    BOOST_TEST(!*got.error);
    BOOST_TEST(got.result == "yes");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(bounds, request_fixture)

BOOST_AUTO_TEST_CASE(further_ones_wait_in_their_order)
{
    with_requests({.max_under_way = 2, .max_waiting = 2},
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            std::vector<started<std::string>> all;
            for (auto const* const body : {"one", "two", "three", "four", "five"})
                all.push_back(ask(requests, body));
            auto const got_all = co_await outcome(all[4]);
            BOOST_TEST(got_all == "not sent, too many wait for their turn");
            BOOST_TEST(requests.counters().under_way == 2U);
            BOOST_TEST(requests.counters().waiting == 2U);
            BOOST_TEST(told(peer.recv_available()) == "1:one 2:two");
            peer.send_all(message(2, "b"));
            co_await settle();
            BOOST_TEST(told(peer.recv_available()) == "3:three");
            peer.send_all(message(3, "c") + message(1, "a"));
            co_await settle();
            BOOST_TEST(told(peer.recv_available()) == "4:four");
            peer.send_all(message(4, "d"));
            for (auto const* const answer : {"a", "b", "c", "d"})
            {
                auto const got = co_await all[static_cast<std::size_t>(answer[0] - 'a')].result();
                BOOST_TEST(got == answer);
            }
            peer.close();
        });
}

BOOST_AUTO_TEST_CASE(none_under_way_is_no_bound)
{
    BOOST_CHECK_EXCEPTION(static_cast<void>(open({.max_under_way = 0})), duet::system_error,
        [](auto const& error) { return error.code() == asio::error::invalid_argument; });
}

BOOST_AUTO_TEST_CASE(one_that_waits_too_long_was_not_sent)
{
    with_requests({.within = 1min, .max_under_way = 1},
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            started<std::string> first{context.get_executor(), requests.ask("first", {})};  // no limit
            co_await settle();
            auto second = ask(requests, "second");
            auto const got_second = co_await outcome(second);
            BOOST_TEST(got_second == "not sent, the time given to this call passed");
            BOOST_TEST(told(peer.recv_available()) == "1:first");
            peer.send_all(message(1, "yes"));
            auto const got_first = co_await first.result();
            BOOST_TEST(got_first == "yes");
            peer.close();
        });
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct small_fixture : request_fixture
{
    small_fixture() : request_fixture{small_capacity} {}
};

}  // namespace

BOOST_AUTO_TEST_SUITE(ends)

BOOST_FIXTURE_TEST_CASE(all_fail_in_their_order_and_those_not_sent_are_told_apart, request_fixture)
{
    for (bool const reset : {false, true})
    {
        request_fixture scene;
        auto const requests = scene.open({.max_under_way = 2});
        std::vector<std::string> order;
        auto const ask_and_tell = [&](std::string_view body) -> asio::awaitable<void>
        {
            auto one = scene.ask(*requests, body);
            auto const result = co_await request_fixture::outcome(one);
            order.push_back(std::string{body} + ' ' + result);
        };
        scene.run(
            [&]() -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                std::vector<started<void>> all;
                for (auto const* const body : {"a", "b", "c"})
                    all.emplace_back(executor, ask_and_tell(body));
                co_await settle();
                if (reset)
                    scene.peer.reset();
                else
                    scene.peer.shutdown_write();
                for (auto& each : all)
                    co_await each.result();
                co_await ask_and_tell("later");
            });
        std::string const why = reset ? "Connection reset by peer" : "the peer has finished";
        std::vector<std::string> const expected{
            "a sent, " + why, "b sent, " + why, "c not sent, " + why, "later not sent, " + why};
        BOOST_TEST(order == expected, boost::test_tools::per_element());
        BOOST_TEST((requests->error() == (reset ? condition::reset : condition::ended)));
    }
}

BOOST_FIXTURE_TEST_CASE(half_an_answer_is_truncated, request_fixture)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto first = ask(requests, "first");
            co_await settle();
            auto const whole = message(1, "answer");
            peer.send_all(whole.substr(0, whole.size() - 1));
            peer.shutdown_write();
            co_await expect_error(first.result(), condition::truncated);
        });
}

// The peer reads nothing: what stands behind in the queue was never given to the connection.
BOOST_FIXTURE_TEST_CASE(what_is_queued_behind_a_write_was_not_sent, small_fixture)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            std::string const large(20'000, 'x');
            auto first = ask(requests, large);
            co_await settle();
            auto second = ask(requests, "second");
            auto third = ask(requests, "third");
            co_await settle();
            BOOST_TEST(requests.counters().writes == 1U);
            third.cancel();
            co_await settle();
            auto const got_third = co_await outcome(third);
            BOOST_TEST(got_third == "not sent, Operation canceled");
            peer.reset();
            auto const got_first = co_await outcome(first);
            BOOST_TEST(got_first == "sent, Connection reset by peer");
            auto const got_second = co_await outcome(second);
            BOOST_TEST(got_second == "not sent, Connection reset by peer");
        });
}

BOOST_FIXTURE_TEST_CASE(what_gathers_while_the_peer_takes_nothing_goes_out_together, small_fixture)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            std::string const large(20'000, 'x');
            auto first = ask(requests, large);
            co_await settle();
            std::vector<started<std::string>> all;
            for (int i = 0; i < 3; ++i)
                all.push_back(ask(requests, "small"));
            co_await settle();
            co_await peer.receive_exactly(2 + 8 + large.size());
            auto const rest = message(2, "small") + message(3, "small") + message(4, "small");
            auto const got = co_await peer.receive_exactly(rest.size());
            BOOST_TEST((got == rest));
            BOOST_TEST(requests.counters().writes == 2U);
            peer.close();
            for (auto& each : all)
                co_await expect_error(each.result(), condition::ended);
            co_await expect_error(first.result(), condition::ended);
        });
}

BOOST_AUTO_TEST_CASE(an_answer_that_cannot_be_one_ends_the_stream)
{
    std::string const no_id{"\0\3abc", 5};
    std::string const too_large{"\7\0", 2};
    for (auto const& bytes : {message(2, "not asked"), no_id, too_large})
    {
        request_fixture scene;
        auto const requests = scene.open();
        scene.run(
            [&]() -> asio::awaitable<void>
            {
                auto first = scene.ask(*requests, "first");
                co_await settle();
                scene.peer.recv_available();
                scene.peer.send_all(bytes);
                co_await expect_error(first.result(), condition::invalid_message);
                BOOST_TEST(scene.peer.recv_all().error == ECONNRESET);
                asio::awaitable<std::string> later = requests->ask("later");
                co_await expect_error(std::move(later), condition::invalid_message);
            });
    }
}

BOOST_FIXTURE_TEST_CASE(an_answer_to_what_was_not_sent_yet_ends_the_stream, small_fixture)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            std::string const large(20'000, 'x');
            auto first = ask(requests, large);
            co_await settle();
            auto second = ask(requests, "second");
            co_await settle();
            peer.send_all(message(2, "I know"));
            auto const got_second = co_await outcome(second);
            BOOST_TEST(got_second == "not sent, an answer to what was not asked");
            co_await expect_error(first.result(), errc::unexpected_answer);
        });
}

BOOST_FIXTURE_TEST_CASE(close_waits_for_what_is_under_way, request_fixture)
{
    with_requests({.max_under_way = 1},
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto first = ask(requests, "first");
            auto second = ask(requests, "second");
            co_await settle();
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, requests.close()};
            started<duet::close_report> impatient{executor, requests.close()};
            co_await settle();
            impatient.cancel();
            co_await expect_error(impatient.result(), condition::cancelled);
            auto const got_second = co_await outcome(second);
            BOOST_TEST(got_second == "not sent, closed by its owner");
            BOOST_TEST(!first.done());
            BOOST_TEST(told(peer.recv_available()) == "1:first");
            peer.send_all(message(1, "yes"));
            auto const got_first = co_await first.result();
            BOOST_TEST(got_first == "yes");
            auto const end = co_await peer.receive_all_and_close();
            BOOST_TEST(end.data == "");
            auto const report = co_await closing.result();
            BOOST_TEST(report.clean());
            BOOST_TEST((requests.error() == errc::closed));
        });
}

BOOST_FIXTURE_TEST_CASE(requests_outlive_the_stream, request_fixture)
{
    auto requests = open({.max_under_way = 1});
    run(
        [&]() -> asio::awaitable<void>
        {
            auto first = ask(*requests, "first");
            auto second = ask(*requests, "second");
            co_await settle();
            requests.reset();
            auto const got_first = co_await outcome(first);
            BOOST_TEST(got_first == "sent, closed by its owner");
            auto const got_second = co_await outcome(second);
            BOOST_TEST(got_second == "not sent, closed by its owner");
            BOOST_TEST(told(peer.recv_all().data) == "1:first");
        });
}

// From the first request under way, whenever the read began.
BOOST_AUTO_TEST_CASE(a_silent_peer_has_its_whole_time_while_requests_are_under_way)
{
    for (bool const by_message : {false, true})
    {
        request_fixture scene;
        duet::session_options options;
        (by_message ? options.deadlines.next_message : options.deadlines.read) = 1min;
        auto const deadline = by_message ? errc::next_message_timed_out : errc::read_timed_out;
        auto const requests = scene.open({.within = {}}, options);
        scene.run(
            [&]() -> asio::awaitable<void>
            {
                auto first = scene.ask(*requests, "first");
                co_await settle();
                scene.peer.send_all(message(1, "yes"));
                auto const got_first = co_await first.result();
                BOOST_TEST(got_first == "yes");
                co_await scene.pause(10min + 30s);
                BOOST_TEST(!requests->error());
                auto const begun = scene.now();
                auto second = scene.ask(*requests, "second");
                co_await scene.pause(50s);
                auto third = scene.ask(*requests, "third");
                co_await expect_error(second.result(), deadline);
                BOOST_TEST((scene.now() == begun + 1min + tick));
                co_await expect_error(third.result(), deadline);
                BOOST_TEST((requests->error() == deadline));
                scene.peer.recv_available();
                BOOST_TEST(scene.peer.recv_all().error == ECONNRESET);
            });
    }
}

// Half a request was sent: the connection is of no use any more.
BOOST_FIXTURE_TEST_CASE(a_peer_that_takes_nothing_has_its_time, small_fixture)
{
    with_requests({.within = {}}, {.deadlines = {.write = 10s}},
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto const begun = now();
            std::string const large(20'000, 'x');
            auto first = ask(requests, large);
            auto const got_first = co_await outcome(first);
            BOOST_TEST(got_first == "sent, " + duet::error_code{errc::write_timed_out}.message());
            BOOST_TEST((now() == begun + 10s + tick));
            peer.recv_available();
            BOOST_TEST(peer.recv_all().error == ECONNRESET);
        });
}

BOOST_FIXTURE_TEST_CASE(what_is_under_way_at_a_close_learns_how_the_connection_has_ended, request_fixture)
{
    with_requests(
        [&](memory_requests& requests) -> asio::awaitable<void>
        {
            auto first = ask(requests, "first");
            co_await settle();
            auto const executor = co_await asio::this_coro::executor;
            started<duet::close_report> closing{executor, requests.close()};
            co_await settle();
            peer.reset();
            auto const got_first = co_await outcome(first);
            BOOST_TEST(got_first == "sent, Connection reset by peer");
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
            BOOST_TEST((requests.error() == errc::closed));
        });
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_takes_the_requests_with_it)
{
    std::unique_ptr<memory_requests> requests;
    {
        request_fixture scene;
        requests = scene.open({.max_under_way = 2});
        for (int i = 0; i < 3; ++i)
            scene.ask(*requests, "one");
        scene.time.clock.run_ready();
        BOOST_TEST(requests->counters().under_way == 2U);
        requests.reset();
        for (int i = 0; i < 3; ++i)
            scene.time.step();
    }
}

BOOST_AUTO_TEST_SUITE_END()
