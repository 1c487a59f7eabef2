// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Messages that are in the buffer already: a coroutine that awaits one is not suspended, unless others have waited long
// enough.

#define BOOST_TEST_MODULE framing.turns
#include <duet/framing.hpp>

#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

using namespace duet_test;
using namespace std::string_literals;
using duet::errc;
using message = std::optional<std::string_view>;

namespace {

duet::length_prefix const two{.bytes = 2};

/// So many messages of one byte.
std::string messages_of(std::size_t count)
{
    std::string all;
    for (std::size_t i = 0; i < count; ++i)
        all += "\0\1x"s;
    return all;
}

/// How many messages come, of at most `most`, before another handler has its turn.
template <class Reader>
asio::awaitable<std::size_t> taken_in_one_turn(Reader& messages, std::size_t most)
{
    auto const executor = co_await asio::this_coro::executor;
    bool turn = false;
    asio::post(executor, [&] { turn = true; });
    std::size_t count = 0;
    while (!turn && count < most)
    {
        auto const one = co_await messages.next();
        BOOST_REQUIRE(one.has_value());
        ++count;
    }
    if (!turn)
        co_await settle();  // it refers to what is here
    co_return count;
}

/// The coroutine awaits the operation itself, not another one that wraps it.
template <class Messages>
asio::awaitable<duet::error_code> error_of_next(Messages& messages)
{
    try
    {
        co_await messages.next();
    }
    catch (duet::session_error const& error)
    {
        co_return error.code();
    }
    co_return duet::error_code{};
}

}  // namespace

// Suspensions would lie within each other, so one of a few goes through the executor.
BOOST_AUTO_TEST_CASE(a_message_in_the_buffer_needs_no_turn)
{
    memory_talk talk;
    talk.peer.send_all(messages_of(60));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_stream messages{s, two, 1000};
            co_await messages.next();
            auto const count = co_await taken_in_one_turn(messages, 59);
            BOOST_TEST(count == 59U);
            BOOST_TEST(messages.unread().empty());
        });
}

BOOST_AUTO_TEST_CASE(a_peer_that_sends_many_small_messages_does_not_keep_others_from_their_turn)
{
    memory_talk talk{std::size_t{1} << 20};
    auto const large = pattern(60'000);
    talk.peer.send_all(std::string{std::string_view{two.head(large)}} + large);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_stream messages{s, two, 65'536};
            co_await messages.next();  // the buffer is as large as that from now on
            talk.peer.send_all(messages_of(20'000));
            co_await messages.next();
            BOOST_TEST(messages.unread().size() > 55'000U);
            auto const count = co_await taken_in_one_turn(messages, 15'000);
            BOOST_TEST(count > 60U);
            BOOST_TEST(count <= 2000U);
        });
}

// What is awaited is not always what was made last.
BOOST_AUTO_TEST_CASE(each_call_gives_a_message_of_its_own_reader)
{
    memory_talk talk;
    talk.peer.send_all("\0\1a\0\1b"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto ends = duet::testing::memory_stream::pair(talk.context.get_executor());
            memory_session other{std::move(ends.first)};
            memory_peer peer{std::move(ends.second)};
            peer.send_all("\0\1c\0\1d"s);
            duet::frame_reader here{s, two, 100};
            duet::frame_reader there{other, two, 100};
            co_await here.next();
            co_await there.next();
            auto first = here.next();
            auto second = there.next();
            auto const b = co_await std::move(first);
            BOOST_TEST(b.value() == "b");
            auto const d = co_await std::move(second);
            BOOST_TEST(d.value() == "d");
        });
}

BOOST_AUTO_TEST_CASE(a_message_in_the_buffer_is_not_given_while_the_session_is_read)
{
    memory_talk talk;
    talk.peer.send_all("\0\1a\0\1b"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, two, 100};
            co_await messages.next();
            std::string byte(1, '\0');
            auto const read = [&]() -> asio::awaitable<std::size_t>
            {
                auto const size = co_await s.read_some(asio::buffer(byte));
                co_return size;
            };
            started<std::size_t> reading{executor, read()};
            co_await settle();
            auto const met = co_await error_of_next(messages);
            BOOST_TEST(met == errc::read_in_progress);
            talk.peer.send_all("c");
            co_await reading.result();
            auto const b = co_await messages.next();
            BOOST_TEST(b.value() == "b");
        });
}

BOOST_AUTO_TEST_CASE(a_message_in_the_buffer_is_given_once_and_not_to_two_calls)
{
    memory_talk talk;
    talk.peer.send_all("\0\1a\0\1b\0\1c"s);
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::frame_reader messages{s, two, 100};
            co_await messages.next();
            std::string got;
            messages.next()([&](duet::error_code, message one) { got = one.value_or("nothing"); });
            auto const met = co_await error_of_next(messages);
            BOOST_TEST(met == errc::read_in_progress);
            co_await settle();
            BOOST_TEST(got == "b");
            auto const c = co_await messages.next();
            BOOST_TEST(c.value() == "c");
        });
}

// A program that answers each message must not go on while the peer does not read.
BOOST_AUTO_TEST_CASE(a_message_in_the_buffer_waits_until_the_answers_are_taken)
{
    memory_talk talk;
    talk.peer.send_all(messages_of(3));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_stream messages{s, duet::length_prefix{.bytes = 2}, 1000};
            co_await messages.next();
            std::string const answer(60'000, 'a');
            for (int i = 0; i < 40; ++i)
                messages.put(answer);
            bool given = false;
            auto const next = [&]() -> asio::awaitable<void>
            {
                co_await messages.next();
                given = true;
            };
            started<void> waiting{executor, next()};
            co_await settle();
            BOOST_TEST(!given);
            while (!given)
            {
                BOOST_REQUIRE(!talk.peer.recv_available().empty());
                co_await settle();
            }
            co_await waiting.result();
        });
}

BOOST_AUTO_TEST_CASE(a_coroutine_that_was_cancelled_gets_no_message)
{
    memory_talk talk;
    talk.peer.send_all(messages_of(2));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            duet::frame_reader messages{s, two, 100};
            co_await messages.next();
            auto const next = [&]() -> asio::awaitable<std::size_t>
            {
                co_await settle();
                auto const one = co_await messages.next();
                co_return one->size();
            };
            started<std::size_t> cancelled{executor, next()};
            cancelled.cancel();
            co_await expect_error(cancelled.result(), asio::error::operation_aborted);
            BOOST_TEST(messages.unread().size() == 3U);
        });
}
