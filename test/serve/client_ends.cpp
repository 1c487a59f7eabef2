// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A client that finishes while its handler expects a message: between two messages that is an end like any other, in
// the middle of one it is a failure, and the end of another connection is no end of an answer.

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.client_ends
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"

#include <duet/testing/memory_stream.hpp>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::errc;

namespace {

// A message is a digit, its length, and so many bytes. It is answered by its bytes.
asio::awaitable<void> echo_messages(duet::session peer)
{
    for (;;)
    {
        std::array<char, 1> head{};
        co_await peer.read(asio::buffer(head));
        std::string body(static_cast<std::size_t>(head[0] - '0'), '\0');
        co_await peer.read(asio::buffer(body));
        co_await peer.write(asio::buffer(body));
    }
}

struct talk
{
    received heard;
    std::vector<duet::session_end> ends;
};

template <class Handler>
talk talk_to(Handler handler, std::string const& sent)
{
    asio::io_context context;
    talk result;
    auto options = on_loopback();
    options.on_session_end = [&](duet::session_end const& end) { result.ends.push_back(end); };
    duet::server serving{context, options, handler};
    run(context,
        [](duet::server& s, std::string const& text, received& heard) -> asio::awaitable<void>
        {
            auto client = client_of(s);
            auto const says = [&]
            {
                if (!text.empty())
                {
                    client.send_all(text);
                    client.shutdown_write();
                }
                return client.recv_all();
            };
            heard = co_await in_thread(says);
            client.close();
            co_await drain(s, 20s);
        }(serving, sent, result.heard));
    BOOST_REQUIRE(result.ends.size() == 1U);
    return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_client_that_finishes_between_two_messages_is_no_failure)
{
    auto const end = talk_to(echo_messages, "3abc1d");
    BOOST_TEST(end.heard.data == "abcd");
    BOOST_TEST(end.heard.error == 0);
    BOOST_TEST((end.ends[0].failure == nullptr));
    BOOST_TEST(end.ends[0].report.reason == close_reason::clean);
}

BOOST_AUTO_TEST_CASE(a_client_that_finishes_in_a_message_is_a_failure_wherever_it_is_cut)
{
    for (std::string const sent : {"3abc5", "3abc5defg"})
    {
        auto const end = talk_to(echo_messages, sent);
        BOOST_TEST((end.ends[0].failure != nullptr));
        BOOST_TEST(end.ends[0].report.reason == close_reason::aborted);
        BOOST_TEST(end.heard.error == ECONNRESET);
    }
}

BOOST_AUTO_TEST_CASE(the_end_of_another_connection_does_not_look_like_the_end_of_the_answer)
{
    auto const handler = [](duet::session peer) -> asio::awaitable<void>
    {
        auto const executor = co_await asio::this_coro::executor;
        auto pair = duet::testing::memory_stream::pair(executor);
        duet::testing::memory_session upstream{std::move(pair.first)};
        duet::testing::memory_session behind{std::move(pair.second)};
        co_await write(peer, "the beginning of an answer");
        co_await behind.shutdown_send();
        std::array<char, 4> rest{};
        co_await upstream.read(asio::buffer(rest));
    };
    auto const end = talk_to(handler, "");
    BOOST_TEST((end.ends[0].failure != nullptr));
    BOOST_TEST(end.ends[0].report.reason == close_reason::aborted);
    BOOST_TEST(end.heard.error == ECONNRESET);
}
