// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE values.session_options
#include <duet/session_options.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <type_traits>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;

// What may stand in an awaited call on g++ 12: see the notes on compilers.
static_assert(std::is_trivially_destructible_v<duet::deadlines>);
static_assert(std::is_trivially_destructible_v<duet::session_options>);

namespace {

int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    BOOST_TEST(::getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

}  // namespace

BOOST_AUTO_TEST_CASE(defaults)
{
    duet::session_options const options;
    BOOST_TEST(options.no_delay);
    BOOST_TEST(options.send_buffer_size == 0);
    BOOST_TEST(options.receive_buffer_size == 0);
    // What can hang for good by default is what duet ends by default; the rest is the program's to choose.
    BOOST_TEST((options.deadlines.close > 0s && options.deadlines.close_total > options.deadlines.close));
    BOOST_TEST((options.deadlines.half_closed > 0s));
    BOOST_TEST((options.deadlines.dead_peer > 0s));
    BOOST_TEST((options.deadlines.read == 0s && options.deadlines.write == 0s));
    BOOST_TEST((options.deadlines.idle == 0s && options.deadlines.first_message == 0s));
}

BOOST_AUTO_TEST_CASE(the_sockets_options_are_set)
{
    tcp_talk plain;
    duet::session_options options;
    options.deadlines.dead_peer = 0s;
    {
        auto const s = plain.make(options);
        auto fd = const_cast<duet::session&>(s).native_handle();
        BOOST_TEST(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
        BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
        BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
        // P14: never to be set
        linger set{};
        socklen_t size = sizeof(set);
        BOOST_TEST(::getsockopt(fd, SOL_SOCKET, SO_LINGER, &set, &size) == 0);
        BOOST_TEST(set.l_onoff == 0);
        BOOST_TEST((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    }
    tcp_talk other;
    options.no_delay = false;
    options.send_buffer_size = 20'000;
    options.receive_buffer_size = 30'000;
    options.deadlines.dead_peer = 10s;
    auto s = other.make(options);
    auto const fd = s.native_handle();
    BOOST_TEST(option(fd, IPPROTO_TCP, TCP_NODELAY) == 0);
    BOOST_TEST(option(fd, SOL_SOCKET, SO_SNDBUF) == 40'000);  // Linux doubles it for its bookkeeping
    BOOST_TEST(option(fd, SOL_SOCKET, SO_RCVBUF) == 60'000);
    BOOST_TEST(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    BOOST_TEST(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
}

BOOST_AUTO_TEST_CASE(a_unix_domain_session_takes_what_applies)
{
    unix_talk talk;
    duet::session_options options;
    options.send_buffer_size = 20'000;
    auto s = talk.make(options);
    BOOST_TEST(option(s.native_handle(), SOL_SOCKET, SO_SNDBUF) == 40'000);
}
