// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The seam, on bare sockets: what each question answers, and that none of them eats an error (P18).

#define BOOST_TEST_MODULE values.stream_traits
#include <duet/stream_traits.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <cerrno>
#include <string>

using namespace duet_test;
namespace error = boost::asio::error;
namespace seam = duet::detail;

BOOST_AUTO_TEST_CASE(questions_of_a_living_connection)
{
    auto pair = connected_pair(raw_address::v4(0), small_window);
    auto const fd = pair.server.fd();
    BOOST_TEST(!seam::has_input(fd));
    BOOST_TEST(!seam::has_failed(fd));
    BOOST_TEST(!seam::has_hung_up(fd));
    BOOST_TEST(!seam::take_failure(fd));
    BOOST_TEST(seam::unacknowledged(fd) == 0U);
    pair.client.send_all("x");
    eventually([&] { return seam::has_input(fd); }, "a byte");
    pair.client.shutdown_write();
    eventually([&] { return state_of(fd) == kernel_state::close_wait; }, "the FIN");
    // P22: the peer's FIN alone is not gone.
    BOOST_TEST(!seam::has_hung_up(fd));
    BOOST_TEST(!seam::has_failed(fd));
    auto const filled = pair.server.fill_until_blocked();
    BOOST_TEST(seam::unacknowledged(fd) > 0U);
    BOOST_TEST(seam::unacknowledged(fd) <= filled);
}

// P18: after a reset the questions may be asked any number of times, and the read still says reset and not EOF.
BOOST_AUTO_TEST_CASE(P18_questions_of_a_dead_connection_consume_nothing)
{
    auto pair = connected_pair();
    auto const fd = pair.server.fd();
    pair.client.reset();
    eventually([&] { return seam::has_failed(fd); }, "the reset");
    for (int i = 0; i < 3; ++i)
    {
        BOOST_TEST(seam::has_failed(fd));
        BOOST_TEST(seam::has_hung_up(fd));
        BOOST_TEST(seam::has_input(fd));
        seam::unacknowledged(fd);
    }
    BOOST_TEST(pair.server.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(take_failure_tells_it_while_bytes_are_unread)
{
    auto pair = connected_pair();
    auto const fd = pair.server.fd();
    pair.client.send_all("before");
    pair.client.reset();
    eventually([&] { return seam::has_failed(fd); }, "the reset");
    BOOST_TEST(seam::take_failure(fd) == error::connection_reset);
    // P20
    BOOST_TEST(pair.server.recv_some().data == "before");
}

BOOST_AUTO_TEST_CASE(discard_tells_bytes_end_and_failure_apart)
{
    auto pair = connected_pair();
    auto const fd = pair.server.fd();
    boost::system::error_code code = error::eof;
    BOOST_TEST(seam::discard_input(fd, 100, code) == 0U);
    BOOST_TEST(code == error::would_block);
    pair.client.send_all(std::string(50'000, 'x'));
    eventually([&] { return unread_bytes(fd) == 50'000; }, "all of it");
    BOOST_TEST(seam::discard_input(fd, 20'000, code) == 20'000U);
    BOOST_TEST(!code);
    BOOST_TEST(seam::discard_input(fd, 1'000'000, code) == 30'000U);
    BOOST_TEST(!code);
    pair.client.send_all("last");
    pair.client.shutdown_write();
    eventually([&] { return state_of(fd) == kernel_state::close_wait; }, "the FIN");
    BOOST_TEST(seam::discard_input(fd, 100, code) == 4U);
    BOOST_TEST(!code);
    BOOST_TEST(seam::discard_input(fd, 100, code) == 0U);
    BOOST_TEST(!code);

    auto other = connected_pair();
    other.client.send_all("last");
    other.client.reset();
    eventually([&] { return seam::has_failed(other.server.fd()); }, "the reset");
    // The kernel tells it once: it must not get lost behind the bytes.
    BOOST_TEST(seam::discard_input(other.server.fd(), 100, code) == 4U);
    BOOST_TEST(code == error::connection_reset);
}
