// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The server: how a handler's end becomes its session's, the limit, the drain, and that nothing of it stops the server.

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.server
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <atomic>
#include <cerrno>
#include <deque>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::condition;
using duet::errc;

BOOST_AUTO_TEST_CASE(a_handler_that_returns_ends_its_session_cleanly_even_with_unread_input)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::vector<duet::session_end> ends;
    auto options = on_loopback();
    options.on_session_end = [&](duet::session_end const& end) { ends.push_back(end); };
    duet::server serving{
        context, options, [](duet::session peer) -> asio::awaitable<void> { co_await write(peer, "413 too large"); }};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            auto const talk = [&]
            {
                client.send_all(std::string(100000, 'x'));  // a body that the handler does not want
                auto heard = client.recv_all();
                client.close();
                return heard;
            };
            auto const heard = co_await in_thread(talk);
            BOOST_TEST(heard.data == "413 too large");
            BOOST_TEST(heard.error == 0);  // P01: FIN, not RST
            auto const report = co_await drain(s, 20s);
            BOOST_TEST(report.aborted == 0u);
        }(serving));
    BOOST_REQUIRE(ends.size() == 1u);
    BOOST_TEST(ends[0].report.reason == close_reason::discarded_input);
    BOOST_TEST(ends[0].report.bytes_discarded == 100000u);
    BOOST_TEST(ends[0].what() == "");
    auto const counters = serving.counters();
    BOOST_TEST(counters.accepted == 1u);
    BOOST_TEST(counters.completed == 1u);
    BOOST_TEST(counters.active == 0u);
    BOOST_TEST(counters.unclean == 0u);
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_before_it_returns_a_coroutine_resets_its_session_and_is_reported)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::vector<std::string> ends;
    auto options = on_loopback();
    options.on_session_end = [&](duet::session_end const& end) { ends.push_back(end.what()); };
    duet::server serving{
        context, options, [](duet::session) -> asio::awaitable<void> { throw std::runtime_error{"no more paper"}; }};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            auto const heard = co_await in_thread([&] { return client.recv_all(); });
            BOOST_TEST(heard.error == ECONNRESET);
            co_await drain(s, 20s);
        }(serving));
    BOOST_REQUIRE(ends.size() == 1u);
    BOOST_TEST(ends[0].find("no more paper") != std::string::npos);
    BOOST_TEST(serving.counters().handler_failures == 1u);
    BOOST_TEST(serving.counters().active == 0u);
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_resets_its_session_is_reported_and_harms_nobody)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::vector<duet::session_end> ends;
    auto options = on_loopback();
    options.on_session_end = [&](duet::session_end const& end) { ends.push_back(end); };
    int count = 0;
    auto const handler = [&](duet::session peer) -> asio::awaitable<void>
    {
        auto const number = count++;
        if (number == 3)
        {
            co_await echo(std::move(peer));
            co_return;
        }
        co_await write(peer, "half an ans");
        if (number == 0)
            throw std::runtime_error{"no more paper"};
        if (number == 1)
            throw 42;
        throw std::bad_alloc{};
    };
    duet::server serving{context, options, handler};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            for (int i = 0; i < 3; ++i)
            {
                auto client = client_of(s);
                auto const heard = co_await in_thread([&] { return client.recv_all(); });
                BOOST_TEST(heard.error == ECONNRESET);  // never a clean end of half an answer
            }
            auto client = client_of(s);
            auto const talk = [&]
            {
                client.send_all("still alive");
                client.shutdown_write();
                return client.recv_all();
            };
            auto const heard = co_await in_thread(talk);
            BOOST_TEST(heard.data == "still alive");
            client.close();
            co_await drain(s, 20s);
        }(serving));
    BOOST_REQUIRE(ends.size() == 4u);
    BOOST_TEST(ends[0].what() == "no more paper");
    BOOST_TEST(ends[0].report.reason == close_reason::aborted);
    BOOST_TEST(ends[1].what() == "an exception that is not a std::exception");
    BOOST_TEST((ends[2].failure != nullptr));
    BOOST_TEST((ends[3].failure == nullptr));
    BOOST_TEST(ends[0].peer.find("127.0.0.1:") == 0u);
    BOOST_TEST(serving.counters().handler_failures == 3u);
    BOOST_TEST(serving.counters().completed == 1u);
}

BOOST_AUTO_TEST_CASE(a_callable_that_throws_before_it_is_a_coroutine_counts_as_a_handler_that_throws)
{
    asio::io_context context;
    auto const handler = [](duet::session) -> asio::awaitable<void> { throw std::runtime_error{"at once"}; };
    duet::server serving{context, on_loopback(), handler};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            auto const heard = co_await in_thread([&] { return client.recv_all(); });
            BOOST_TEST(heard.error == ECONNRESET);
            co_await drain(s, 20s);
        }(serving));
    BOOST_TEST(serving.counters().handler_failures == 1u);
}

BOOST_AUTO_TEST_CASE(a_move_only_callable_is_kept_alive)
{
    asio::io_context context;
    struct greeter
    {
        std::unique_ptr<std::string> text;

        asio::awaitable<void> operator()(duet::session peer) { co_await write(peer, *text); }
    };
    duet::server serving{context, on_loopback(), greeter{std::make_unique<std::string>("hello")}};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            auto const talk = [&]
            {
                client.shutdown_write();
                return client.recv_all();
            };
            auto const heard = co_await in_thread(talk);
            BOOST_TEST(heard.data == "hello");
            co_await drain(s, 20s);
        }(serving));
}

BOOST_AUTO_TEST_CASE(at_the_limit_one_more_client_waits_and_is_then_served)
{
    asio::io_context context;
    auto options = on_loopback();
    options.max_sessions = 2;
    duet::server serving{context, options, echo};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto first = client_of(s);
            auto second = client_of(s);
            co_await until([&] { return s.counters().active == 2; }, "two sessions");
            auto third = client_of(s);
            third.send_all("me too");
            third.shutdown_write();
            for (int i = 0; i < 50; ++i)
                co_await settle();
            BOOST_TEST(s.counters().accepted == 2u);
            first.close();
            auto const heard = co_await in_thread([&] { return third.recv_all(); });
            BOOST_TEST(heard.data == "me too");
            second.close();
            third.close();
            co_await drain(s, 20s);
            BOOST_TEST(s.counters().shed == 0u);
        }(serving));
}

BOOST_AUTO_TEST_CASE(at_the_limit_one_more_client_is_shed)
{
    asio::io_context context;
    auto options = on_loopback();
    options.max_sessions = 1;
    options.at_limit = duet::limit_policy::shed;
    duet::server serving{context, options, echo};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto first = client_of(s);
            co_await until([&] { return s.counters().active == 1; }, "one session");
            auto second = client_of(s);
            auto const heard = co_await in_thread([&] { return second.recv_all(); });
            BOOST_TEST(heard.error == ECONNRESET);
            BOOST_TEST(s.counters().shed == 1u);
            first.close();
            co_await drain(s, 20s);
        }(serving));
}

BOOST_AUTO_TEST_CASE(a_session_moved_out_of_its_handler_ends_with_it)
{
    asio::io_context context;
    std::optional<duet::session> kept;
    duet::server serving{context, on_loopback(),
        [&](duet::session peer) -> asio::awaitable<void>
        {
            kept.emplace(std::move(peer));
            co_return;
        }};
    run(context,
        [](duet::server& s, std::optional<duet::session>& session) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            client.shutdown_write();
            auto const heard = co_await in_thread([&] { return client.recv_all(); });
            BOOST_TEST(heard.error == 0);
            co_await drain(s, 20s);
            BOOST_TEST(session->state() == duet::session_state::closed);
            session.reset();
        }(serving, kept));
}

BOOST_AUTO_TEST_CASE(no_session_outlives_the_server)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    std::deque<raw_socket> clients;
    {
        duet::server serving{context, on_loopback(), echo};
        for (int i = 0; i < 10; ++i)
            clients.push_back(client_of(serving));
        while (serving.counters().active < 10)
            context.run_one_for(20s);
    }
    context.run();  // the handlers unwind, and nothing is left to do
    for (auto& client : clients)
        BOOST_TEST(client.recv_all().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(a_server_that_never_ran_is_destroyed_without_harm)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server const serving{context, on_loopback(), echo};
}

BOOST_AUTO_TEST_CASE(drain_lets_polite_sessions_finish_and_tells_late_ones_at_once)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::server serving{context, on_loopback(), polite<duet::session>};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            std::deque<raw_socket> clients;
            for (int i = 0; i < 5; ++i)
                clients.push_back(client_of(s));
            co_await until([&] { return s.counters().active == 5; }, "five sessions");
            auto late = client_of(s);  // in the kernel's queue when the drain begins
            late.send_all("one last question");
            auto const talk = [&]
            {
                auto heard = late.recv_all();
                late.close();
                for (auto& client : clients)
                {
                    BOOST_TEST(client.recv_all().error == 0);
                    client.close();
                }
                return heard;
            };
            auto const executor = co_await asio::this_coro::executor;
            started<duet::drain_report> draining{executor, drain(s, 20s)};
            auto const heard = co_await in_thread(talk);
            BOOST_TEST(heard.data == "one last question");
            BOOST_TEST(heard.error == 0);
            auto const report = co_await draining.result();
            BOOST_TEST(report.finished == 6u);
            BOOST_TEST(report.aborted == 0u);
            auto refused = raw_socket::start_connect(raw_address::v4(s.local_endpoint().port()));
            BOOST_TEST(refused.wait_connected() == ECONNREFUSED);
            auto const again = co_await drain(s, 20s);
            BOOST_TEST(again.finished == 6u);
        }(serving));
}

// P29: it ends in time, whatever the sessions and their handlers do.
BOOST_AUTO_TEST_CASE(p29_drain_aborts_what_is_left_at_the_deadline)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    int cancelled = 0;
    duet::server serving{context, on_loopback(),
        [&](duet::session peer) -> asio::awaitable<void>
        {
            asio::steady_timer for_ever{peer.get_executor(), std::chrono::steady_clock::time_point::max()};
            try
            {
                co_await for_ever.async_wait(asio::use_awaitable);
            }
            catch (boost::system::system_error const&)
            {
                ++cancelled;
                throw;
            }
        }};
    run(context,
        [](duet::server& s, int const& ended) -> asio::awaitable<void>
        {
            auto one = client_of(s);
            auto other = client_of(s);
            co_await until([&] { return s.counters().active == 2; }, "two sessions");
            auto const report = co_await drain(s, 20ms);
            BOOST_TEST(report.finished == 0u);
            BOOST_TEST(report.aborted == 2u);
            // A drain waits a second for them, and a thread may stall for longer.
            co_await until([&] { return ended == 2; }, "the handlers have ended");
            BOOST_TEST(one.recv_all().error == ECONNRESET);
        }(serving, cancelled));
}

BOOST_AUTO_TEST_CASE(abort_ends_a_drain)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), echo};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            co_await until([&] { return s.counters().active == 1; }, "a session");
            auto const executor = co_await asio::this_coro::executor;
            started<duet::drain_report> draining{executor, drain(s, 10min)};
            co_await settle();
            s.abort();
            auto const report = co_await draining.result();
            BOOST_TEST(report.aborted == 1u);
            BOOST_TEST(client.recv_all().error == ECONNRESET);
        }(serving));
}

BOOST_AUTO_TEST_CASE(a_drain_may_be_spread_over_time)
{
    asio::io_context context;
    auto options = on_loopback();
    options.drain_spread = 30ms;
    duet::server serving{context, options, polite<duet::session>};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            std::deque<raw_socket> clients;
            for (int i = 0; i < 6; ++i)
                clients.push_back(client_of(s));
            co_await until([&] { return s.counters().active == 6; }, "six sessions");
            auto const executor = co_await asio::this_coro::executor;
            started<duet::drain_report> draining{executor, drain(s, 20s)};
            auto const talk = [&]
            {
                for (auto& client : clients)
                {
                    BOOST_TEST(client.recv_all().error == 0);
                    client.close();
                }
            };
            co_await in_thread(talk);
            auto const report = co_await draining.result();
            BOOST_TEST(report.finished == 6u);
        }(serving));
}

// A port scan: connect, and reset at once.
BOOST_AUTO_TEST_CASE(p25_ten_thousand_resets_do_no_harm)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), echo};
    run(context,
        [](duet::server& s) -> asio::awaitable<void>
        {
            auto const scan = [&]
            {
                for (int i = 0; i < 10000; ++i)
                    client_of(s).reset();
                return 0;
            };
            co_await in_thread(scan);
            auto client = client_of(s);
            auto const talk = [&]
            {
                client.send_all("you live");
                client.shutdown_write();
                auto heard = client.recv_all();
                client.close();
                return heard;
            };
            auto const heard = co_await in_thread(talk);
            BOOST_TEST(heard.data == "you live");
            co_await drain(s, 20s);
        }(serving));
    BOOST_TEST(serving.counters().active == 0u);
}
