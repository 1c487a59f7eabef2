// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/testing.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.testing
#include <duet/line_reader.hpp>
#include <duet/server.hpp>
#include <duet/testing/manual_clock.hpp>
#include <duet/testing/memory_stream.hpp>
#include <duet/testing/stream_conformance.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace documented {

using my_stream = duet::testing::memory_stream;

void check(bool holds)
{
    BOOST_TEST(holds);
}

duet::error_code error_of(std::future<void>& operation)
{
    try
    {
        operation.get();
    }
    catch (duet::session_error const& error)
    {
        return error.code();
    }
    return {};
}

template <class Session>
asio::awaitable<void> greet(Session& peer)
{
    duet::line_reader lines{peer, 1000};
    for (;;)
    {
        auto const name = co_await lines.next();
        if (!name)
            break;
        std::string const answer = "hello, " + std::string{*name} + '\n';
        co_await peer.write(answer);
    }
}

asio::awaitable<void> serve(duet::testing::memory_session& peer)
{
    co_await greet(peer);
    co_await peer.close();  // as a server does
}

asio::awaitable<std::string> script(duet::testing::memory_session& client)
{
    co_await client.write("ann\nb");
    co_await client.write("ob\n");
    co_await client.shutdown_send();
    std::string answers = co_await client.read_all(1000);
    co_return answers;
}

std::string answers_in_pieces_of(std::size_t size)
{
    asio::io_context context;
    auto ends = duet::testing::memory_stream::pair(context.get_executor());
    ends.first.behaviour().most_per_read = size;   // short reads
    ends.first.behaviour().most_per_write = size;  // short writes
    duet::testing::memory_session server{std::move(ends.first)};
    duet::testing::memory_session client{std::move(ends.second)};
    auto served = asio::co_spawn(context, serve(server), asio::use_future);
    auto answers = asio::co_spawn(context, script(client), asio::use_future);
    context.run();
    served.get();  // throws what serve() has thrown
    return answers.get();
}

}  // namespace documented

using namespace documented;

BOOST_AUTO_TEST_CASE(pieces)
{
    for (std::size_t const size : {1U, 2U, 3U, 7U, 1000U})
        check(answers_in_pieces_of(size) == "hello, ann\nhello, bob\n");
}

BOOST_AUTO_TEST_CASE(time_that_the_test_moves)
{
    asio::io_context context;
    duet::testing::manual_clock clock{context};  // first
    auto ends = duet::testing::memory_stream::pair(context.get_executor());
    duet::session_options options;
    options.deadlines.next_message = 60s;
    duet::testing::memory_session server{std::move(ends.first), options};
    auto served = asio::co_spawn(context, greet(server), asio::use_future);

    clock.advance(59s);
    check(served.wait_for(0s) == std::future_status::timeout);  // still there
    clock.advance(2s);
    check(served.wait_for(0s) == std::future_status::ready);
    check(error_of(served) == duet::errc::next_message_timed_out);
}

BOOST_AUTO_TEST_CASE(a_server_takes_the_protocol)
{
    asio::io_context context;
    duet::server_options options;
    options.address = "127.0.0.1";
    duet::server server{context, options, [](duet::session peer) -> asio::awaitable<void> { co_await greet(peer); }};

    BOOST_TEST(server.ready());
}

BOOST_AUTO_TEST_CASE(a_server_on_a_port_of_the_systems_choice)
{
    asio::io_context context;
    auto const handler = [](duet::session peer) -> asio::awaitable<void> { co_await greet(peer); };
    duet::server server{context, {.port = 0, .address = "127.0.0.1"}, handler};
    auto const endpoint = server.local_endpoint();

    BOOST_TEST(endpoint.port() != 0);
}

BOOST_AUTO_TEST_CASE(a_stream_conforms)
{
    auto const make_pair = [](asio::any_io_executor executor) { return my_stream::pair(executor); };
    auto const broken = duet::testing::check_stream(make_pair);
    check(to_string(broken) == "");
}
