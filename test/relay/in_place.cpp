// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A relay in the reactor, where its reads stay pending while messages pass: its deadlines count as if each message had
// a read of its own.

#include <duet/relay.hpp>

#define BOOST_TEST_MODULE relay.in_place
#include <boost/test/unit_test.hpp>

#include "relay/relay_fixture.hpp"
#include "support/simulated_time.hpp"

#include <chrono>
#include <cstdlib>
#include <string>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

struct with_reactor
{
    with_reactor()
    {
        ::setenv("DUET_TEST_REACTOR", "1", 1);
        prepare(time.context);
        auto spare = duet::detail::relay_buffer::borrow(1);
        duet::detail::relay_buffer::give_back(spare);
    }

    no_leaked_descriptors const descriptors;
    simulated_time time;
};

/// A relay on a clock of the test's.
struct relay_in_time : with_reactor
{
    explicit relay_in_time(duet::deadlines const& of_second, duet::relay_options const& wanted = {})
        : options{wanted}, line{time.context.get_executor(), {}, {.deadlines = of_second}}
    {
        time.clock.run_ready();
    }

    void carry(raw_socket& from, raw_socket& to, std::string const& what)
    {
        from.send_all(what);
        time.run_until([&] { return unread_bytes(to.fd()) == what.size(); }, "the message");
        require(to.recv_exactly(what.size()) == what, "other bytes than expected arrived");
    }

    duet::relay_report end()
    {
        time.run_until([&] { return relaying.done(); }, "the end");
        return time.run(relaying.result());
    }

    duet::relay_report end_cleanly()
    {
        line.left.shutdown_write();
        line.right.shutdown_write();
        return end();
    }

    duet::relay_options options;
    relayed line;
    started<duet::relay_report> relaying{time.context.get_executor(), duet::relay(line.first, line.second, options)};
};

}  // namespace

BOOST_AUTO_TEST_CASE(each_message_restarts_the_deadline_of_a_read)
{
    relay_in_time relay{{.read = 200ms}};
    for (int i = 0; i < 4; ++i)
    {
        relay.carry(relay.line.right, relay.line.left, "a message");
        relay.time.clock.advance(150ms);
        BOOST_TEST(!relay.relaying.done());
    }
    auto const report = relay.end();
    BOOST_TEST((report.backward.error == duet::errc::read_timed_out));
    BOOST_TEST(report.backward.bytes == 36U);
}

BOOST_AUTO_TEST_CASE(the_first_message_ends_the_wait_for_it)
{
    relay_in_time relay{{.next_message = 200ms}};
    relay.carry(relay.line.right, relay.line.left, "a message");
    relay.time.clock.advance(300ms);
    BOOST_TEST(!relay.relaying.done());
    BOOST_TEST(relay.end_cleanly().clean());
}

BOOST_AUTO_TEST_CASE(the_deadline_of_a_message_counts_from_its_first_byte)
{
    relay_in_time relay{{.message = 200ms}};
    relay.time.clock.advance(300ms);
    BOOST_TEST(!relay.relaying.done());
    relay.carry(relay.line.right, relay.line.left, "a message");
    auto const begin = relay.time.now();
    auto const report = relay.end();
    BOOST_TEST((report.backward.error == duet::errc::message_timed_out));
    BOOST_TEST((relay.time.now() - begin <= 200ms + 2 * tick));
}

// The read that is pending has begun before there was anything to be acknowledged.
BOOST_AUTO_TEST_CASE(what_is_passed_on_is_watched_though_nothing_comes_back)
{
    relay_in_time relay{{.dead_peer = 40s}};
    BOOST_TEST((relay.time.next() == simulated_time::time_point::max()));
    relay.carry(relay.line.left, relay.line.right, "question");
    BOOST_TEST((relay.time.next() - relay.time.now() <= 10s));
    BOOST_TEST(relay.end_cleanly().clean());
}

BOOST_AUTO_TEST_CASE(what_the_receiver_does_not_take_is_not_lost)
{
    relay_in_time relay{{}, {.splice = false}};
    std::string const part = pattern(10'000);
    std::string said;
    for (ssize_t sent = 1; sent > 0;)
    {
        for (sent = 0;;)
        {
            auto const now = ::send(relay.line.left.fd(), part.data(), part.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (now <= 0)
                break;
            said.append(part, 0, static_cast<std::size_t>(now));
            require(said.size() < 64'000'000, "the relay takes more than there is room for");
            sent += now;
            relay.time.clock.run_ready();
        }
        relay.time.clock.run_ready();
    }
    relay.line.left.shutdown_write();
    std::string heard;
    relay.time.run_until(
        [&]
        {
            char bytes[4096];
            for (ssize_t got = 1; got > 0;)
            {
                got = ::recv(relay.line.right.fd(), bytes, sizeof bytes, MSG_DONTWAIT);
                heard.append(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
            }
            return heard.size() >= said.size();
        },
        "all bytes");
    BOOST_TEST((heard == said));
    relay.line.right.shutdown_write();
    auto const report = relay.end();
    BOOST_TEST(report.clean());
    BOOST_TEST(report.forward.bytes == said.size());
}
