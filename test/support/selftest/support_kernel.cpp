// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The state queries and the faults held against what the torture list measured: most rows of its table 0.2 with plain
// POSIX sockets. When one of these fails, the machine or the support is to blame, not duet.

#define BOOST_TEST_MODULE support_kernel
#include "support/netns_main.hpp"

#include "support/faults.hpp"
#include "support/fd.hpp"
#include "support/kernel.hpp"
#include "support/mib.hpp"
#include "support/observed.hpp"
#include "support/raw_peer.hpp"
#include "support/wait.hpp"

#include <cerrno>
#include <optional>
#include <vector>

#include <sys/socket.h>

using namespace duet_test;

BOOST_FIXTURE_TEST_SUITE(states_and_poll_bits, fresh_network)  // table 0.2

BOOST_AUTO_TEST_CASE(half_closed)
{
    observed o;
    o.c.shutdown_write();
    eventually([&] { return state_of(o.c.fd()) == kernel_state::fin_wait2; }, "the FIN is acknowledged");
    BOOST_TEST(state_of(o.a.fd()) == kernel_state::close_wait);
    BOOST_TEST(poll_text(o.a.fd()) == "IN,OUT,RDHUP");
    BOOST_TEST(o.c.shutdown(SHUT_WR) == 0);
    BOOST_TEST(o.c.send_some("x").error == EPIPE);
    BOOST_TEST(unacknowledged_bytes(o.c.fd()) == 0U);
    BOOST_TEST(count_state(kernel_state::close_wait, o.c.local_port()) == 1U);
}

BOOST_AUTO_TEST_CASE(p12_both_directions_ended)
{
    observed o;
    o.c.shutdown_write();
    o.a.shutdown_write();
    eventually([&] { return state_of(o.a.fd()) == kernel_state::closed; }, "the last FIN is acknowledged");
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::closed);
    BOOST_TEST(poll_text(o.c.fd()) == "IN,OUT,HUP,RDHUP");
    BOOST_TEST(o.c.shutdown(SHUT_WR) == ENOTCONN);
    BOOST_TEST(o.state_of_client() == kernel_state::time_wait);  // where TCP_INFO no longer sees it
    BOOST_TEST(o.counted("Tcp.OutRsts") == 0);
}

BOOST_AUTO_TEST_CASE(reset_while_established)
{
    observed o;
    o.a.reset();
    BOOST_TEST(poll_text(o.c.fd()) == "IN,OUT,ERR,HUP,RDHUP");
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::closed);
    BOOST_TEST(o.state_of_client() == std::optional<kernel_state>{});
    BOOST_TEST(o.c.recv_some().error == ECONNRESET);
    BOOST_TEST(o.c.send_some("x").error == EPIPE);
    BOOST_TEST(o.c.shutdown(SHUT_WR) == ENOTCONN);
}

BOOST_AUTO_TEST_CASE(p20_bytes_before_a_reset_come_first)
{
    observed o;
    o.a.send_all("abc");
    BOOST_TEST(unread_bytes(o.c.fd()) == 3U);
    o.a.reset();
    BOOST_TEST(o.c.recv_some().data == "abc");
    BOOST_TEST(o.c.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(p25_reset_in_the_accept_queue)
{
    no_leaked_descriptors const descriptors;
    raw_listener listener;
    auto client = raw_socket::connect(listener.address());
    BOOST_TEST(accept_queue_of(listener.fd()).length == 1U);
    client.reset();
    auto accepted = listener.accept();
    BOOST_TEST(state_of(accepted.fd()) == kernel_state::closed);
    BOOST_TEST(accepted.remote_port() == 0);  // getpeername: ENOTCONN
    BOOST_TEST(accepted.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(a_listener_passes_over_the_connections_of_strangers)
{
    raw_listener listener;
    auto const stranger = raw_socket::connect(listener.address());
    raw_socket::connect(listener.address()).close();
    auto const client = raw_socket::connect(listener.address());
    auto const accepted = listener.accept(client);
    BOOST_TEST(accepted.remote_port() == client.local_port());
    BOOST_TEST(accepted.remote_port() != stranger.local_port());
}

BOOST_AUTO_TEST_CASE(p27_closing_the_listener_resets_its_queue)
{
    raw_listener listener;
    auto client = raw_socket::connect(listener.address());
    listener.close();
    BOOST_TEST(client.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(p26_backlog_overflow)
{
    auto const before = mib::now();
    raw_listener const listener{raw_address::v4(0), 1};
    std::vector<raw_socket> clients;
    for (int each = 0; each < 6; ++each)
        clients.push_back(raw_socket::start_connect(listener.address()));
    BOOST_TEST(accept_queue_of(listener.fd()).length == 2U);
    BOOST_TEST(accept_queue_of(listener.fd()).limit == 1U);
    BOOST_TEST(count_state(kernel_state::syn_sent, listener.port()) == 4U);
    BOOST_TEST(mib::since(before)["TcpExt.ListenOverflows"] == 4);
    BOOST_TEST(mib::since(before)["TcpExt.ListenDrops"] == 4);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(loss_and_death, fresh_network)

BOOST_AUTO_TEST_CASE(lost_fin)
{
    observed o;
    drop_incoming(o.a.fd(), loss::fin);
    o.c.send_all("abc");  // passes: only FINs are lost
    BOOST_TEST(o.a.recv_exactly(3) == "abc");
    o.c.shutdown_write();
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::fin_wait1);
    BOOST_TEST(state_of(o.a.fd()) == kernel_state::established);
    drop_nothing(o.a.fd());
    eventually([&] { return state_of(o.c.fd()) == kernel_state::fin_wait2; }, "the FIN is sent again");
    BOOST_TEST(state_of(o.a.fd()) == kernel_state::close_wait);
    BOOST_TEST(o.said().count(side::client, tcp_flag::fin) >= 2U);
    BOOST_TEST(*o.said().bytes_before_fin(side::client) == 3U);
}

BOOST_AUTO_TEST_CASE(simultaneous_close)
{
    observed o;
    drop_incoming(o.a.fd(), loss::everything);
    drop_incoming(o.c.fd(), loss::everything);
    o.c.shutdown_write();
    o.a.shutdown_write();
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::fin_wait1);
    BOOST_TEST(state_of(o.a.fd()) == kernel_state::fin_wait1);
    drop_nothing(o.a.fd());
    drop_nothing(o.c.fd());
    eventually([&] { return state_of(o.c.fd()) == kernel_state::closed && state_of(o.a.fd()) == kernel_state::closed; },
        "both FINs are sent again");
    BOOST_TEST(!o.said().has_rst());
}

BOOST_AUTO_TEST_CASE(p32_dead_peer_keeps_what_was_sent_unacknowledged)
{
    observed o;
    drop_incoming(o.a.fd(), loss::everything);
    o.c.send_all("abc");
    o.c.shutdown_write();
    BOOST_TEST(unacknowledged_bytes(o.c.fd()) == 4U);  // 3 bytes and the FIN
    drop_nothing(o.a.fd());
    eventually([&] { return unacknowledged_bytes(o.c.fd()) == 0; }, "everything is acknowledged");
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::fin_wait2);
}

BOOST_AUTO_TEST_CASE(lost_rst)
{
    observed o;
    drop_incoming(o.c.fd(), loss::rst);
    o.a.reset();
    BOOST_TEST(o.spoken() == "s>c R.");
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::established);
}

BOOST_AUTO_TEST_CASE(lost_syn)
{
    raw_listener listener;
    drop_incoming(listener.fd(), loss::syn);
    auto client = raw_socket::start_connect(listener.address());
    BOOST_TEST(state_of(client.fd()) == kernel_state::syn_sent);
    drop_nothing(listener.fd());
    BOOST_TEST(client.wait_connected() == 0);  // the SYN is sent again after a second
}

BOOST_AUTO_TEST_CASE(crash_says_nothing)
{
    observed o;
    o.a.crash();
    BOOST_TEST(o.spoken() == "");
    BOOST_TEST(state_of(o.c.fd()) == kernel_state::established);
    o.c.send_all("x");
    BOOST_TEST(o.spoken() == "c>s P.(1), s>c R");
    BOOST_TEST(o.c.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_SUITE_END()
