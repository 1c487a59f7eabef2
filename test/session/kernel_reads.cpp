// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Reads where the kernel is the point: an error that it tells once, two events at the same time, urgent data, and the
// reset of a Unix-domain socket.

#define BOOST_TEST_MODULE session.kernel_reads
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <string>

#include <poll.h>
#include <sys/socket.h>

using namespace duet_test;
namespace error = boost::asio::error;
using duet::close_reason;

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
