// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/framing.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.framing
#include <duet/framing.hpp>

#include <boost/test/unit_test.hpp>

#include "framing/call_counter.hpp"
#include "session/memory_fixture.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using namespace duet_test;
using namespace std::string_literals;

namespace {

std::string reply_to(std::string_view request)
{
    return "re: " + std::string{request};
}

[[maybe_unused]] asio::awaitable<void> answer(duet::session peer)
{
    duet::frame_stream messages{peer, duet::length_prefix{.bytes = 4}, 65536};
    for (;;)
    {
        auto const request = co_await messages.next();
        if (!request)
            break;  // the client has finished, or the server drains
        messages.put(reply_to(*request));
    }
}

struct netstring
{
    duet::frame_layout layout(std::string_view bytes, std::size_t) const noexcept
    {
        auto const colon = bytes.find(':');
        auto const digits = bytes.substr(0, colon);
        std::uint64_t size = 0;
        auto const read = std::from_chars(digits.data(), digits.data() + digits.size(), size);
        if (digits.size() > 9 || (!digits.empty() && read.ptr != digits.data() + digits.size()) || colon == 0)
            return {.malformed = true};
        if (colon == std::string_view::npos)
            return {.head = bytes.size() + 1};  // at least: the colon is still to come
        return {.head = colon + 1, .body = size, .tail = 1};
    }

    bool accepts(std::string_view body) const { return body.size() < 1'000'000'000; }

    std::string head(std::string_view body) const { return std::to_string(body.size()) + ':'; }

    std::string_view tail() const { return ","; }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_rule_of_ones_own_and_answers_in_one_write)
{
    memory_talk talk;
    talk.peer.send_all("3:one,0:,12:");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            call_counter const calls{s};
            duet::frame_stream messages{s, netstring{}, 100};
            auto const serve = [&]() -> asio::awaitable<void>
            {
                for (;;)
                {
                    auto request = co_await messages.next();
                    if (!request)
                        break;
                    for (; request; request = messages.next_buffered())
                        messages.put(reply_to(*request));
                }
            };
            started<void> serving{executor, serve()};
            co_await settle();
            BOOST_TEST(talk.peer.recv_available() == "7:re: one,4:re: ,");
            BOOST_TEST(calls.writes() == 1);
            talk.peer.send_all("twelve bytes,");
            talk.peer.shutdown_write();
            co_await serving.result();
            BOOST_TEST(talk.peer.recv_available() == "16:re: twelve bytes,");
        });
}

BOOST_AUTO_TEST_CASE(what_is_no_netstring_is_refused)
{
    for (std::string const wrong : {":", "x:", "1x:", "1234567890", "99:"})
    {
        memory_talk talk;
        talk.peer.send_all(wrong);
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                duet::frame_reader messages{s, netstring{}, 100};
                try
                {
                    co_await messages.next();
                    BOOST_ERROR("a message");
                }
                catch (duet::session_error const& error)
                {
                    BOOST_TEST((error.code() == duet::condition::invalid_message));
                }
            });
    }
}
