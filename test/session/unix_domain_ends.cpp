// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// How a session over a Unix-domain socket ends. There is no RST, and a peer that closes is gone for both directions at
// once.

#define BOOST_TEST_MODULE session.unix_domain_ends
#include <duet/session.hpp>

#include "session/unix_domain_fixture.hpp"
#include "support/in_thread.hpp"
#include "support/started.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <string>
#include <utility>

#include <sys/socket.h>

using namespace duet_test;
using namespace duet_test::unix_domain;
namespace error = boost::asio::error;

namespace {

asio::awaitable<duet::close_reason> peer_gone(duet::unix_session& session)
{
    auto const reason = co_await session.wait_peer_gone();
    co_return reason;
}

asio::awaitable<void> deliver(duet::unix_session& session)
{
    co_await session.delivered();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ends)

BOOST_AUTO_TEST_CASE(p01_close_discards_what_is_unread)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            p.peer.send_all("unread");
            co_await write(p.session, "answer");
            started<duet::close_report> closing{executor, close(p.session)};
            auto const got = co_await in_thread(
                [&]
                {
                    auto result = p.peer.recv_all();
                    p.peer.close();
                    return result;
                });
            BOOST_TEST(got.data == "answer");
            BOOST_TEST(got.error == 0);  // ECONNRESET is what unread input would have made of it
            auto const report = co_await closing.result();
            BOOST_TEST_INFO(to_string(report.reason));
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
            BOOST_TEST(report.bytes_discarded == 6U);
        });
}

BOOST_AUTO_TEST_CASE(p01_destruction_with_unread_input_resets)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            p.peer.send_all("unread");
            co_await write(p.session, "answer");
            {
                auto const own = std::move(p.session);
            }
            auto const got = p.peer.recv_all();
            BOOST_TEST(got.data == "answer");
            BOOST_TEST(got.error == ECONNRESET);
        });
}

BOOST_AUTO_TEST_CASE(destruction_with_nothing_unread_is_an_orderly_end)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            co_await write(p.session, "answer");
            {
                auto const own = std::move(p.session);
            }
            auto const got = p.peer.recv_all();
            BOOST_TEST(got.data == "answer");
            BOOST_TEST(got.error == 0);
        });
}

// There is no RST to send: the peer learns of it by ECONNRESET only if it had sent something that nobody read.
BOOST_AUTO_TEST_CASE(p15_abort_is_as_hard_as_the_kernel_lets_it_be)
{
    for (bool const unread : {true, false})
    {
        run(
            [&]() -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                pair_of p{executor};
                std::string const text(long_stream, 'x');
                if (unread)
                    p.peer.send_all("unread");
                started<std::size_t> writing{executor, write(p.session, text)};
                co_await settle();
                p.session.abort();
                co_await expect_error(writing.result(), duet::errc::aborted);
                co_await expect_error(read(p.session), duet::errc::aborted);
                auto const got = p.peer.recv_all();
                BOOST_TEST(got.data.size() < long_stream);
                BOOST_TEST(got.error == (unread ? ECONNRESET : 0));
                BOOST_TEST(p.peer.send_some("x").error == EPIPE);
            });
    }
}

BOOST_AUTO_TEST_CASE(p17_p20_a_peer_that_closes_with_unread_input)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            co_await write(p.session, "never read");
            p.peer.send_all("last words");
            p.peer.close();
            auto const text = co_await read(p.session);
            BOOST_TEST(text == "last words");
            co_await expect_error(read(p.session), duet::condition::reset);
            co_await expect_error(read(p.session), duet::condition::reset);  // the kernel says it once
            co_await expect_error(write(p.session, "x"), duet::condition::reset);
            co_await p.session.shutdown_send();  // P12
            auto const report = co_await p.session.close();
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
        });
}

BOOST_AUTO_TEST_CASE(p43_a_peer_that_closes)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            p.peer.close();
            // Here even the first write fails: a peer that closed is gone for both directions.
            co_await expect_error(write(p.session, "x"), duet::condition::reset);
            co_await expect_error(read(p.session), duet::condition::reset);

            pair_of q{executor};
            q.peer.close();
            auto const end = co_await read(q.session);
            BOOST_TEST(end == "");
            co_await expect_error(write(q.session, "x"), duet::condition::reset);
            co_await expect_error(read(q.session), duet::condition::reset);

            // Having nothing to say, we end well.
            pair_of r{executor};
            r.peer.send_all("last words");
            r.peer.close();
            auto const report = co_await r.session.close();
            BOOST_TEST_INFO(to_string(report.reason));
            BOOST_TEST((report.reason == duet::close_reason::discarded_input));
        });
}

// Our last words were in its buffer: delivered is what it has read.
BOOST_AUTO_TEST_CASE(p43_close_tells_that_the_last_words_were_not_read)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            co_await write(p.session, "last words");
            started<duet::close_report> closing{executor, close(p.session)};
            co_await settle();
            BOOST_TEST(!closing.done());
            p.peer.shutdown_write();
            co_await settle();
            BOOST_TEST(!closing.done());  // both have finished, and something is unread
            p.peer.close();
            auto const report = co_await closing.result();
            BOOST_TEST_INFO(to_string(report.reason));
            BOOST_TEST((report.reason == duet::close_reason::peer_reset));
        });
}

BOOST_AUTO_TEST_CASE(delivered_is_read)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            co_await p.session.delivered();  // nothing was written
            co_await write(p.session, "0123456789");
            started<void> delivery{executor, deliver(p.session)};
            co_await settle();
            BOOST_TEST(!delivery.done());
            BOOST_TEST(p.peer.recv_exactly(10) == "0123456789");
            co_await delivery.result();

            co_await write(p.session, "unread");
            started<void> in_vain{executor, deliver(p.session)};
            co_await settle();
            p.peer.close();
            co_await expect_error(in_vain.result(), duet::condition::reset);
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(death_watch)

BOOST_AUTO_TEST_CASE(p19_a_peer_that_closes_is_seen)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            started<duet::close_reason> gone{executor, peer_gone(p.session)};
            p.peer.send_all("unread");
            co_await settle();
            BOOST_TEST(!gone.done());
            p.peer.close();
            auto const reason = co_await gone.result();
            BOOST_TEST_INFO(to_string(reason));
            BOOST_TEST((reason == duet::close_reason::peer_reset));  // it will not hear us any more
            auto const text = co_await read(p.session);
            BOOST_TEST(text == "unread");
        });
}

BOOST_AUTO_TEST_CASE(p11_a_peer_that_has_finished_is_not_gone)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            pair_of p{executor};
            started<duet::close_reason> gone{executor, peer_gone(p.session)};
            p.peer.shutdown_write();
            auto const end = co_await read(p.session);
            BOOST_TEST(end == "");
            co_await settle();
            BOOST_TEST(!gone.done());
            co_await write(p.session, "answer");
            BOOST_TEST(p.peer.recv_exactly(6) == "answer");
            co_await p.session.shutdown_send();
            auto const reason = co_await gone.result();
            BOOST_TEST_INFO(to_string(reason));
            BOOST_TEST((reason == duet::close_reason::clean));
        });
}

BOOST_AUTO_TEST_CASE(p21_an_urgent_byte_does_not_keep_it_busy)
{
    asio::io_context context;
    pair_of p{context.get_executor()};
    int ended = 0;
    p.session.wait_peer_gone()([&](duet::error_code const&, duet::close_reason) { ++ended; });
    context.poll_one();
    if (::send(p.peer.fd(), "!", 1, MSG_OOB | MSG_NOSIGNAL) != 1)
    {
        BOOST_TEST_MESSAGE("no urgent data on Unix-domain sockets here");
        return;
    }
    int turns = 0;
    context.restart();
    while (turns < 1000 && context.poll_one() != 0)
        ++turns;
    BOOST_TEST(turns < 100);
    BOOST_TEST(ended == 0);
}

BOOST_AUTO_TEST_SUITE_END()
