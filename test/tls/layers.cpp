// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What stands on a TLS session, and what it stands on: frames, requests, Unix-domain sockets; tickets and a drain;
// contexts that end, and that threads share.

#define BOOST_TEST_MODULE tls.layers
#include "tls/tls_fixture.hpp"

#include <duet/framing.hpp>
#include <duet/request_stream.hpp>
#include <duet/serve_requests.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

constexpr duet::length_prefix framing{.bytes = 4};

asio::awaitable<std::string> answer_to(std::string_view question)
{
    co_return "to " + std::string{question};
}

}  // namespace

BOOST_AUTO_TEST_CASE(frames_cross_a_tls_session)
{
    tls_talk talk;
    talk.play(
        [&](auto& server, auto& client) -> asio::awaitable<void>
        {
            duet::frame_stream from{server, framing, 100'000};
            duet::frame_stream to{client, framing, 100'000};
            std::string const large(50'000, 'x');  // several records
            to.put("small");
            co_await to.write(large);
            auto const first = co_await from.next();
            BOOST_TEST(first.value() == "small");
            auto const second = co_await from.next();
            BOOST_TEST(second.value() == large);
            co_await client.shutdown_send();
            auto const none = co_await from.next();
            BOOST_TEST(!none.has_value());
        });
}

BOOST_AUTO_TEST_CASE(a_frame_that_is_cut_off_is_truncated)
{
    tls_talk talk;
    talk.play_with_openssl(
        [&](auto& server, auto& peer) -> asio::awaitable<void>
        {
            duet::frame_stream from{server, framing, 100};
            peer.say(std::string_view{"\0\0\0\5abc", 7});
            peer.close_notify();
            auto const read = [&]() -> asio::awaitable<void> { co_await from.next(); };
            auto const told = co_await failure_of(read());
            BOOST_TEST((told.first == duet::condition::truncated));
        });
}

BOOST_AUTO_TEST_CASE(requests_cross_a_tls_session)
{
    tls_talk talk;
    talk.play(
        [&](auto& server, auto& client) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const serve = [&]() -> asio::awaitable<void>
            {
                co_await duet::serve_requests(server, framing, 1000, answer_to);
                co_await server.close();
            };
            started<void> serving{executor, serve()};
            duet::request_stream requests{std::move(client), framing, 1000};
            started<std::string> one{executor, requests.ask("one")};
            started<std::string> two{executor, requests.ask("two")};
            auto const first = co_await one.result();
            BOOST_TEST(first == "to one");
            auto const second = co_await two.result();
            BOOST_TEST(second == "to two");
            auto const report = co_await requests.close();
            BOOST_TEST(report.clean());
            co_await serving.result();
        });
}

BOOST_AUTO_TEST_CASE(a_unix_domain_socket_carries_tls)
{
    using socket_type = asio::local::stream_protocol::socket;
    using session_type = duet::basic_tls_session<socket_type>;
    asio::io_context context;
    socket_type near{context};
    socket_type far{context};
    asio::local::connect_pair(near, far);
    auto const server_context = duet::tls_context::server(tls_world::get().server_options());
    auto const client_context = duet::tls_context::client(tls_world::get().client_options());
    session_type server{{std::move(near), server_context}};
    session_type client{{std::move(far), client_context, "server.test"}};
    std::string heard;
    auto const serve = [&]() -> asio::awaitable<void>
    {
        co_await duet::handshake(server);
        co_await server.read_all(heard, 100);
        co_await server.close();
    };
    auto const ask = [&]() -> asio::awaitable<void>
    {
        co_await duet::handshake(client);
        co_await client.write("over a path");
        co_await client.close();
    };
    started<void> serving{context.get_executor(), serve()};
    started<void> asking{context.get_executor(), ask()};
    context.run_for(30s);
    BOOST_TEST(heard == "over a path");
    BOOST_TEST(context.stopped());
}

BOOST_AUTO_TEST_CASE(a_ticket_on_its_way_does_not_hold_a_drain)
{
    tls_talk talk;
    talk.time.run(
        [&]() -> asio::awaitable<void>
        {
            auto client = talk.client();
            auto server = talk.raw_server();
            started<void> shaken{talk.context.get_executor(), duet::handshake(client)};
            co_await talk.until([&] { return server.shakes_hands(); });
            co_await shaken.result();
            std::string room(5, ' ');
            auto const read = [&]() -> asio::awaitable<std::size_t>
            { co_return co_await client.read_some(asio::buffer(room)); };
            started<std::size_t> reading{talk.context.get_executor(), read()};
            co_await talk.time.pause(1s);  // it waits, and has taken the tickets of the handshake
            BOOST_REQUIRE(::SSL_new_session_ticket(server.ssl()) == 1);
            server.shakes_hands();  // sends it
            // Input below, and none for a reader; nobody has looked at it.
            client.request_finish();
            co_await talk.time.pause(1s);
            BOOST_TEST(reading.done());
            if (!reading.done())
                client.abort();
            auto const told = co_await failure_of(reading.result());
            BOOST_TEST((told.first == duet::errc::draining));
            client.abort();
        }());
}

BOOST_AUTO_TEST_CASE(a_context_may_end_during_a_handshake)
{
    bool begun = false;
    bool ended = false;
    {
        tls_talk talk;
        auto const shake_hands = [&](memory_tls_session session) -> asio::awaitable<void>
        {
            begun = true;
            co_await duet::handshake(session);
            ended = true;
        };
        // Nobody answers.
        asio::co_spawn(talk.context, shake_hands(talk.client()), asio::detached);
        talk.context.poll();
    }
    BOOST_TEST(begun);
    BOOST_TEST(!ended);
    BOOST_TEST(::ERR_peek_error() == 0U);
}

BOOST_AUTO_TEST_CASE(threads_share_a_context_that_is_replaced)
{
    auto const server_context = duet::tls_context::server(tls_world::get().server_options());
    auto const client_context = duet::tls_context::client(tls_world::get().client_options());
    std::atomic<int> shaken{0};
    auto const shake_hands = [&]
    {
        for (int i = 0; i < 20; ++i)
        {
            tls_talk talk;
            talk.server_context = server_context;
            talk.client_context = client_context;
            talk.play(
                [&](auto& server, auto& client) -> asio::awaitable<void>
                {
                    co_await client.write("x");
                    std::string room(1, ' ');
                    co_await server.read(asio::buffer(room));
                    ++shaken;
                });
        }
    };
    {
        std::jthread const one{shake_hands};
        std::jthread const two{shake_hands};
        do
        {
            server_context.replace(tls_world::get().server_options());
            client_context.replace(tls_world::get().client_options());
        }
        while (shaken < 40);
    }
    BOOST_TEST(shaken == 40);
}
