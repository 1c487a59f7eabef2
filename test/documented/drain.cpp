// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/drain.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.drain
#include <duet/connector.hpp>
#include <duet/line_reader.hpp>
#include <duet/run.hpp>

#include "support/coro.hpp"
#include "support/started.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> handler(duet::session peer)
{
    duet::line_reader lines{peer, 4096};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            break;
        co_await peer.write("ok\n");
    }
    if (peer.finish_requested())
        co_await peer.write("bye: the server stops\n");
}

duet::server_options settings()
{
    duet::server_options options;
    options.address = "127.0.0.1";
    options.drain_delay = 5s;    // ready() is false, and everything goes on
    options.drain_spread = 10s;  // a part of drain_timeout
    options.drain_timeout = 20s;

    return options;
}

asio::awaitable<void> end(duet::server& server)
{
    duet::drain_report const end = co_await server.drain(10s);
    std::clog << end.finished << " finished, " << end.aborted << " aborted\n";

    BOOST_TEST(end.finished == 1U);
    BOOST_TEST(end.aborted == 0U);
}

}  // namespace

namespace documented {

// Not called: its port is fixed, and it ends by a signal.
int main()
{
    asio::io_context context;
    duet::server_options options;
    options.port = 7777;
    options.drain_timeout = 20s;
    duet::server server{context, options, handler};
    return duet::run(context, {.print = true}, server);
}

}  // namespace documented

BOOST_AUTO_TEST_CASE(a_handler_says_goodbye)
{
    asio::io_context context;
    auto options = settings();
    options.drain_delay = options.drain_spread = options.drain_grace = {};
    duet::server server{context, duet::inherited_descriptors(), options, handler};

    duet_test::run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session client = co_await connector.connect(server.local_endpoint());
            duet::line_reader answers{client, 100};
            co_await client.write("a\n");
            auto const answer = co_await answers.next();
            BOOST_TEST(answer.value() == "ok");
            duet_test::started<void> drain{context.get_executor(), end(server)};
            auto const goodbye = co_await answers.next();
            BOOST_TEST(goodbye.value() == "bye: the server stops");
            BOOST_TEST(!server.ready());
            auto const none = co_await answers.next();
            BOOST_TEST(!none);
            auto const report = co_await client.close();
            BOOST_TEST(report.clean());
            co_await drain.result();
        }());
}
