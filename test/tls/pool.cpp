// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A pool of connections that speak TLS: which of them are lent again.

#define BOOST_TEST_MODULE tls.pool
#include "support/started.hpp"
#include "tls/tls_server_fixture.hpp"

#include <duet/connection_pool.hpp>
#include <duet/tls_connector.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <sys/ioctl.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// It answers "more" by one byte more than was asked for, and ends after "end".
asio::awaitable<void> answer(duet::tls_session peer)
{
    std::string asked(4, ' ');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(asked));
        if (size == 0)
            break;
        auto const question = asked.substr(0, size);
        auto const said = question == "more" ? question + '!' : question;
        co_await peer.write(said);
        if (question == "end")
            break;
    }
    co_await peer.close();
}

struct fixture : tls_server_fixture
{
    using pool_type = duet::basic_connection_pool<duet::tls_connector>;

    fixture() { serve(answer); }

    pool_type make_pool()
    {
        duet::tls_connector by{context, client_context, {.timeout = 5s}, "server.test"};
        return pool_type{std::move(by), serving->local_endpoint(), {.max_connections = 1}};
    }

    template <class Body>
    void play(Body body)
    {
        started<void> playing{context.get_executor(), body()};
        go_on_until([&] { return playing.done(); });
        duet_test::run(context, playing.result(), {.leftover = leftover_work::dropped});
    }

    /// Ask, read as many bytes as were sent, and give the connection back.
    asio::awaitable<bool> ask(pool_type& pool, std::string const& question)
    {
        pool_type::lease lease = co_await pool.acquire();
        bool const reused = lease.reused();
        co_await lease->write(question);
        std::string room(question.size(), ' ');
        co_await lease->read(asio::buffer(room));
        BOOST_TEST(room == question);
        lease.give_back();
        co_return reused;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_connection_serves_one_question_after_the_other, fixture)
{
    auto pool = make_pool();
    play(
        [&]() -> asio::awaitable<void>
        {
            bool const first = co_await ask(pool, "one");
            bool const second = co_await ask(pool, "two");
            BOOST_TEST(!first);
            BOOST_TEST(second);
            BOOST_TEST(pool.counters().unhealthy == 0U);
        });
}

// It arrives when the client's handshake has ended, and nobody has read since.
BOOST_FIXTURE_TEST_CASE(a_ticket_is_no_byte_that_nobody_asked_for, fixture)
{
    auto pool = make_pool();
    int descriptor = -1;
    play(
        [&]() -> asio::awaitable<void>
        {
            pool_type::lease lease = co_await pool.acquire();
            descriptor = lease->native_handle();
            lease.give_back();
        });
    auto const has_come = [&]
    {
        int size = 0;
        return ::ioctl(descriptor, FIONREAD, &size) == 0 && size > 0;
    };
    until(has_come);
    play(
        [&]() -> asio::awaitable<void>
        {
            bool const reused = co_await ask(pool, "one");
            BOOST_TEST(reused);
        });
}

BOOST_FIXTURE_TEST_CASE(a_byte_that_nobody_asked_for_and_an_end_are_seen, fixture)
{
    for (std::string const question : {"more", "end"})
    {
        auto pool = make_pool();
        auto const before = ends.size();
        play([&]() -> asio::awaitable<void> { co_await ask(pool, question); });
        // Nothing reads at this end: the server's close waits for its acknowledgement alone.
        if (question == "end")
            until_ended(before + 1);
        play(
            [&]() -> asio::awaitable<void>
            {
                bool const reused = co_await ask(pool, "one");
                BOOST_TEST(!reused);
                BOOST_TEST(pool.counters().unhealthy == 1U);
            });
    }
}
