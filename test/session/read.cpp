// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The edges of the session's reads: splits, limits, what is left in the caller's buffer, and what the end of a
// connection does to a read. The plain cases are in session.cpp,
// those of the kernel in kernel_reads.cpp.

#define BOOST_TEST_MODULE session.read
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/memory_fixture.hpp"

#include <array>
#include <limits>
#include <string>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

namespace {

constexpr auto no_limit = std::numeric_limits<std::size_t>::max();

}  // namespace

// Every split of a short stream into two segments: what is read does not depend on it.
BOOST_AUTO_TEST_CASE(read_until_finds_a_delimiter_that_straddles_reads)
{
    std::string const stream = "one\r\n\r\r\ntwo\r\nrest";
    for (std::size_t split = 0; split <= stream.size(); ++split)
    {
        BOOST_TEST_CONTEXT("split at " << split)
        {
            memory_talk talk;
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::string buffer;
                    std::vector<std::string> lines;
                    std::string const delimiter = "\r\n";
                    talk.peer.send_all(std::string_view{stream}.substr(0, split));
                    auto const read_lines = [&]() -> asio::awaitable<void>
                    {
                        while (lines.size() < 3)
                        {
                            auto const size = co_await s.read_until(buffer, delimiter, 100);
                            lines.push_back(buffer.substr(0, size));
                            buffer.erase(0, size);
                        }
                    };
                    started<void> reading{executor, read_lines()};
                    co_await settle();
                    talk.peer.send_all(std::string_view{stream}.substr(split));
                    co_await reading.result();
                    BOOST_TEST((lines == std::vector<std::string>{"one\r\n", "\r\r\n", "two\r\n"}));
                    BOOST_TEST((std::string_view{"rest"}.starts_with(buffer)));
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(read_until_limit_is_exact)
{
    struct
    {
        std::string sent;
        std::size_t limit;
        bool found;
    } const rows[] = {
        {"abc\n", 4, true},
        {"abc\n", 3, false},
        {"abcd\n", 4, false},
        {"\n", 1, true},
        {"\n", 0, false},
        {std::string(5000, 'x') + "\n", 5001, true},
        {std::string(5000, 'x') + "\n", 5000, false},
        {"abc\n", no_limit, true},
    };
    for (auto const& row : rows)
    {
        BOOST_TEST_CONTEXT(row.sent.size() << " bytes, limit " << row.limit)
        {
            memory_talk talk;
            talk.peer.send_all(row.sent);
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    std::string buffer;
                    auto const end = co_await outcome_of(s.read_until(buffer, "\n", row.limit));
                    if (row.found)
                    {
                        BOOST_TEST_INFO(end);
                        BOOST_TEST(end.ok());
                        BOOST_TEST(end.bytes == row.sent.size());
                    }
                    else
                    {
                        BOOST_TEST_INFO(end);
                        BOOST_TEST(end.code == errc::limit_exceeded);
                        BOOST_TEST(end.operation == "read_until");
                    }
                    // Nothing is lost, and nothing is added.
                    BOOST_TEST((row.sent.starts_with(buffer)));
                    auto const rest = row.sent.substr(buffer.size());
                    if (!rest.empty())
                    {
                        std::string more(rest.size(), '\0');
                        co_await s.read(asio::buffer(more));
                        BOOST_TEST((more == rest));
                    }
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(read_until_at_the_fin)
{
    memory_talk talk;
    talk.peer.send_all("line\nrest");
    talk.peer.shutdown_write();
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::string buffer;
            auto const line = co_await s.read_until(buffer, "\n", 100);
            BOOST_TEST(line == 5U);
            buffer.erase(0, line);
            // P38: what follows is not a short line.
            auto const rest = co_await outcome_of(s.read_until(buffer, "\n", 100));
            BOOST_TEST(rest.code == errc::truncated);
            BOOST_TEST(rest.code == condition::truncated);
            BOOST_TEST(buffer == "rest");
            buffer.clear();
            auto const none = co_await s.read_until(buffer, "\n", 100);
            BOOST_TEST(none == 0U);
            BOOST_TEST(buffer.empty());
        });
}

BOOST_AUTO_TEST_CASE(read_all_limits)
{
    struct
    {
        std::size_t sent;
        std::size_t limit;
        bool whole;
    } const rows[] = {
        {0, 0, true},
        {1, 0, false},
        {1000, 1000, true},
        {1001, 1000, false},
        {65'536, 65'536, true},
        {65'537, 65'536, false},
        {300'000, no_limit, true},
        {300'000, no_limit - 1, true},
    };
    for (auto const& row : rows)
    {
        BOOST_TEST_CONTEXT(row.sent << " bytes, limit " << row.limit)
        {
            auto const data = pattern(row.sent);
            for (bool const append : {false, true})
            {
                memory_talk talk;
                talk.play(
                    [&](memory_session& s) -> asio::awaitable<void>
                    {
                        auto const executor = co_await asio::this_coro::executor;
                        auto const at_peer = [&]() -> asio::awaitable<void>
                        {
                            co_await talk.peer.send(data);
                            talk.peer.shutdown_write();
                        };
                        started<void> peer{executor, at_peer()};
                        if (append)
                        {
                            std::string into = "before";
                            auto const end = co_await outcome_of(s.read_all(into, row.limit));
                            BOOST_TEST_INFO(end);
                            BOOST_TEST(end.ok() == row.whole);
                            BOOST_TEST((("before" + data).starts_with(into)));
                            BOOST_TEST(into.size() - 6 == (row.whole ? row.sent : row.limit + 1));
                            BOOST_TEST(end.bytes == into.size() - 6);
                            if (!row.whole)
                                BOOST_TEST(end.code == errc::limit_exceeded);
                        }
                        else if (row.whole)
                        {
                            auto const all = co_await s.read_all(row.limit);
                            BOOST_TEST((all == data));
                        }
                        else
                        {
                            auto const end = co_await outcome_of(s.read_all(row.limit));
                            BOOST_TEST(end.code == errc::limit_exceeded);
                            BOOST_TEST(end.operation == "read_all");
                        }
                        co_await peer.result();
                    });
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(asio_face_reads_into_the_first_buffer_with_room)
{
    memory_talk talk;
    talk.peer.send_all("abcdef");
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 3> one{};
            std::array<char, 3> two{};
            std::array<asio::mutable_buffer, 3> const buffers{
                asio::mutable_buffer{}, asio::buffer(one), asio::buffer(two)};
            auto const size = co_await s.async_read_some(buffers, asio::use_awaitable);
            BOOST_TEST(size == 3U);
            BOOST_TEST((std::string(one.data(), 3) == "abc"));
            std::array<asio::mutable_buffer, 2> const none{};
            auto const nothing = co_await s.async_read_some(none, asio::use_awaitable);
            BOOST_TEST(nothing == 0U);
            auto const rest = co_await s.async_read_some(asio::buffer(two), asio::use_awaitable);
            BOOST_TEST(rest == 3U);
            talk.peer.shutdown_write();
            boost::system::error_code code;
            co_await s.async_read_some(asio::buffer(two), asio::redirect_error(asio::use_awaitable, code));
            BOOST_TEST(code == error::eof);
            BOOST_TEST(code == condition::ended);
            BOOST_TEST(s.receive_state() == receive_state::ended);
        });
}

BOOST_AUTO_TEST_CASE(an_operation_that_has_a_name_can_be_begun_again)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            std::array<char, 3> buffer{};
            auto const read = s.read_some(asio::buffer(buffer));
            auto const write = s.write(asio::buffer(buffer));
            for (std::string const text : {"abc", "def"})
            {
                talk.peer.send_all(text);
                auto const size = co_await read(asio::use_awaitable);
                BOOST_TEST(size == 3U);
                BOOST_TEST((std::string(buffer.data(), 3) == text));
                co_await write(asio::use_awaitable);
            }
            co_await s.shutdown_send();
            BOOST_TEST((talk.peer.recv_all().data == "abcdef"));
        });
}

BOOST_AUTO_TEST_CASE(a_session_can_be_moved_while_its_operations_run)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            co_await settle();
            auto moved = std::move(s);
            BOOST_TEST(!s.valid());
            talk.peer.send_all("hello");
            auto const data = co_await reading.result();
            BOOST_TEST(data == "hello");
            BOOST_TEST(moved.bytes_received() == 5U);
        });
}
