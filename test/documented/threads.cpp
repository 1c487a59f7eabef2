// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/threads.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.threads
#include <duet/connector.hpp>
#include <duet/line_reader.hpp>
#include <duet/remote.hpp>
#include <duet/run.hpp>
#include <duet/tasks.hpp>

#include "session/memory_fixture.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace documented {

asio::awaitable<void> send_prices(duet::session& peer)
{
    asio::steady_timer timer{peer.get_executor()};
    for (;;)
    {
        co_await peer.write("42\n");
        timer.expires_after(1h);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

asio::awaitable<void> answer_requests(duet::session& peer)
{
    duet::line_reader lines{peer, 100};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        co_await peer.write("ok\n");
    }
}

asio::awaitable<void> handler(duet::session peer)
{
    auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
    {
        tasks.begin(send_prices(peer));
        co_await answer_requests(peer);
    };
    co_await duet::with_tasks(body, duet::tasks_end::cancel);
}

// Not called: the port is fixed.
int serve_on_a_pool()
{
    asio::thread_pool pool{4};
    duet::server server{pool, {.port = 7777, .threads = 4}, handler};
    return duet::run(server);
}

void serve_on_four_cores(asio::io_context& context, duet::server_options options)
{
    options.threads = 4;
    options.pin_threads = true;
    duet::server server{context, options, handler};

    BOOST_TEST(server.options().threads == 4U);
}

asio::awaitable<std::string> look_up(std::string question)
{
    co_return question + (std::this_thread::get_id() == std::thread::id{} ? "?" : "!");
}

asio::awaitable<void> answer(duet_test::memory_session& peer, asio::thread_pool& pool, std::string question)
{
    std::string const answer = co_await asio::co_spawn(pool, look_up(question), asio::use_awaitable);
    co_await peer.write(answer);
}

asio::awaitable<bool> tell(duet::session& peer)
{
    duet::remote member{peer};

    auto const text = std::make_shared<std::string>("news\n");
    bool const there =
        member.post([text](duet::session& s) { s.write (*text)([text](duet::error_code, std::size_t) {}); });

    co_return there;
}

asio::awaitable<void> say_news(duet::session peer)
{
    bool const there = co_await tell(peer);
    BOOST_TEST(there);
    co_await peer.wait_readable();
}

duet::server_options local()
{
    duet::server_options options;
    options.address = "127.0.0.1";
    return options;
}

}  // namespace documented

BOOST_AUTO_TEST_CASE(prices_are_sent_beside_the_answers)
{
    asio::io_context context;
    duet::server server{context, documented::local(), documented::handler};
    duet_test::run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session client = co_await connector.connect(server.local_endpoint());
            duet::line_reader lines{client, 100};
            auto const price = co_await lines.next();
            BOOST_TEST(price.value() == "42");
            co_await client.write("a\n");
            auto const answer = co_await lines.next();
            BOOST_TEST(answer.value() == "ok");
            auto const report = co_await client.close();  // the handler ends, and the task with it
            BOOST_TEST(report.clean());
            co_await server.drain(1min);
        }());
}

BOOST_AUTO_TEST_CASE(a_remote_writes)
{
    asio::io_context context;
    duet::server server{context, documented::local(), documented::say_news};
    duet_test::run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session client = co_await connector.connect(server.local_endpoint());
            duet::line_reader lines{client, 100};
            auto const news = co_await lines.next();
            BOOST_TEST(news.value() == "news");
            co_await client.close();
            co_await server.drain(1min);
        }());
}

BOOST_AUTO_TEST_CASE(a_handler_comes_back_from_a_pool)
{
    asio::thread_pool pool{1};
    asio::io_context context;
    auto ends = duet::testing::memory_stream::pair(context.get_executor());
    duet_test::memory_session peer{std::move(ends.first)};
    duet_test::memory_peer client{std::move(ends.second)};
    duet_test::run(context, documented::answer(peer, pool, "what"));
    BOOST_TEST(client.recv_available() == "what!");
}

BOOST_AUTO_TEST_CASE(four_threads_serve)
{
    asio::io_context context;
    documented::serve_on_four_cores(context, documented::local());
}
