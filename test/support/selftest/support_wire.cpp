// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The capture and the counters held against what the torture list measured: the rows of its table 0.1 with plain POSIX
// sockets. When one of these fails, the machine or the support is to blame, not duet.

#define BOOST_TEST_MODULE support_wire
#include "support/netns_main.hpp"

#include "support/descriptor.hpp"
#include "support/faults.hpp"
#include "support/fd.hpp"
#include "support/kernel.hpp"
#include "support/mib.hpp"
#include "support/observed.hpp"
#include "support/raw_peer.hpp"
#include "support/wait.hpp"
#include "support/wire.hpp"

#include <algorithm>
#include <cerrno>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

using namespace duet_test;

BOOST_FIXTURE_TEST_SUITE(segments_per_call, fresh_network)  // table 0.1

BOOST_AUTO_TEST_CASE(orderly_end_half_by_half)
{
    observed o;
    o.wait_said("c>s S, s>c S., c>s .");
    BOOST_TEST(o.counted("Tcp.ActiveOpens") == 1);
    BOOST_TEST(o.counted("Tcp.PassiveOpens") == 1);
    o.c.shutdown_write();
    o.wait_said("c>s S, s>c S., c>s ., c>s F., s>c .");
    o.a.send_all("abc");
    o.wait_said("c>s S, s>c S., c>s ., c>s F., s>c ., s>c P.(3), c>s .");
    o.a.close();
    o.wait_said("c>s S, s>c S., c>s ., c>s F., s>c ., s>c P.(3), c>s ., s>c F., c>s .");
    BOOST_TEST(o.counted("Tcp.OutRsts") == 0);
    BOOST_TEST(o.state_of_client() == kernel_state::time_wait);
    BOOST_TEST(o.c.recv_all().data == "abc");
}

BOOST_AUTO_TEST_CASE(the_same_over_ipv6)
{
    observed o{raw_address::v6(0)};
    o.c.send_all("hello");
    BOOST_TEST(o.a.recv_exactly(5) == "hello");
    o.c.shutdown_write();
    o.a.shutdown_write();
    eventually([&] { return o.state_of_client() == kernel_state::time_wait; }, "both FINs are acknowledged");
    BOOST_TEST(o.spoken() == "c>s P.(5), c>s F., s>c F.");
    BOOST_TEST(o.said().segments().front().family == AF_INET6);
}

BOOST_AUTO_TEST_CASE(p01_close_with_unread_input_resets)
{
    observed o;
    o.c.send_all("abc");
    o.a.close();
    BOOST_TEST(o.spoken() == "c>s P.(3), s>c R.");
    BOOST_TEST(o.counted("TcpExt.TCPAbortOnClose") == 1);
    BOOST_TEST(o.counted("Tcp.OutRsts") == 1);
    BOOST_TEST(o.counted("Tcp.EstabResets") == 2);
    BOOST_TEST(o.c.recv_some().error == ECONNRESET);
    BOOST_TEST(o.c.recv_some().eof());  // P17: the second read looks like an orderly end
}

BOOST_AUTO_TEST_CASE(p02_half_close_does_not_save_unread_input)
{
    observed o;
    o.c.send_all("abc");
    o.a.shutdown_write();
    o.a.close();
    BOOST_TEST(o.spoken() == "c>s P.(3), s>c F., s>c R.");
    BOOST_TEST(o.counted("TcpExt.TCPAbortOnClose") == 1);
}

BOOST_AUTO_TEST_CASE(linger_zero_sends_rst_only)
{
    observed o;
    o.a.reset();
    BOOST_TEST(o.spoken() == "s>c R.");
    BOOST_TEST(o.counted("TcpExt.TCPAbortOnData") == 1);
    BOOST_TEST(o.counted("TcpExt.TCPAbortOnLinger") == 0);
    BOOST_TEST(o.counted("Tcp.OutRsts") == 1);
    BOOST_TEST(o.counted("Tcp.EstabResets") == 2);
    BOOST_TEST(o.capture.has_rst(o.c.local_port()));
    BOOST_TEST(o.said().has_rst(side::server));
    BOOST_TEST(!o.said().has_rst(side::client));
}

BOOST_AUTO_TEST_CASE(p15_reset_after_half_close_is_fin_and_rst)
{
    observed o;
    o.a.shutdown_write();
    o.a.reset();
    BOOST_TEST(o.spoken() == "s>c F., s>c R.");
    BOOST_TEST(o.counted("TcpExt.TCPAbortOnData") == 1);
}

BOOST_AUTO_TEST_CASE(p43_first_send_to_a_closed_peer_succeeds)
{
    observed o;
    o.a.close();
    o.c.send_all("x");
    BOOST_TEST(o.spoken() == "s>c F., c>s P.(1), s>c R");
    BOOST_TEST(o.counted("Tcp.EstabResets") == 1);
    BOOST_TEST(o.counted("Tcp.OutRsts") == 1);
    BOOST_TEST(o.c.recv_some().eof());
    BOOST_TEST(o.c.send_some("x").error == EPIPE);
}

BOOST_AUTO_TEST_CASE(p37_shutdown_of_both_directions_is_not_close)
{
    observed o;
    BOOST_TEST(o.a.shutdown(SHUT_RDWR) == 0);
    o.c.send_all("x");
    BOOST_TEST(o.spoken() == "s>c F., c>s P.(1), s>c R");
    BOOST_TEST(o.counted("TcpExt.TCPAbortOnData") == 1);
    BOOST_TEST(o.a.recv_some().error == ECONNRESET);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(capture, fresh_network)

BOOST_AUTO_TEST_CASE(fin_stands_behind_the_last_byte_of_a_long_stream)
{
    constexpr std::size_t size = 8U << 20U;
    observed o;
    auto reader = std::async(std::launch::async, [&] { return o.a.recv_all(); });
    o.c.send_all(std::string(size, 'x'));
    o.c.shutdown_write();
    BOOST_TEST(reader.get().data.size() == size);
    auto const said = o.said();
    BOOST_TEST(said.bytes_sent(side::client) == size);
    BOOST_TEST(*said.bytes_before_fin(side::client) == size);
    BOOST_TEST(said.fin_after_last_byte(side::client));
    BOOST_TEST(!said.fin_after_last_byte(side::server));
    BOOST_TEST(said.bytes_sent(side::server) == 0U);
}

// The check above must be able to fail: bytes behind a FIN, which only a made-up conversation has.
BOOST_AUTO_TEST_CASE(a_byte_behind_the_fin_is_seen)
{
    auto const made_up = [](std::uint8_t const flags, std::uint32_t const sequence, std::size_t const payload)
    {
        segment result;
        result.from_port = 1;
        result.to_port = 2;
        result.flags = flags;
        result.sequence = sequence;
        result.payload = payload;
        return result;
    };
    // The sequence numbers wrap within the stream.
    std::vector<segment> all{made_up(0x02, 0xfffffffdU, 0), made_up(0x18, 0xfffffffeU, 3), made_up(0x11, 1, 0)};
    BOOST_TEST((conversation{1, 2, all}).fin_after_last_byte(side::client));
    all.push_back(made_up(0x18, 1, 1));
    BOOST_TEST(!(conversation{1, 2, all}).fin_after_last_byte(side::client));
    BOOST_TEST(*(conversation{1, 2, all}).bytes_before_fin(side::client) == 3U);
    BOOST_TEST((conversation{1, 2, all}).text() == "c>s S, c>s P.(3), c>s F., c>s P.(1)");
}

// Held against the kernel's own count of segments. Nothing is said of RSTs here: under load even an orderly end can
// bring one, when a delayed acknowledgement crosses the last one and meets a socket that is gone.
BOOST_AUTO_TEST_CASE(nothing_is_lost)
{
    constexpr int connections = 500;
    auto const before = mib::now();
    wire capture;
    raw_listener listener{raw_address::v4(0), 2048};
    auto const open_and_close = [&]
    {
        for (int each = 0; each < connections; ++each)
            raw_socket::connect(listener.address()).close();
    };
    auto one = std::async(std::launch::async, open_and_close);
    auto other = std::async(std::launch::async, open_and_close);
    for (int each = 0; each < 2 * connections; ++each)
        listener.accept().close();
    one.get();
    other.get();
    auto const sent = [&]
    {
        auto const counted = mib::since(before);
        return static_cast<std::size_t>(counted["Tcp.OutSegs"] + counted["Tcp.RetransSegs"]);
    };
    eventually([&] { return capture.segments().size() == sent(); }, "as many segments captured as sent");
    BOOST_TEST(capture.count(listener.port(), tcp_flag::syn) >= 4U * connections);  // S and S.
    BOOST_TEST(capture.count(listener.port(), tcp_flag::fin) >= 4U * connections);
}

BOOST_AUTO_TEST_CASE(what_is_sent_again_is_told_once)
{
    observed o;
    drop_incoming(o.a.fd(), loss::everything);
    o.c.send_all("abc");
    auto const sent = [&]
    {
        auto const all = o.capture.segments(o.c.local_port(), o.a.local_port());
        return std::count_if(all.begin(), all.end(), [](segment const& each) { return each.payload == 3; });
    };
    eventually([&] { return sent() >= 2; }, "it is sent again");
    drop_nothing(o.a.fd());
    BOOST_TEST(o.a.recv_exactly(3) == "abc");
    BOOST_TEST(o.spoken() == "c>s P.(3)");
    o.wait_said("c>s S, s>c S., c>s ., c>s P.(3), s>c .");
}

BOOST_AUTO_TEST_CASE(clear_and_stop)
{
    observed o;
    auto const forth = o.capture.segments(o.c.local_port(), o.a.local_port());
    BOOST_TEST(forth.size() == 2U);
    o.capture.clear();
    BOOST_TEST(o.said().text() == "");
    o.c.send_all("x");
    o.capture.stop();
    BOOST_TEST(o.said().text_without_acks() == "c>s P.(1)");
    BOOST_TEST(o.said().dump().find("P.(1)") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(counters_and_descriptors)

BOOST_AUTO_TEST_CASE(a_misspelt_counter_is_not_zero)
{
    BOOST_CHECK_THROW(mib::now()["TcpExt.TcpAbortOnClose"], std::out_of_range);
}

BOOST_AUTO_TEST_CASE(a_leak_is_seen)
{
    no_leaked_descriptors const watched;
    raw_socket left;
    BOOST_TEST(watched.leaked() == "");
    {
        raw_listener const listener;
        left = raw_socket::connect(listener.address());
    }
    BOOST_TEST(watched.leaked().find("socket:[") != std::string::npos);
    left.close();
    BOOST_TEST(watched.leaked() == "");
}

BOOST_AUTO_TEST_CASE(p23_room_for_so_many_descriptors)
{
    int below = -1;
    int at = -1;
    int error = 0;
    {
        auto const one_more = descriptor_limit::room_for(1);
        below = ::dup(0);
        at = ::dup(0);
        error = errno;
    }
    BOOST_TEST(below >= 0);
    BOOST_TEST(at == -1);
    BOOST_TEST(error == EMFILE);
    descriptor const first{below};
    descriptor const second{::dup(0)};
    BOOST_TEST(second.is_open());
}

BOOST_AUTO_TEST_CASE(a_sysctl_is_put_back)
{
    auto const before = sysctl("net.ipv4.tcp_fin_timeout");
    {
        sysctl_override const changed{"net.ipv4.tcp_fin_timeout", "7"};
        BOOST_TEST(sysctl("net.ipv4.tcp_fin_timeout") == "7");
    }
    BOOST_TEST(sysctl("net.ipv4.tcp_fin_timeout") == before);
}

BOOST_AUTO_TEST_SUITE_END()
