// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a session takes to write: which types, and how much of it while the peer reads nothing.

#define BOOST_TEST_MODULE session.write_queue
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using duet::errc;
using duet::full_queue;

namespace {

duet::session_options bounded(std::size_t limit, full_queue policy)
{
    duet::session_options options;
    options.queue_limit = limit;
    options.when_queue_full = policy;
    return options;
}

struct record
{
    std::uint8_t kind;
    std::uint8_t size;
};

// A member that never reads: what its chat does to it.
struct flood
{
    int failed = 0;
    int pending = 0;
    errc code{};

    void say(memory_session& member, std::string const& text)
    {
        ++pending;
        member.write(text)(
            [this](duet::error_code error, std::size_t)
            {
                --pending;
                if (!error)
                    return;
                ++failed;
                code = static_cast<errc>(error.value());
            });
    }
};

// Everything that is sent, until it is so much.
asio::awaitable<std::string> hear(memory_peer& peer, std::size_t size)
{
    std::string all;
    for (int turns = 0; all.size() < size && turns < 1000; ++turns)
    {
        all += peer.recv_available();
        co_await settle();
    }
    co_return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_write_takes_what_people_have)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string const text = "string ";
            std::string_view const view = "view ";
            std::vector<char> const vector{'v', 'e', 'c', ' '};
            std::array<char, 3> const array{'a', 'r', ' '};
            std::array<record, 2> const records{record{'k', 's'}, record{'2', ' '}};
            char const plain[] = {'p', ' '};
            char room[4] = {'r', '\0', 'm', ' '};
            co_await s.write(text);
            co_await s.write(view);
            co_await s.write(std::string_view{"rvalue "});
            co_await s.write("literal ");
            co_await s.write(vector);
            co_await s.write(array);
            co_await s.write(records);
            co_await s.write(std::span{vector});
            co_await s.write(plain);
            co_await s.write(room);
            co_await s.write(asio::buffer(text, 2));
            std::array<asio::const_buffer, 2> const both{asio::buffer(view), asio::buffer(array)};
            co_await s.write(both);
            co_await s.write(std::string_view{});
            co_await s.shutdown_send();
            using namespace std::string_literals;
            auto const heard = talk.peer.recv_all().data;
            BOOST_TEST((heard == "string view rvalue literal vec ar ks2 vec p r\0m stview ar "s));
        });
}

BOOST_AUTO_TEST_CASE(what_is_queued_is_told)
{
    memory_talk talk{small_capacity};
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            BOOST_TEST(s.bytes_queued() == 0U);
            std::string const large(stalling_size, 'x');
            started<std::size_t> first{executor, awaited<std::size_t>(s.write(large))};
            started<std::size_t> second{executor, awaited<std::size_t>(s.write(asio::buffer("behind", 6)))};
            co_await settle();
            auto const accepted = s.bytes_sent();
            BOOST_TEST(accepted > 0U);
            BOOST_TEST(s.bytes_queued() == stalling_size + 6 - accepted);
            BOOST_TEST(talk.peer.recv_exactly(4096).size() == 4096U);
            co_await settle();
            BOOST_TEST(s.bytes_queued() == stalling_size + 6 - s.bytes_sent());
            second.cancel();
            co_await expect_error(second.result(), asio::error::operation_aborted);
            BOOST_TEST(s.bytes_queued() == stalling_size - s.bytes_sent());
            auto const rest = co_await hear(talk.peer, stalling_size - 4096);
            BOOST_TEST(rest.size() == stalling_size - 4096);
            co_await first.result();
            BOOST_TEST(s.bytes_queued() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(a_full_queue_refuses_a_write_and_the_session_goes_on)
{
    flood chat;
    memory_talk talk{small_capacity};
    talk.play(bounded(64 * 1024, full_queue::fail),
        [&](memory_session& member) -> asio::awaitable<void>
        {
            std::string const line(1000, 'x');
            for (int i = 0; i < 10'000; ++i)
                chat.say(member, line);
            co_await settle();
            BOOST_TEST(member.bytes_queued() <= 64U * 1024);
            BOOST_TEST(chat.pending < 64);
            BOOST_TEST(chat.failed > 9900);
            BOOST_TEST(chat.code == errc::queue_full);
            BOOST_TEST(member.close_reason() == close_reason::none);
            // The member reads, and there is room again.
            auto const heard = co_await hear(talk.peer, member.bytes_sent() + member.bytes_queued());
            BOOST_TEST(heard.size() == static_cast<std::size_t>(10'000 - chat.failed) * 1000);
            BOOST_TEST(chat.pending == 0);
            BOOST_TEST(member.bytes_queued() == 0U);
            auto const size = co_await write(member, line);
            BOOST_TEST(size == 1000U);
        });
}

BOOST_AUTO_TEST_CASE(a_full_queue_aborts_a_session_if_it_shall)
{
    flood chat;
    memory_talk talk{small_capacity};
    talk.play(bounded(64 * 1024, full_queue::abort),
        [&](memory_session& member) -> asio::awaitable<void>
        {
            std::string const line(1000, 'x');
            for (int i = 0; i < 10'000; ++i)
                chat.say(member, line);
            co_await settle();
            BOOST_TEST(chat.pending == 0);
            BOOST_TEST(chat.failed > 9000);
            BOOST_TEST(chat.code == errc::queue_full);
            BOOST_TEST(member.close_reason() == close_reason::aborted);
            BOOST_TEST(member.report().error == errc::queue_full);
            BOOST_TEST(member.bytes_queued() == 0U);
            BOOST_TEST((talk.peer.recv_all().error != 0));
        });
}

BOOST_AUTO_TEST_CASE(who_awaits_its_writes_may_let_them_wait)
{
    flood chat;
    memory_talk talk{small_capacity};
    talk.play(bounded(1000, full_queue::wait),
        [&](memory_session& member) -> asio::awaitable<void>
        {
            std::string const line(1000, 'x');
            for (int i = 0; i < 100; ++i)
                chat.say(member, line);
            co_await settle();
            BOOST_TEST(chat.failed == 0);
            BOOST_TEST(member.bytes_queued() == 100'000 - member.bytes_sent());
            auto const heard = co_await hear(talk.peer, 100'000);
            BOOST_TEST(heard.size() == 100'000U);
            co_await settle();
            BOOST_TEST(chat.pending == 0);
        });
}

BOOST_AUTO_TEST_CASE(one_write_alone_may_be_larger_than_the_queue)
{
    memory_talk talk{small_capacity};
    talk.play(bounded(1000, full_queue::fail),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::string const large(stalling_size, 'x');
            started<std::size_t> first{executor, awaited<std::size_t>(s.write(large))};
            co_await settle();
            co_await expect_error(write(s, "x"), errc::queue_full);
            auto const heard = co_await hear(talk.peer, stalling_size);
            BOOST_TEST(heard.size() == stalling_size);
            co_await first.result();
        });
}

BOOST_AUTO_TEST_CASE(small_writes_count_with_what_they_cost)
{
    flood chat;
    memory_talk talk{small_capacity};
    talk.play(bounded(64 * 1024, full_queue::fail),
        [&](memory_session& member) -> asio::awaitable<void>
        {
            std::string const filling(small_capacity, 'x');
            chat.say(member, filling);
            std::string const one = "x";
            for (int i = 0; i < 10'000; ++i)
                chat.say(member, one);
            co_await settle();
            BOOST_TEST(chat.pending < 300);
            BOOST_TEST(chat.code == errc::queue_full);
            member.abort();
            co_await settle();
        });
}
