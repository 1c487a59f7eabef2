// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The edges of a conversation: FIN and data in one event of the reactor, resets behind data, limits that are just met,
// and a session that does nothing.

#define BOOST_TEST_MODULE session.edges
#include <duet/session.hpp>

#include "session/edges_fixture.hpp"
#include "support/in_thread.hpp"
#include "support/started.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <csignal>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace duet_test;
using namespace duet_test::edges;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

namespace {

asio::awaitable<std::string> read(duet::session& session, std::size_t const limit = 4096)
{
    std::string text(limit, '\0');
    auto const size = co_await session.read_some(asio::buffer(text));
    text.resize(size);
    co_return text;
}

asio::awaitable<std::string> read_exactly(duet::session& session, std::size_t const size)
{
    std::string text(size, '\0');
    auto const got = co_await session.read(asio::buffer(text));
    text.resize(got);
    co_return text;
}

asio::awaitable<std::string> read_all(duet::session& session)
{
    auto text = co_await session.read_all(1024 * 1024);
    co_return text;
}

asio::awaitable<std::size_t> write(duet::session& session, std::string const& text)
{
    auto const size = co_await session.write(asio::buffer(text));
    co_return size;
}

// One segment with data and FIN.
void say_and_finish(raw_socket& peer, std::string_view const text)
{
    checked(::send(peer.fd(), text.data(), text.size(), MSG_NOSIGNAL | MSG_MORE), "send");
    peer.shutdown_write();
}

constexpr int repeats = 1000 / sanitizer_factor;

}  // namespace

BOOST_AUTO_TEST_SUITE(data_and_fin_in_one_edge)  // P39

BOOST_AUTO_TEST_CASE(p39_before_the_read)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                pair_of p{executor};
                say_and_finish(p.peer(), "last words");
                auto const text = co_await read(p.session);
                BOOST_REQUIRE(text == "last words");
                BOOST_REQUIRE((p.session.receive_state() == duet::receive_state::open));
                auto const end = co_await read(p.session);
                BOOST_REQUIRE(end == "");
                BOOST_REQUIRE((p.session.receive_state() == duet::receive_state::ended));
                auto const again = co_await read(p.session);
                BOOST_REQUIRE(again == "");
            }
        });
}

BOOST_AUTO_TEST_CASE(p39_while_the_read_waits)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                pair_of p{executor};
                started<std::string> reading{executor, read(p.session)};
                co_await settle();
                say_and_finish(p.peer(), "last words");
                auto const text = co_await reading.result();
                BOOST_REQUIRE(text == "last words");
                auto const end = co_await read(p.session);
                BOOST_REQUIRE(end == "");
            }
        });
}

// The buffer is as large as the data: the read that takes it has not seen the FIN, and the reactor will not tell again.
BOOST_AUTO_TEST_CASE(p39_into_a_buffer_of_exactly_that_size)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                for (bool const waits : {false, true})
                {
                    pair_of p{executor};
                    if (!waits)
                        say_and_finish(p.peer(), "last words");
                    started<std::string> reading{executor, read(p.session, 10)};
                    co_await settle();
                    if (waits)
                        say_and_finish(p.peer(), "last words");
                    auto const text = co_await reading.result();
                    BOOST_REQUIRE(text == "last words");
                    auto const end = co_await read(p.session, 10);
                    BOOST_REQUIRE(end == "");
                }
            }
        });
}

BOOST_AUTO_TEST_CASE(p39_read_all)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats; ++each)
            {
                for (bool const waits : {false, true})
                {
                    pair_of p{executor};
                    if (!waits)
                        say_and_finish(p.peer(), "last words");
                    started<std::string> reading{executor, read_all(p.session)};
                    co_await settle();
                    if (waits)
                        say_and_finish(p.peer(), "last words");
                    auto const text = co_await reading.result();
                    BOOST_REQUIRE(text == "last words");
                }
            }
        });
}

BOOST_AUTO_TEST_CASE(p38_p39_exact_reads)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (bool const waits : {false, true})
            {
                pair_of whole{executor};
                pair_of cut{executor};
                auto const speak = [&]
                {
                    say_and_finish(whole.peer(), "0123456789");
                    say_and_finish(cut.peer(), "01234");
                };
                if (!waits)
                    speak();
                started<std::string> whole_read{executor, read_exactly(whole.session, 10)};
                started<std::string> cut_read{executor, read_exactly(cut.session, 10)};
                co_await settle();
                if (waits)
                    speak();
                auto const text = co_await whole_read.result();
                BOOST_TEST(text == "0123456789");
                co_await expect_error(read_exactly(whole.session, 10), duet::condition::ended);
                co_await expect_error(cut_read.result(), duet::condition::truncated);
                BOOST_TEST((cut.session.receive_state() == duet::receive_state::ended));
                auto const after = co_await read(cut.session);
                BOOST_TEST(after == "");
            }
        });
}

BOOST_AUTO_TEST_CASE(fin_with_nothing_before_it)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            auto const readable = [&]() -> asio::awaitable<bool>
            {
                bool const result = co_await p.session.wait_readable();
                co_return result;
            };
            started<bool> waiting{executor, readable()};
            co_await settle();
            BOOST_TEST(!waiting.done());
            p.peer().shutdown_write();
            bool const told = co_await waiting.result();
            BOOST_TEST(told);
            BOOST_TEST((p.session.receive_state() == duet::receive_state::open));  // nothing was read
            auto const end = co_await read(p.session);
            BOOST_TEST(end == "");
            auto const all = co_await read_all(p.session);
            BOOST_TEST(all == "");
        });
}

// Callbacks are counted here: a read is told once what it was told.
BOOST_AUTO_TEST_CASE(p39_each_event_is_told_once)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    std::array<char, 64> buffer;
    int data = 0;
    int ends = 0;
    int others = 0;
    std::function<void()> const next = [&]
    {
        p.session.async_read_some(asio::buffer(buffer),
            [&](duet::error_code const& code, std::size_t const size)
            {
                data += !code && size == 5 ? 1 : 0;
                ends += code == error::eof && size == 0 ? 1 : 0;
                others += (!code && size == 5) || code == error::eof ? 0 : 1;
                if (!code)
                    next();
            });
    };
    next();
    drain(context);
    say_and_finish(p.peer(), "words");
    drain(context);
    drain(context);
    BOOST_TEST(data == 1);
    BOOST_TEST(ends == 1);
    BOOST_TEST(others == 0);
}

BOOST_AUTO_TEST_CASE(many_small_segments_and_fin)
{
    constexpr int count = 2000;
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            int const on = 1;
            checked(::setsockopt(p.peer().fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
            started<std::string> reading{executor, read_all(p.session)};
            co_await settle();
            std::string const expected = co_await in_thread(
                [&]
                {
                    std::string all;
                    for (int each = 0; each < count; ++each)
                    {
                        auto const piece = std::to_string(each) + ' ';
                        p.peer().send_all(piece);
                        all += piece;
                    }
                    p.peer().shutdown_write();
                    return all;
                });
            auto const text = co_await reading.result();
            BOOST_TEST((text == expected));
        });
}

BOOST_AUTO_TEST_CASE(p20_data_and_reset)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            for (int each = 0; each < repeats / 10; ++each)
            {
                for (bool const waits : {false, true})
                {
                    pair_of p{executor};
                    if (!waits)
                    {
                        p.peer().send_all("last words");
                        p.peer().reset();
                    }
                    started<std::string> reading{executor, read(p.session)};
                    co_await settle();
                    if (waits)
                    {
                        p.peer().send_all("last words");
                        p.peer().reset();
                    }
                    auto const text = co_await reading.result();
                    BOOST_REQUIRE(text == "last words");
                    co_await expect_error(read(p.session), duet::condition::reset);
                    co_await expect_error(read(p.session), duet::condition::reset);
                    co_await expect_error(write(p.session, "x"), duet::condition::reset);
                }
            }
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(limits_at_their_ends)

BOOST_AUTO_TEST_CASE(read_all_without_a_limit)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            say_and_finish(p.peer(), "last words");
            auto const text = co_await p.session.read_all(std::numeric_limits<std::size_t>::max());
            BOOST_TEST(text == "last words");
        });
}

BOOST_AUTO_TEST_CASE(read_all_of_exactly_the_limit)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of enough{executor};
            pair_of short_by_one{executor};
            pair_of nothing{executor};
            say_and_finish(enough.peer(), "last words");
            say_and_finish(short_by_one.peer(), "last words");
            say_and_finish(nothing.peer(), "");
            auto const text = co_await enough.session.read_all(10);
            BOOST_TEST(text == "last words");
            co_await expect_error(short_by_one.session.read_all(9), duet::errc::limit_exceeded);
            auto const empty = co_await nothing.session.read_all(0);
            BOOST_TEST(empty == "");
        });
}

BOOST_AUTO_TEST_CASE(read_until_nothing_is_refused)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            p.peer().send_all("line\n");
            std::string buffer;
            // 0 would mean the peer's FIN.
            co_await expect_error(p.session.read_until(buffer, "", 10), error::invalid_argument);
            auto const size = co_await p.session.read_until(buffer, "\n", std::numeric_limits<std::size_t>::max());
            BOOST_TEST(size == 5U);
        });
}

BOOST_AUTO_TEST_SUITE_END()
