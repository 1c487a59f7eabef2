// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Boost.Beast's HTTP and WebSocket run over a session, TCP and Unix-domain: what is said at the end of a connection
// included.

#define BOOST_TEST_MODULE asio_face.beast
#include <duet/beast.hpp>

#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/in_thread.hpp"
#include "support/process.hpp"
#include "support/started.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using duet::error_code;

namespace {

raw_address address_for(std::type_identity<duet::session>)
{
    return raw_address::v4(0);
}

raw_address address_for(std::type_identity<duet::unix_session>)
{
    static int count = 0;
    return raw_address::local(
        std::string{'\0'} + "duet-beast-" + std::to_string(::getpid()) + '-' + std::to_string(++count));
}

template <typename Session>
raw_pair connected()
{
    return connected_pair(address_for(std::type_identity<Session>{}));
}

using both = std::tuple<duet::session, duet::unix_session>;

using response = http::response<http::string_body>;

struct parsed
{
    error_code code;
    response message;
};

template <typename Session>
asio::awaitable<parsed> read_response(Session& session, beast::flat_buffer& buffer)
{
    parsed result;
    co_await http::async_read(session, buffer, result.message, asio::redirect_error(asio::use_awaitable, result.code));
    co_return result;
}

// What a session makes of what a raw server says.
template <typename Session>
parsed answer_of(std::string const& text, bool const resets = false)
{
    return run(
        [&]() -> asio::awaitable<parsed>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto raw = connected<Session>();
            auto session = adopt<Session>(raw.client, executor);
            beast::flat_buffer buffer;
            started<parsed> reading{executor, read_response(session, buffer)};
            co_await settle();
            raw.server.send_all(text);
            if (resets)
                raw.server.reset();
            else
                raw.server.shutdown_write();
            auto result = co_await reading.result();
            co_return result;
        });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(over_http)

BOOST_AUTO_TEST_CASE_TEMPLATE(question_and_answer, Session, both)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto raw = connected<Session>();
            auto client = adopt<Session>(raw.client, executor);
            auto server = adopt<Session>(raw.server, executor);
            beast::flat_buffer client_buffer;
            beast::flat_buffer server_buffer;
            for (int round = 0; round < 3; ++round)
            {
                http::request<http::string_body> question{http::verb::post, "/question", 11};
                question.body() = std::string(static_cast<std::size_t>(round) * 100'000, 'q');
                question.keep_alive(round < 2);
                question.prepare_payload();
                auto const ask = [&]() -> asio::awaitable<void>
                { co_await http::async_write(client, question, asio::use_awaitable); };
                started<void> asking{executor, ask()};

                http::request<http::string_body> asked;
                co_await http::async_read(server, server_buffer, asked, asio::use_awaitable);
                co_await asking.result();
                BOOST_TEST(asked.target() == "/question");
                BOOST_TEST((asked.body() == question.body()));

                response answer{http::status::ok, 11};
                answer.keep_alive(asked.keep_alive());
                answer.chunked(true);
                answer.body() = "answer " + std::to_string(round);
                co_await http::async_write(server, answer, asio::use_awaitable);
                auto const got = co_await read_response(client, client_buffer);
                BOOST_TEST_INFO(got.code.message());
                BOOST_TEST(!got.code);
                BOOST_TEST(got.message.body() == "answer " + std::to_string(round));
                BOOST_TEST(got.message.keep_alive() == (round < 2));
            }
            // The client said "Connection: close". Both ends, and neither resets.
            auto const close = [](Session& session) -> asio::awaitable<duet::close_report>
            {
                auto const report = co_await session.close();
                co_return report;
            };
            started<duet::close_report> closing{executor, close(server)};
            auto const after = co_await read_response(client, client_buffer);
            BOOST_TEST((after.code == http::error::end_of_stream));
            auto const client_report = co_await close(client);
            BOOST_TEST(client_report.clean());
            auto const server_report = co_await closing.result();
            BOOST_TEST(server_report.clean());
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(chunks_in_pieces, Session, both)
{
    auto const got = answer_of<Session>("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                        "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n");
    BOOST_TEST_INFO(got.code.message());
    BOOST_TEST(!got.code);
    BOOST_TEST(got.message.body() == "hello, world");
}

// A body without a length ends with the connection: with FIN it is whole, with RST it is not.
BOOST_AUTO_TEST_CASE(p17_a_body_that_ends_with_the_connection)
{
    std::string const text = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe rest";
    auto const whole = answer_of<duet::session>(text);
    BOOST_TEST_INFO(whole.code.message());
    BOOST_TEST(!whole.code);
    BOOST_TEST(whole.message.body() == "the rest");
    BOOST_TEST(!whole.message.keep_alive());
    auto const cut = answer_of<duet::session>(text, true);
    BOOST_TEST_INFO(cut.code.message());
    BOOST_TEST((cut.code == duet::condition::reset));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(p38_a_message_that_is_cut, Session, both)
{
    BOOST_TEST((
        answer_of<Session>("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").code == http::error::partial_message));
    BOOST_TEST((answer_of<Session>("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").code ==
                http::error::partial_message));
    BOOST_TEST((answer_of<Session>("HTTP/1.1 200 OK\r\nContent-Le").code == http::error::partial_message));
    BOOST_TEST((answer_of<Session>("").code == http::error::end_of_stream));
}

// P01: the answer comes before the body was read, and the client still gets it.
BOOST_AUTO_TEST_CASE(p01_curl_gets_its_answer)
{
    raw_listener listener;
    auto const url = "http://127.0.0.1:" + std::to_string(listener.port()) + "/large";
    std::optional<child_process> curl;
    try
    {
        curl.emplace(std::vector<std::string>{
            "curl", "-s", "-S", "--noproxy", "*", "--data-binary", "@-", "-H", "Expect:", url});
    }
    catch (std::system_error const& failure)
    {
        BOOST_TEST_MESSAGE("no curl: " << failure.what());
        return;
    }
    curl->write(std::string(300'000, 'x'));
    curl->close_input();
    auto raw = listener.accept();
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto session = adopt(raw, executor);
            beast::flat_buffer buffer;
            http::request_parser<http::string_body> request;
            co_await http::async_read_header(session, buffer, request, asio::use_awaitable);
            response answer{http::status::payload_too_large, 11};
            answer.keep_alive(false);
            answer.body() = "too much\n";
            answer.prepare_payload();
            co_await http::async_write(session, answer, asio::use_awaitable);
            auto const report = co_await session.close();
            BOOST_TEST_INFO(to_string(report.reason));
            BOOST_TEST(report.clean());
        });
    BOOST_TEST(curl->read_rest() == "too much\n");
    BOOST_TEST(curl->wait().success());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(over_websocket)

namespace {

template <typename Session>
struct dialogue
{
    explicit dialogue(asio::any_io_executor const& executor, duet::session_options const& options = {})
        : raw{connected<Session>()}, client{adopt<Session>(raw.client, executor, options)}, server{adopt<Session>(
                                                                                                raw.server, executor,
                                                                                                options)}
    {
    }

    asio::awaitable<void> shake_hands()
    {
        auto const executor = co_await asio::this_coro::executor;
        auto const accept = [this]() -> asio::awaitable<void> { co_await server.async_accept(asio::use_awaitable); };
        started<void> accepting{executor, accept()};
        co_await client.async_handshake("localhost", "/", asio::use_awaitable);
        co_await accepting.result();
    }

    raw_pair raw;
    websocket::stream<Session> client;
    websocket::stream<Session> server;
};

template <typename Stream>
asio::awaitable<std::string> receive(Stream& stream)
{
    beast::flat_buffer buffer;
    co_await stream.async_read(buffer, asio::use_awaitable);
    co_return beast::buffers_to_string(buffer.data());
}

template <typename Stream>
asio::awaitable<void> send(Stream& stream, std::string const& text)
{
    co_await stream.async_write(asio::buffer(text), asio::use_awaitable);
}

template <typename Stream>
asio::awaitable<void> close(Stream& stream)
{
    co_await stream.async_close(websocket::close_code::normal, asio::use_awaitable);
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(messages_and_the_closing_handshake, Session, both)
{
    for (bool const client_closes : {true, false})
    {
        run(
            [&]() -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                dialogue<Session> d{executor};
                co_await d.shake_hands();
                co_await send(d.client, "hello");
                auto const hello = co_await receive(d.server);
                BOOST_TEST(hello == "hello");
                // Larger than every buffer on its way, and in both directions at once.
                std::string const large(3'000'000, 'x');
                started<void> forth{executor, send(d.client, large)};
                started<void> back{executor, send(d.server, large)};
                started<std::string> at_client{executor, receive(d.client)};
                auto const at_server = co_await receive(d.server);
                BOOST_TEST((at_server == large));
                auto const got_at_client = co_await at_client.result();
                BOOST_TEST((got_at_client == large));
                co_await forth.result();
                co_await back.result();

                auto& closer = client_closes ? d.client : d.server;
                auto& other = client_closes ? d.server : d.client;
                started<void> closing{executor, close(closer)};
                co_await expect_error(receive(other), websocket::error::closed);
                co_await closing.result();
                BOOST_TEST((other.reason().code == websocket::close_code::normal));
                // The teardown was close(): both connections ended well, and are gone.
                BOOST_TEST_INFO(to_string(closer.next_layer().close_reason()));
                BOOST_TEST((closer.next_layer().report().clean()));
                BOOST_TEST_INFO(to_string(other.next_layer().close_reason()));
                BOOST_TEST((other.next_layer().report().clean()));
                BOOST_TEST((closer.next_layer().state() == duet::session_state::closed));
                BOOST_TEST((other.next_layer().state() == duet::session_state::closed));
            });
    }
}

// Both at once, while each still has a message on its way that nobody reads (P01).
BOOST_AUTO_TEST_CASE_TEMPLATE(p01_both_close, Session, both)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            dialogue<Session> d{executor};
            co_await d.shake_hands();
            co_await send(d.client, "unread");
            co_await send(d.server, "unread");
            started<void> one{executor, close(d.client)};
            started<void> other{executor, close(d.server)};
            co_await one.result();
            co_await other.result();
            BOOST_TEST((d.client.next_layer().report().clean()));
            BOOST_TEST((d.server.next_layer().report().clean()));
        });
}

// A peer that shakes hands and then never ends the connection: the session's deadline does.
BOOST_AUTO_TEST_CASE(p30_a_peer_that_does_not_end_the_connection)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::session_options options;
            options.deadlines.close = 100ms;
            auto raw = connected<duet::session>();
            websocket::stream<duet::session> server{adopt(raw.client, executor, options)};
            auto const accept = [&]() -> asio::awaitable<void> { co_await server.async_accept(asio::use_awaitable); };
            started<void> accepting{executor, accept()};
            co_await settle();
            raw.server.send_all("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                                "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n");
            co_await accepting.result();
            started<void> closing{executor, close(server)};
            co_await settle();
            std::string const goodbye{"\x88\x80\x00\x00\x00\x00", 6};  // a masked close frame, and no FIN
            raw.server.send_all(goodbye);
            co_await expect_error(closing.result(), duet::condition::timed_out);
            BOOST_TEST((server.next_layer().close_reason() == duet::close_reason::timed_out));
        });
}

// Beast's own timeout ends the session.
BOOST_AUTO_TEST_CASE(p36_a_handshake_that_never_comes)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto raw = connected<duet::session>();
            websocket::stream<duet::session> server{adopt(raw.client, executor)};
            websocket::stream_base::timeout limits{};
            limits.handshake_timeout = 100ms;
            limits.idle_timeout = websocket::stream_base::none();
            server.set_option(limits);
            auto const accept = [&]() -> asio::awaitable<void> { co_await server.async_accept(asio::use_awaitable); };
            co_await expect_error(accept(), beast::error::timeout);
            BOOST_TEST((server.next_layer().close_reason() == duet::close_reason::aborted));
            BOOST_TEST(raw.server.recv_some().error == ECONNRESET);
        });
}

// The peer is gone without a word of goodbye.
BOOST_AUTO_TEST_CASE(p17_a_reset_in_the_middle)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            dialogue<duet::session> d{executor};
            co_await d.shake_hands();
            started<std::string> reading{executor, receive(d.client)};
            co_await settle();
            d.server.next_layer().abort();
            co_await expect_error(reading.result(), duet::condition::reset);
        });
}

BOOST_AUTO_TEST_SUITE_END()
