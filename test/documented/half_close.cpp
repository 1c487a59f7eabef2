// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/half_close.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.half_close
#include "session/memory_fixture.hpp"

#include <duet/connector.hpp>
#include <duet/server.hpp>

#include <boost/asio/detached.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

using namespace duet_test;
using namespace std::string_view_literals;

namespace {

std::string sorted(std::string text)
{
    std::sort(text.begin(), text.end());
    return text;
}

asio::awaitable<void> sort_lines(duet::session peer)
{
    std::string const input = co_await peer.read_all(std::size_t{1} << 20);
    std::string const answer = sorted(input);
    co_await peer.write(answer);
}

asio::awaitable<std::string> ask(duet::session& server, std::string const& question)
{
    co_await server.write(question);
    co_await server.shutdown_send();
    std::string answer = co_await server.read_all(std::size_t{1} << 20);
    co_await server.close();
    co_return answer;
}

asio::awaitable<std::string> echo(memory_session& server, std::string const& input)
{
    server.write(input)(asio::detached);
    server.shutdown_send()(asio::detached);
    std::string const echoed = co_await server.read_all(input.size());

    co_return echoed;
}

asio::awaitable<void> serve_messages(memory_session& peer)
{
    std::array<unsigned char, 2> header{};
    for (;;)
    {
        auto const more = co_await peer.read_or_end(asio::buffer(header));
        if (!more)
            break;  // the client has finished, between two messages
        std::string body(std::size_t{header[0]} * 256 + header[1], '\0');
        if (!body.empty())
            co_await peer.read(asio::buffer(body));  // truncated, if the FIN comes here
        co_await peer.write(body);
    }
}

// Reads and writes in turn, and no more than a little at a time.
asio::awaitable<void> echo_a_little(memory_peer& end)
{
    for (;;)
    {
        auto const part = co_await end.receive_some(100);
        if (part.data.empty())
            break;
        co_await end.send(part.data);
    }
    end.shutdown_write();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_fin_ends_the_question_and_the_answer)
{
    asio::io_context context;
    duet::server server{context, {.port = 0, .address = "127.0.0.1"}, sort_lines};
    run(context,
        [&]() -> asio::awaitable<void>
        {
            duet::connector connector{context};
            duet::session session = co_await connector.connect(server.local_endpoint());
            std::string const question = "cab";
            auto const answer = co_await ask(session, question);
            BOOST_TEST(answer == "abc");
            co_await server.drain(run_guard);
        }());
}

BOOST_AUTO_TEST_CASE(a_client_reads_while_it_writes)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& server) -> asio::awaitable<void>
        {
            started<void> other{talk.context.get_executor(), echo_a_little(talk.peer)};
            std::string const input(stalling_size, 'x');
            auto const echoed = co_await echo(server, input);
            BOOST_TEST((echoed == input));
            co_await other.result();
        });
}

BOOST_AUTO_TEST_CASE(an_end_between_two_messages_is_none_within_one)
{
    for (auto const rest : {""sv, "\0"sv, "\0\2"sv, "\0\2x"sv})
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& peer) -> asio::awaitable<void>
            {
                talk.peer.send_all("\0\3abc\0\0"sv);
                talk.peer.send_all(rest);
                talk.peer.shutdown_write();
                auto const error = co_await error_of(serve_messages(peer));
                BOOST_TEST(talk.peer.recv_available() == "abc");
                if (rest.empty())
                    BOOST_TEST(!error);
                else
                    BOOST_TEST((error == duet::condition::truncated || error == duet::condition::ended));
            });
    }
}
