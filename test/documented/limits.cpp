// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/limits.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.limits
#include "session/memory_fixture.hpp"

#include <duet/connector.hpp>
#include <duet/resolver.hpp>
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

duet::server_options bounded()
{
    duet::server_options options;
    options.address = "127.0.0.1";
    options.max_sessions = 900;
    options.at_limit = duet::limit_policy::shed;
    options.on_resource_failure = [](duet::accept_failure const& failure)
    { std::clog << "accept: " << failure.error.message() << '\n'; };

    options.session.queue_limit = std::size_t{1} << 20;
    options.session.when_queue_full = duet::full_queue::abort;
    options.session.deadlines.write = 20s;

    return options;
}

void watch(duet::server const& server)
{
    duet::error_code error;
    duet::listen_queue const queue = server.queue(error);
    if (!error && queue.length > queue.limit / 2)
        std::clog << queue.length << " of " << queue.limit << " wait to be accepted\n";

    BOOST_TEST(!error);
    BOOST_TEST(queue.length == 0U);
}

asio::awaitable<std::size_t> read_line(memory_session& peer)
{
    std::string line;
    std::size_t const size = co_await peer.read_until(line, "\n", 4096);

    co_return size;
}

asio::awaitable<void> fail_to_read_a_line(memory_session& peer)
{
    co_await read_line(peer);
}

asio::awaitable<bool> answer(duet::session& peer)
{
    std::string input;
    do
    {
        std::size_t const size = co_await peer.read_until(input, "\n", 4096);
        if (size == 0)
            co_return false;  // the client has finished
        co_await peer.write("ok\n");
        input.erase(0, size);
    }
    while (!input.empty());  // the next call would not have what came along
    co_return true;          // wait for more
}

asio::awaitable<void> handler(duet::session peer)
{
    co_await peer.wait_readable();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_message_has_a_limit)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            talk.peer.send_all("four\n");
            std::size_t const size = co_await read_line(peer);
            BOOST_TEST(size == 5U);
            talk.peer.send_all(std::string(5000, 'x'));
            co_await expect_error(fail_to_read_a_line(peer), duet::errc::limit_exceeded);
        });
}

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_read_is_let_go)
{
    memory_talk talk{small_capacity};
    talk.play(bounded().session,
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            std::string const update(stalling_size, 'x');
            for (int sent = 0; sent < 20; ++sent)
                peer.write(update)([](duet::error_code, std::size_t) {});
            co_await settle();
            BOOST_TEST((peer.error() == duet::errc::queue_full));
            BOOST_TEST(peer.bytes_queued() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(a_server_tells_its_queue)
{
    asio::io_context context;
    duet::server server{context, bounded(), handler};
    watch(server);
    BOOST_TEST(duet::system_resolver::max_queued_lookups() == 1024U);
}

BOOST_AUTO_TEST_CASE(two_messages_that_came_together_are_answered)
{
    asio::io_context context;
    duet::server server{context, bounded(), answer};
    run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session client = co_await connector.connect(server.local_endpoint());
            co_await client.write("a\nb\n");
            std::array<char, 6> answers{};
            co_await client.read(asio::buffer(answers));
            BOOST_TEST((std::string(answers.data(), answers.size()) == "ok\nok\n"));
            auto const report = co_await client.close();
            BOOST_TEST(report.clean());
            co_await server.drain(run_guard);
        }());
}
