// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A tap captures what is on the wire: the table of what each call sends, as the tests' own capture sees it, too.

#define BOOST_TEST_MODULE trace.tap
#include "support/netns_main.hpp"

#include <duet/detail/wire/packet_filter.hpp>
#include <duet/detail/wire/packet_ring.hpp>
#include <duet/merge.hpp>
#include <duet/tap.hpp>

#include "support/observed.hpp"
#include "support/raw_peer.hpp"
#include "support/segment.hpp"
#include "support/wait.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace duet_test;
using boost::asio::ip::make_address;
using boost::asio::ip::tcp;

namespace {

tcp::endpoint at(char const* address, std::uint16_t port)
{
    return {make_address(address), port};
}

// What a tap has captured so far.
class tapped
{
public:
    explicit tapped(std::vector<duet::tap_filter> filters = {}, std::size_t limit = 100'000)
        : tap_{{.filters = std::move(filters), .limit = limit}}
    {
    }

    duet::tap_capture& all()
    {
        auto more = tap_.take();
        all_.lost += more.lost;
        std::move(more.segments.begin(), more.segments.end(), std::back_inserter(all_.segments));
        return all_;
    }

    std::size_t size() { return all().segments.size(); }

    // As the tests' own capture tells it.
    std::vector<segment> segments()
    {
        std::vector<segment> result;
        for (auto const& each : all().segments)
        {
            segment one;
            one.time = each.wall_time;
            one.family = each.from.address().is_v4() ? AF_INET : AF_INET6;
            one.from_port = each.from.port();
            one.to_port = each.to.port();
            one.flags = static_cast<std::uint8_t>(each.flags);
            one.sequence = each.sequence;
            one.acknowledgement = each.acknowledgement;
            one.window = each.window;
            one.payload = static_cast<std::size_t>(each.bytes);
            result.push_back(one);
        }
        return result;
    }

    conversation said(raw_socket const& client)
    {
        return conversation{client.local_port(), client.remote_port(), segments()};
    }

    // A delayed acknowledgement comes by a timer.
    void wait_said(raw_socket const& client, std::string const& expected)
    {
        eventually([&] { return said(client).text_without_repetitions() == expected; }, expected);
    }

private:
    duet::tap tap_;
    duet::tap_capture all_;
};

// But for the time: each capture may take it for itself.
bool same(segment const& a, segment const& b)
{
    return a.family == b.family && a.from_port == b.from_port && a.to_port == b.to_port && a.flags == b.flags &&
           a.sequence == b.sequence && a.window == b.window && a.payload == b.payload &&
           (!a.has(tcp_flag::ack) || a.acknowledgement == b.acknowledgement);
}

// Privileges belong to a thread.
void give_up_privileges()
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    checked(::syscall(SYS_capset, &header, none), "capset");
}

std::set<::pid_t> threads()
{
    std::set<::pid_t> result;
    for (auto const& each : std::filesystem::directory_iterator{"/proc/self/task"})
        result.insert(static_cast<::pid_t>(std::stol(each.path().filename().string())));
    return result;
}

volatile std::sig_atomic_t taken = 0;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(segments_per_call, fresh_network)

// The table: connect and accept, shutdown, send, close.
BOOST_AUTO_TEST_CASE(an_orderly_end_half_by_half)
{
    for (auto const& address : {raw_address::v4(0), raw_address::v6(0)})
    {
        raw_listener listener{address};
        tapped tap{{{at(address.family() == AF_INET ? "127.0.0.1" : "::1", listener.port())}}};
        auto c = raw_socket::connect(listener.address());
        auto a = listener.accept();
        tap.wait_said(c, "c>s S, s>c S., c>s .");
        c.shutdown_write();
        tap.wait_said(c, "c>s S, s>c S., c>s ., c>s F., s>c .");
        a.send_all("abc");
        tap.wait_said(c, "c>s S, s>c S., c>s ., c>s F., s>c ., s>c P.(3), c>s .");
        a.close();
        tap.wait_said(c, "c>s S, s>c S., c>s ., c>s F., s>c ., s>c P.(3), c>s ., s>c F., c>s .");
        BOOST_TEST(tap.all().lost == 0U);
    }
}

BOOST_AUTO_TEST_CASE(p01_a_reset)
{
    tapped tap;
    auto [c, a] = connected_pair();
    c.send_all("abc");
    a.close();
    // What a call sends is captured when it returns.
    BOOST_TEST(tap.said(c).text_without_acks() == "c>s S, s>c S., c>s P.(3), s>c R.");
}

BOOST_AUTO_TEST_CASE(a_refusal)
{
    auto const nobody = [] { return raw_listener{}.address(); }();
    tapped tap{{{at("127.0.0.1", nobody.port())}}};
    auto c = raw_socket::start_connect(nobody);
    BOOST_TEST(c.wait_connected() == ECONNREFUSED);
    BOOST_TEST_REQUIRE(tap.size() == 2U);
    auto captured = tap.all();
    duet::trace_log log;
    duet::merge(log, captured);
    BOOST_TEST(to_string(log.events[0].segment->flags) == "SYN");
    BOOST_TEST(to_string(log.events[1].segment->flags) == "RST, ACK");
}

// Each reads the packets itself. Two directions, on two processors, may come to them in another order.
BOOST_AUTO_TEST_CASE(a_tap_sees_what_the_tests_see)
{
    tapped tap;
    observed o;
    std::string const text(1U << 20U, 'x');
    std::thread reader{[&] { o.a.recv_all(); }};
    o.c.send_all(text);
    o.c.close();
    reader.join();
    o.a.close();
    auto const port = o.pair.client.local_port();
    eventually([&] { return o.capture.count(port, tcp_flag::fin) >= 2; }, "both have finished");
    std::vector<segment> seen;
    std::vector<segment> tapped_ones;
    eventually(
        [&]
        {
            seen = o.capture.segments();
            tapped_ones = tap.segments();
            return seen.size() == tapped_ones.size();
        },
        "as many segments");
    BOOST_TEST(tap.all().lost == 0U);
    for (auto* const all : {&seen, &tapped_ones})
        std::stable_partition(all->begin(), all->end(), [&](segment const& each) { return each.from_port == port; });
    BOOST_TEST(std::equal(seen.begin(), seen.end(), tapped_ones.begin(), same));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(what_is_wanted, fresh_network)

BOOST_AUTO_TEST_CASE(a_filter_chooses_connections)
{
    raw_listener wanted;
    raw_listener other;
    raw_listener six{raw_address::v6(0)};
    auto const any = tcp::endpoint{};
    tapped everything;
    tapped by_address{{{at("127.0.0.1", wanted.port())}}};
    tapped as_other_end{{{any, at("127.0.0.1", wanted.port())}}};
    tapped mapped{{{at("::ffff:127.0.0.1", wanted.port())}}};
    tapped by_port{{{at("0.0.0.0", six.port())}}};
    tapped both{{{at("::1", six.port())}, {at("127.0.0.1", wanted.port())}}};
    tapped by_family{{{at("::1", 0)}}};
    tapped elsewhere{{{at("127.0.0.2", 0)}, {at("::2", 0)}, {at("127.0.0.1", 0), at("::1", 0)}}};
    auto const c1 = raw_socket::connect(wanted.address());
    auto const c2 = raw_socket::connect(other.address());
    auto const c3 = raw_socket::connect(six.address());
    tapped one_of_two{{{at("127.0.0.1", c1.local_port()), at("127.0.0.1", wanted.port())}}};
    tapped none_of_two{{{at("127.0.0.1", c1.local_port()), at("127.0.0.1", other.port())}}};

    auto const opening = "c>s S, s>c S., c>s .";
    everything.wait_said(c1, opening);
    everything.wait_said(c2, opening);
    everything.wait_said(c3, opening);
    BOOST_TEST(everything.size() == 9U);
    for (auto* const tap : {&by_address, &as_other_end, &mapped})
    {
        tap->wait_said(c1, opening);
        BOOST_TEST(tap->size() == 3U);
    }
    for (auto* const tap : {&by_port, &by_family})
    {
        tap->wait_said(c3, opening);
        BOOST_TEST(tap->size() == 3U);
    }
    both.wait_said(c1, opening);
    both.wait_said(c3, opening);
    BOOST_TEST(both.size() == 6U);
    BOOST_TEST(elsewhere.size() == 0U);

    auto a1 = wanted.accept();
    a1.send_all("abc");
    one_of_two.wait_said(c1, "s>c P.(3), c>s .");
    BOOST_TEST(none_of_two.size() == 0U);
}

BOOST_AUTO_TEST_CASE(an_interface_is_chosen_by_its_name)
{
    duet::tap tap{{.interface = "lo"}};
    auto const pair = connected_pair();
    BOOST_TEST(tap.take().segments.size() == 3U);
    BOOST_CHECK_EXCEPTION((duet::tap{{.interface = "none"}}), duet::system_error,
        [](duet::system_error const& error)
        {
            BOOST_TEST(std::string{error.what()}.starts_with("tap: interface \"none\": No such device"));
            return error.code().value() == ENODEV;
        });
}

BOOST_AUTO_TEST_CASE(as_many_filters_as_the_kernel_takes)
{
    std::vector<duet::tap_filter> filters(40, {at("::1", 1), at("::1", 2)});
    BOOST_CHECK_NO_THROW(duet::tap{{.filters = filters}});
    filters.resize(200, filters.front());
    BOOST_CHECK_EXCEPTION((duet::tap{{.filters = filters}}), duet::system_error,
        [](duet::system_error const& error) { return error.code() == boost::asio::error::invalid_argument; });
}

BOOST_AUTO_TEST_CASE(so_much_of_each_packet_is_kept)
{
    tapped whole;
    duet::tap some{{.snap_length = 64}};
    duet::tap all{{.snap_length = 65535}};
    auto [c, a] = connected_pair();
    c.send_all(std::string(1000, 'x'));
    auto const is_data = [](duet::captured_segment const& each) { return each.bytes == 1000; };
    auto const data_of = [&](duet::tap_capture const& captured)
    { return *std::find_if(captured.segments.begin(), captured.segments.end(), is_data); };
    auto const usual = data_of(whole.all());
    BOOST_TEST(usual.packet.size() == 160U);
    BOOST_TEST(usual.length == 1000U + 52U);
    BOOST_TEST(data_of(some.take()).packet.size() == 64U);
    auto const complete = data_of(all.take());
    BOOST_TEST(complete.packet.size() == complete.length);
    BOOST_TEST((complete.packet.back() == std::byte{'x'}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(bounds, fresh_network)

BOOST_AUTO_TEST_CASE(segments_beyond_the_limit_are_counted)
{
    tapped tap{{}, 2};
    duet::tap none{{.limit = 0}};
    auto const pair = connected_pair();
    BOOST_TEST(none.take().lost == 3U);
    BOOST_TEST(none.take().lost == 0U);
    auto const& captured = tap.all();
    BOOST_TEST(captured.segments.size() == 2U);
    BOOST_TEST(captured.lost == 1U);
}

// A ring that nobody empties. With whole packets, the smallest has one frame.
BOOST_AUTO_TEST_CASE(packets_that_find_the_ring_full_are_counted)
{
    namespace inside = duet::detail;
    inside::packet_filter const filter{{}, 1, 65535};
    inside::packet_ring ring{filter.program(), {.interface = "lo", .snap_length = 65535, .memory = 0}};
    auto const pair = connected_pair();
    BOOST_TEST(ring.take_lost_count() == 2U);
    BOOST_TEST(ring.take_lost_count() == 0U);
    BOOST_TEST(ring.next().has_value());
    BOOST_TEST(!ring.next().has_value());
}

BOOST_AUTO_TEST_CASE(without_the_privilege_it_says_what_is_needed)
{
    std::string what;
    duet::error_code code;
    std::thread unprivileged{[&]
        {
            give_up_privileges();
            try
            {
                duet::tap const tap;
            }
            catch (duet::system_error const& error)
            {
                what = error.what();
                code = error.code();
            }
        }};
    unprivileged.join();
    BOOST_TEST(code.value() == EPERM);
    BOOST_TEST(what.starts_with("tap: socket of AF_PACKET (it needs root, CAP_NET_RAW, or a network namespace of one's "
                                "own: unshare -Urn): Operation not permitted"));
}

BOOST_AUTO_TEST_CASE(nothing_is_left)
{
    no_leaked_descriptors const watched;
    {
        duet::tap const one;
        duet::tap const other;
    }
    BOOST_TEST(watched.leaked() == "");
}

// Its thread takes none of the program's signals. A mask read from /proc would not tell: a thread begins with all
// signals blocked, and the C library gives it its own mask then. One that takes a signal has taken it when it is
// joined.
BOOST_AUTO_TEST_CASE(signals_are_for_the_program)
{
    auto* const before = std::signal(SIGUSR1, [](int) { taken = 1; });
    {
        auto const others = threads();
        duet::tap const tap;
        auto its = threads();
        std::erase_if(its, [&](::pid_t each) { return others.contains(each); });
        BOOST_TEST_REQUIRE(its.size() == 1U);
        checked(::syscall(SYS_tgkill, ::getpid(), *its.begin(), SIGUSR1), "tgkill");
    }
    std::signal(SIGUSR1, before);
    BOOST_TEST(taken == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(clocks, fresh_network)

BOOST_AUTO_TEST_CASE(times_are_those_of_both_clocks)
{
    tapped tap;
    auto const steady = std::chrono::steady_clock::now();
    auto const wall = std::chrono::system_clock::now();
    auto const pair = connected_pair();
    auto const steady_end = std::chrono::steady_clock::now();
    auto const wall_end = std::chrono::system_clock::now();
    // The clocks are read one after the other, and the conversion is as exact as that.
    auto const slack = std::chrono::seconds{1};
    BOOST_TEST(tap.size() == 3U);
    for (auto const& each : tap.all().segments)
    {
        BOOST_TEST((each.wall_time >= wall && each.wall_time <= wall_end));
        BOOST_TEST((each.time >= steady - slack && each.time <= steady_end + slack));
    }
}

// Call, segments, return.
BOOST_AUTO_TEST_CASE(a_trace_has_the_segments_where_they_were)
{
    raw_listener listener;
    tapped tap{{{at("127.0.0.1", listener.port())}}};
    duet::trace_log log;
    log.began = std::chrono::system_clock::now();
    auto const note = [&](duet::trace_kind kind, std::uint64_t call)
    {
        duet::trace_event event;
        event.number = log.events.size() + 1;
        event.time = std::chrono::system_clock::now() - log.began;
        event.session = 1;
        event.kind = kind;
        event.name = "connect";
        event.call = call;
        log.events.push_back(event);
    };
    note(duet::trace_kind::call, 0);
    auto const c = raw_socket::connect(listener.address());
    note(duet::trace_kind::result, 1);
    auto const ends = [](std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); };
    log.sessions = {{1, true, ends(c.local_port()), ends(listener.port()), ""}};
    duet::merge(log, tap.all());

    std::string text;
    for (auto const& each : log.events)
        text += each.segment ? (each.segment->from_client ? "> " : "< ") + to_string(each.segment->flags) + '\n'
                             : std::string{to_string(each.kind)} + '\n';
    BOOST_TEST(text == "call\n> SYN\n< SYN, ACK\n> ACK\nresult\n");
    BOOST_TEST(log.events[4].call == 1U);
    BOOST_TEST(log.events[3].session == 1U);
    BOOST_TEST(log.events[3].segment->window.value() > 65535U);  // scaled
}

BOOST_AUTO_TEST_SUITE_END()
