// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a client asks of the kernel: to connect, to ask, and to close. docs/architecture.md tells why each call is made.

#define BOOST_TEST_MODULE connect.system_calls
#include <duet/connection_pool.hpp>
#include <duet/connector.hpp>
#include <duet/release.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/adopt.hpp"
#include "support/call_counts.hpp"
#include "support/simulated_time.hpp"
#include "support/started.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <thread>
#include <utility>

#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace duet_test;

namespace {

int option(int fd, int level, int name)
{
    int value = -1;
    ::socklen_t size = sizeof(value);
    BOOST_TEST(::getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

// Those of no_delay, and of a dead_peer of 40 s.
void check_options(int fd)
{
    BOOST_TEST(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    BOOST_TEST(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 20);
    BOOST_TEST(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 5);
}

// Answers once, and ends after the client.
void answer(good_address& server)
{
    auto peer = server.accept();
    BOOST_TEST(peer.recv_exactly(3) == "ask");
    peer.send_all("told");
    BOOST_TEST(peer.recv_all().error == 0);
}

asio::awaitable<std::size_t> fill(duet::session& peer, std::array<char, 4>& buffer)
{
    auto const size = co_await peer.read_some(asio::buffer(buffer));
    co_return size;
}

asio::awaitable<void> ask_and_close(duet::connector& connector, tcp::endpoint target)
{
    duet::session peer = co_await connector.connect(target);
    co_await peer.write(asio::buffer("ask", 3));
    std::array<char, 4> buffer;
    auto const size = co_await peer.read(asio::buffer(buffer));
    BOOST_TEST(size == 4U);
    auto const report = co_await peer.close();
    BOOST_TEST(report.clean());
}

struct fixture
{
    fixture()
    {
        prepare(context);
        exchange();  // what the context needs once
    }

    // What the client does is counted from connect() to the end of close().
    void exchange()
    {
        std::jthread const serving{[&] { answer(server); }};
        made = {};
        counted_calls const all{made};
        run(context, ask_and_close(connector, server.endpoint()));
    }

    asio::io_context context;
    good_address server;
    duet::connector connector{context};
    call_counts made;
};

}  // namespace

// The address that was connected to is the peer's. Its own tells a connection to itself, and is the session's.
BOOST_FIXTURE_TEST_CASE(one_address_is_asked_for, fixture)
{
    exchange();
    BOOST_TEST(made.of({"getsockname", "getpeername"}) == "getsockname 1, getpeername 0");
}

// What matters later is set later: most connections end before.
BOOST_FIXTURE_TEST_CASE(a_question_needs_no_option, fixture)
{
    exchange();
    BOOST_TEST(made.of({"socket", "connect", "setsockopt", "shutdown", "close"}) ==
               "socket 1, connect 1, setsockopt 0, shutdown 1, close 1");
}

// In duet's reactor, a socket that connects waits where its session is going to wait: it enters once, and the event
// tells whether it has connected. Those of Asio leave its epoll at the end; what else it asks depends on its version.
BOOST_FIXTURE_TEST_CASE(a_connect_in_the_reactor_enters_it_once, fixture)
{
    exchange();
    BOOST_TEST(made.of({"add", "remove"}) == (reactor_wanted() ? "add 1, remove 0" : "add 1, remove 1"));
    if (reactor_wanted())
        BOOST_TEST(made.of({"FIONBIO", "poll", "getsockopt"}) == "FIONBIO 0, poll 0, getsockopt 0");
}

// The acknowledgement of the FIN is asked for once: that is what close() reports.
BOOST_FIXTURE_TEST_CASE(a_close_asks_once_what_is_unacknowledged, fixture)
{
    exchange();
    BOOST_TEST(made.of({"TIOCOUTQ"}) == "TIOCOUTQ 1");
}

// The reactor is told of a hang-up anyway: see channel.channel.
BOOST_FIXTURE_TEST_CASE(a_wait_for_the_peers_end_asks_nothing_in_the_reactor, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            duet::session peer = co_await at.connector.connect(at.server.endpoint());
            auto other = at.server.accept();
            {
                at.made = {};
                counted_calls const all{at.made};
                peer.wait_peer_gone()(asio::detached);
            }
            if (reactor_wanted())
                BOOST_TEST(at.made.of({"modify"}) == "modify 0");
            peer.abort();
        }(*this));
}

// Nagle's algorithm holds a small segment back only while another one is unacknowledged.
BOOST_FIXTURE_TEST_CASE(the_second_write_needs_no_delay, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            for (int const writes : {1, 2, 3})
            {
                duet::session peer = co_await at.connector.connect(at.server.endpoint());
                auto const other = at.server.accept();
                at.made = {};
                counted_calls const all{at.made};
                for (int each = 0; each < writes; ++each)
                    co_await peer.write(asio::buffer("word", 4));
                BOOST_TEST(at.made.of({"setsockopt"}) == (writes > 1 ? "setsockopt 1" : "setsockopt 0"));
            }
        }(*this));
}

BOOST_FIXTURE_TEST_CASE(nagles_algorithm_stays_if_it_is_wanted, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            duet::connector patient{at.context, {.session = {.no_delay = false}}};
            duet::session peer = co_await patient.connect(at.server.endpoint());
            auto const other = at.server.accept();
            co_await peer.write(asio::buffer("word", 4));
            co_await peer.write(asio::buffer("word", 4));
            BOOST_TEST(option(peer.native_handle(), IPPROTO_TCP, TCP_NODELAY) == 0);
        }(*this));
}

// Whoever looks at the socket finds it as the options say.
BOOST_FIXTURE_TEST_CASE(the_program_finds_every_option_set, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            for (bool const to_asio : {false, true})
            {
                duet::connector careful{at.context, {.session = {.deadlines = {.dead_peer = 40s}}}};
                duet::session peer = co_await careful.connect(at.server.endpoint());
                auto const other = at.server.accept();
                if (to_asio)
                    BOOST_TEST(peer.lowest_layer().is_open());
                check_options(peer.native_handle());
            }
            duet::connector careful{at.context, {.session = {.deadlines = {.dead_peer = 40s}}}};
            duet::session peer = co_await careful.connect(at.server.endpoint());
            auto const other = at.server.accept();
            auto socket = duet::release(std::move(peer));
            check_options(socket.native_handle());
        }(*this));
}

// A connection in a pool has no operation that waits: the kernel alone notices the death of its peer.
BOOST_FIXTURE_TEST_CASE(an_idle_connection_of_a_pool_has_its_keepalive, fixture)
{
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            duet::connection_pool pool{duet::connector{at.context}, at.server.endpoint(), {.idle = {}}};
            auto lease = co_await pool.acquire();
            auto const other = at.server.accept();
            {
                at.made = {};
                counted_calls const all{at.made};
                lease.give_back();
            }
            // TCP_NODELAY, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_RTO_MAX_MS, SO_KEEPALIVE, TCP_KEEPIDLE
            BOOST_TEST(at.made.of({"setsockopt"}) == "setsockopt 6");
            co_await pool.close();
        }(*this));
}

// So that the peer's death is noticed in time, and as if the keepalive had been set at once.
BOOST_AUTO_TEST_CASE(a_wait_sets_the_keepalive_after_a_quarter_of_its_time)
{
    simulated_time time;
    prepare(time.context);
    good_address server;
    call_counts made;
    time.run(
        [](simulated_time& at, good_address& listening, call_counts& counts) -> asio::awaitable<void>
        {
            duet::connector connector{at.context, {.session = {.deadlines = {.dead_peer = 40s}}}};
            duet::session peer = co_await connector.connect(listening.endpoint());
            auto other = listening.accept();
            auto const executor = co_await asio::this_coro::executor;
            std::array<char, 4> buffer;
            started<std::size_t> reading{executor, fill(peer, buffer)};
            counted_calls const all{counts};
            co_await at.pause(9s);
            BOOST_TEST(counts.of({"setsockopt"}) == "setsockopt 0");
            co_await at.pause(2s);
            // TCP_KEEPINTVL, TCP_KEEPCNT, TCP_RTO_MAX_MS, SO_KEEPALIVE, TCP_KEEPIDLE
            BOOST_TEST(counts.of({"setsockopt"}) == "setsockopt 5");
            co_await at.pause(20s);
            BOOST_TEST(counts.of({"setsockopt"}) == "setsockopt 5");
            other.send_all("late");
            auto const size = co_await reading.result();
            BOOST_TEST(size == 4U);
        }(time, server, made));
}
