// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The edges of the session's reads: splits, limits, what is left in the caller's buffer, and what the end of a
// connection does to a read. The plain cases are in session.cpp.

#define BOOST_TEST_MODULE session.read
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <array>
#include <cerrno>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;
namespace error = boost::asio::error;
using duet::close_reason;
using duet::condition;
using duet::errc;
using duet::receive_state;
using duet::send_state;

namespace {

using both = std::tuple<duet::session, duet::unix_session>;
constexpr auto no_limit = std::numeric_limits<std::size_t>::max();

}  // namespace

// Every split of a short stream into two segments: what is read does not depend on it.
BOOST_AUTO_TEST_CASE_TEMPLATE(read_until_finds_a_delimiter_that_straddles_reads, Session, both)
{
    std::string const stream = "one\r\n\r\r\ntwo\r\nrest";
    for (std::size_t split = 0; split <= stream.size(); ++split)
    {
        BOOST_TEST_CONTEXT("split at " << split)
        {
            conversation_with<Session> talk;
            talk.play(
                [&](Session& s) -> asio::awaitable<void>
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
            tcp_talk talk;
            talk.peer.send_all(row.sent);
            talk.play(
                [&](duet::session& s) -> asio::awaitable<void>
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
    tcp_talk talk;
    talk.peer.send_all("line\nrest");
    talk.peer.shutdown_write();
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
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
                tcp_talk talk;
                talk.play(
                    [&](duet::session& s) -> asio::awaitable<void>
                    {
                        auto const executor = co_await asio::this_coro::executor;
                        auto const at_peer = [&]
                        {
                            talk.peer.send_all(data);
                            talk.peer.shutdown_write();
                        };
                        started<void> peer{executor, in_thread(at_peer)};
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

// Cancelled between two reads of its loop: the data is there, and no more than the data.
BOOST_AUTO_TEST_CASE(P41_a_collecting_read_adds_nothing_of_its_own_to_the_callers_string)
{
    for (bool const until : {true, false})
    {
        BOOST_TEST_CONTEXT("read_until " << until)
        {
            tcp_talk talk;
            talk.play(
                [&](duet::session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    std::string buffer = "had ";
                    auto collect = [&]() -> asio::awaitable<std::size_t>
                    {
                        if (until)
                        {
                            auto const size = co_await s.read_until(buffer, "\n", 100);
                            co_return size;
                        }
                        auto const size = co_await s.read_all(buffer, 100);
                        co_return size;
                    };
                    started<std::size_t> reading{executor, collect()};
                    // Its handler runs before the read's, and when both are ready at once the read has its bytes by
                    // then.
                    auto watch = [&]() -> asio::awaitable<void>
                    {
                        co_await s.wait_peer_gone();
                        reading.cancel();
                    };
                    started<void> watching{executor, watch()};
                    co_await settle();
                    talk.peer.send_all("abc");
                    talk.peer.reset();
                    co_await watching.result();
                    auto const end = co_await outcome_of(reading.result());
                    BOOST_TEST(!end.ok());
                    BOOST_TEST(buffer == "had abc");
                });
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(asio_face_reads_into_the_first_buffer_with_room, Session, both)
{
    conversation_with<Session> talk;
    talk.peer.send_all("abcdef");
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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

BOOST_AUTO_TEST_CASE_TEMPLATE(an_operation_that_has_a_name_can_be_begun_again, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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

// The pending read meets the reset first, and takes the kernel's error with it; the watch must not call that clean.
BOOST_AUTO_TEST_CASE(P22_wait_peer_gone_with_a_pending_read_still_says_reset)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<std::string> reading{executor, read(s)};
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            co_await settle();
            talk.peer.reset();
            auto const reason = co_await gone.result();
            BOOST_TEST(reason == close_reason::peer_reset);
            auto const end = co_await outcome_of(reading.result());
            BOOST_TEST(end.code == error::connection_reset);
        });
}

// A Unix-domain peer that closes with our bytes unread: that is a reset there, and not clean even behind our FIN.
BOOST_AUTO_TEST_CASE(wait_peer_gone_on_a_unix_socket_whose_peer_threw_our_bytes_away)
{
    for (bool const finish : {false, true})
    {
        BOOST_TEST_CONTEXT("with our FIN " << finish)
        {
            unix_talk talk;
            talk.play(
                [&](duet::unix_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    co_await write(s, "unread");
                    if (finish)
                        co_await s.shutdown_send();
                    started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
                    co_await settle();
                    talk.peer.close();
                    auto const reason = co_await gone.result();
                    BOOST_TEST(reason == close_reason::peer_reset);
                });
        }
    }
}

// P21: an urgent byte that nobody reads must not keep a waiting session busy.
BOOST_AUTO_TEST_CASE(P21_urgent_data_does_not_spin_the_death_watch)
{
    tcp_talk talk;
    talk.play(
        [&](duet::session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<close_reason> gone{executor, awaited<close_reason>(s.wait_peer_gone())};
            co_await settle();
            BOOST_REQUIRE(::send(talk.peer.fd(), "!", 1, MSG_OOB) == 1);
            co_await until([&] { return poll_text(s.native_handle()).find("IN") == std::string::npos; }, "no input");
            co_await settle();
            // Nothing of it is left to wake anyone: from here on each turn of the loop has to wait for something.
            ::pollfd entry{s.native_handle(), POLLPRI, 0};
            co_await until([&] { return ::poll(&entry, 1, 0) == 0; }, "the urgent byte is gone");
            BOOST_TEST(!gone.done());
            talk.peer.reset();
            auto const reason = co_await gone.result();
            BOOST_TEST(reason == close_reason::peer_reset);
        });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_session_can_be_moved_while_its_operations_run, Session, both)
{
    conversation_with<Session> talk;
    talk.play(
        [&](Session& s) -> asio::awaitable<void>
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
