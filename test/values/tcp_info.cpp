// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#define BOOST_TEST_MODULE values.tcp_info
#include <duet/tcp_info.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <set>
#include <string>

#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
namespace error = boost::asio::error;
using duet::tcp_state;

BOOST_AUTO_TEST_CASE(it_tells_the_kernels_state)
{
    auto pair = connected_pair();
    boost::system::error_code code;
    auto const state = [&](raw_socket const& socket)
    {
        auto const info = duet::query_tcp_info(socket.fd(), code);
        BOOST_TEST(!code);
        return info;
    };
    BOOST_TEST(state(pair.server).state == tcp_state::established);
    BOOST_TEST(!state(pair.server).peer_finished());
    BOOST_TEST(state(pair.server).maximum_segment_size > 0U);
    pair.client.send_all("unread");
    pair.client.shutdown_write();
    // P22: the peer's FIN is seen behind unread data.
    eventually([&] { return state(pair.server).peer_finished(); }, "the FIN");
    BOOST_TEST(state(pair.server).state == tcp_state::close_wait);
    eventually([&] { return state(pair.client).state == tcp_state::fin_wait_2; }, "its acknowledgement");
    BOOST_TEST(!state(pair.client).peer_finished());
    pair.server.reset();
    eventually([&] { return state(pair.client).state == tcp_state::closed; }, "the reset");
    // P18: asking consumed nothing.
    auto const end = pair.client.recv_some();
    BOOST_TEST(end.error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(it_tells_what_is_acknowledged_unsent_and_offered)
{
    auto pair = connected_pair();
    boost::system::error_code code;
    auto const sender = [&] { return duet::query_tcp_info(pair.client.fd(), code); };
    pair.client.send_all("twelve bytes");
    eventually([&] { return sender().bytes_acknowledged >= 12; }, "the acknowledgement");  // some kernels count the SYN
    BOOST_TEST(sender().bytes_acknowledged <= 13U);
    BOOST_TEST(sender().bytes_unsent == 0U);
    BOOST_TEST(sender().send_window > 0U);
    // A peer that does not read: its window closes, and the rest stays here.
    std::string const part(64 * 1024, 'x');
    while (::send(pair.client.fd(), part.data(), part.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        ;
    eventually([&] { return sender().bytes_unsent > 0 && sender().send_window < part.size(); }, "the closed window");
}

BOOST_AUTO_TEST_CASE(a_listener_tells_its_queue)
{
    raw_listener listener{raw_address::v4(0), 7};
    auto const one = raw_socket::connect(listener.address());
    auto const two = raw_socket::connect(listener.address());
    boost::system::error_code code;
    duet::tcp_snapshot info;
    eventually(
        [&]
        {
            info = duet::query_tcp_info(listener.fd(), code);
            return info.segments_unacknowledged == 2;
        },
        "both are queued");
    BOOST_TEST(info.state == tcp_state::listen);
    BOOST_TEST(info.segments_sacked == 7U);
}

BOOST_AUTO_TEST_CASE(what_is_not_tcp_is_not_supported)
{
    boost::system::error_code code;
    unix_talk talk;
    auto s = talk.make();
    auto const info = s.tcp_info(code);
    BOOST_TEST(code == error::operation_not_supported);
    BOOST_TEST(info.state == tcp_state::unknown);
    duet::query_tcp_info(-1, code);
    BOOST_TEST(code == error::bad_descriptor);
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    duet::query_tcp_info(ends[0], code);
    BOOST_TEST(!!code);
    ::close(ends[0]);
    ::close(ends[1]);
}

BOOST_AUTO_TEST_CASE(a_session_asks_for_itself)
{
    tcp_talk talk;
    auto s = talk.make();
    boost::system::error_code code = error::eof;
    auto const info = s.tcp_info(code);
    BOOST_TEST(!code);
    BOOST_TEST(info.state == tcp_state::established);
}

BOOST_AUTO_TEST_CASE(every_state_has_its_word)
{
    std::set<std::string> words;
    for (int i = 0; i <= static_cast<int>(tcp_state::closing); ++i)
        words.insert(std::string{duet::to_string(static_cast<tcp_state>(i))});
    BOOST_TEST(words.size() == 12U);
    BOOST_TEST(duet::to_string(tcp_state::fin_wait_2) == "FIN_WAIT2");
}
