// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What only a network of one's own shows: the ports run out, a socket meets itself, a family is missing, and what the
// losers say on the wire.

#define BOOST_TEST_MODULE connect.netns
#include "support/netns_main.hpp"

#include "connect/connector_fixture.hpp"
#include "support/fd.hpp"
#include "support/mib.hpp"
#include "support/started.hpp"
#include "support/wire.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>

using namespace duet_test;
using duet::condition;
using duet::error_code;

namespace {

// What connect fails with; empty if it succeeds.
asio::awaitable<std::optional<duet::connect_error>> failure_of(asio::awaitable<duet::session> connecting)
{
    std::optional<duet::connect_error> result;
    try
    {
        duet::session const peer = co_await std::move(connecting);
    }
    catch (duet::connect_error const& error)
    {
        result = error;
    }
    co_return result;
}

tcp::endpoint const nobody{asio::ip::address_v4::loopback(), 40000};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(ports, fresh_network)

BOOST_AUTO_TEST_CASE(p31_no_local_port_is_left)
{
    sysctl_override const range{"net.ipv4.ip_local_port_range", "40000 40001"};
    no_leaked_descriptors const descriptors;
    run(
        [&]() -> asio::awaitable<void>
        {
            raw_listener listener{raw_address::v4(5000), 16};
            auto const executor = co_await asio::this_coro::executor;
            duet::connector connector{executor};
            auto const server = to_endpoint(listener.address());
            duet::session const first = co_await connector.connect(server);
            duet::session const second = co_await connector.connect(server);
            auto const error = co_await failure_of(connector.connect(server));
            BOOST_REQUIRE(error.has_value());
            BOOST_TEST(error->code() == error_code{duet::errc::no_local_port});
            BOOST_TEST((error->code() == condition::exhausted));
            BOOST_TEST(std::string{error->what()} ==
                       "connect 127.0.0.1:" + std::to_string(server.port()) + ": no local port is left");
        });
}

// There the same number says another thing.
BOOST_AUTO_TEST_CASE(no_address_of_the_family_is_not_a_lack_of_ports)
{
    sysctl_override const without{"net.ipv6.conf.lo.disable_ipv6", "1"};
    no_leaked_descriptors const descriptors;
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            tcp::endpoint const v6{asio::ip::address_v6::loopback(), 5000};
            duet::connector connector{executor};
            auto const error = co_await failure_of(connector.connect(v6));
            BOOST_REQUIRE(error.has_value());
            BOOST_TEST((error->code() == boost::system::errc::address_not_available));

            // What the other family says is told.
            refusing_address const closed;
            list_connector both{executor, {}, resolver_of({v6, closed.endpoint()})};
            auto const refused = co_await failure_of(both.connect("localhost", "5000"));
            BOOST_REQUIRE(refused.has_value());
            BOOST_TEST(refused->code() == error_code{asio::error::connection_refused});
            BOOST_TEST(attempts_of(*refused) == "Cannot assign requested address, Connection refused");

            good_address server;
            list_connector other{executor, {.attempt_delay = for_ever}, resolver_of({v6, server.endpoint()})};
            duet::session const peer = co_await other.connect("localhost", "5000");
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(no_route)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            tcp::endpoint const far{asio::ip::make_address("192.0.2.1"), 80};
            good_address server;
            list_connector connector{executor, {.attempt_delay = for_ever}, resolver_of({far, server.endpoint()})};
            duet::session const peer = co_await connector.connect("a", "1");
            auto const error = co_await failure_of(connector.connect(far));
            BOOST_REQUIRE(error.has_value());
            BOOST_TEST(error->code() == error_code{asio::error::network_unreachable});
        });
}

// The only port there is to connect from is the one to connect to.
BOOST_AUTO_TEST_CASE(p31_connected_to_itself_again_and_again)
{
    sysctl_override const range{"net.ipv4.ip_local_port_range", "40000 40000"};
    no_leaked_descriptors const descriptors;
    auto const before = mib::now();
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            duet::connector connector{executor};
            auto const error = co_await failure_of(connector.connect(nobody));
            BOOST_REQUIRE(error.has_value());
            BOOST_TEST(error->code() == error_code{duet::errc::self_connect});
            BOOST_TEST(std::string{error->what()} == "connect 127.0.0.1:40000: the socket was connected to itself");
        });
    BOOST_TEST(mib::since(before)["Tcp.ActiveOpens"] == 4);
    // Nothing keeps the port from its server.
    BOOST_TEST(count_state(kernel_state::time_wait) == 0U);
    raw_listener const late{raw_address::v4(40000)};
}

// Of two ports it is sometimes the one and sometimes the other; the connector tries until it is the other.
BOOST_AUTO_TEST_CASE(p31_connected_to_itself_now_and_then)
{
    sysctl_override const range{"net.ipv4.ip_local_port_range", "40000 40003"};
    no_leaked_descriptors const descriptors;
    auto const before = mib::now();
    int const connects = 100;
    int refused = 0;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            duet::connector connector{executor};
            for (int each = 0; each < connects; ++each)
            {
                auto const error = co_await failure_of(connector.connect(nobody));
                BOOST_REQUIRE(error.has_value());
                if (error->code() == asio::error::connection_refused)
                    ++refused;
                else
                    BOOST_TEST(error->code() == error_code{duet::errc::self_connect});
            }
        });
    BOOST_TEST_MESSAGE(
        refused << " of " << connects << " refused, with " << mib::since(before)["Tcp.ActiveOpens"] << " sockets");
    BOOST_TEST(refused > 0);
    BOOST_TEST(mib::since(before)["Tcp.ActiveOpens"] > connects);
}

BOOST_AUTO_TEST_CASE(p31_connected_to_itself_by_the_unspecified_address)
{
    sysctl_override const range{"net.ipv4.ip_local_port_range", "40000 40000"};
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            duet::connector connector{executor};
            tcp::endpoint const anywhere{asio::ip::address_v4::any(), 40000};
            auto const error = co_await failure_of(connector.connect(anywhere));
            BOOST_REQUIRE(error.has_value());
            BOOST_TEST(error->code() == error_code{duet::errc::self_connect});
        });
}

BOOST_AUTO_TEST_CASE(p31_connected_to_itself_with_ipv6)
{
    if (!has_ipv6())
        return void(BOOST_TEST_MESSAGE("skipped: this system has no IPv6"));
    sysctl_override const range{"net.ipv4.ip_local_port_range", "40000 40000"};
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            duet::connector connector{executor};
            tcp::endpoint const itself{asio::ip::address_v6::loopback(), 40000};
            auto const error = co_await failure_of(connector.connect(itself));
            BOOST_REQUIRE(error.has_value());
            BOOST_TEST(error->code() == error_code{duet::errc::self_connect});
        });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(losers, fresh_network)

BOOST_AUTO_TEST_CASE(p42_a_loser_says_nothing)
{
    wire capture;
    run(
        [&]() -> asio::awaitable<void>
        {
            black_hole first;
            good_address second;
            auto const executor = co_await asio::this_coro::executor;
            list_connector connector{
                executor, {.attempt_delay = 10ms}, resolver_of({first.endpoint(), second.endpoint()})};
            capture.clear();
            duet::session const peer = co_await connector.connect("a", "1");
            BOOST_TEST(peer.remote_endpoint() == second.endpoint());
            // SYNs, and not even a reset.
            auto const port = first.endpoint().port();
            BOOST_TEST(capture.count(port, tcp_flag::syn) >= 1U);
            BOOST_TEST(!capture.has_rst(port));
            // Room is made: nobody comes any more.
            first.make_room();
            BOOST_TEST(first.queued() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(p42_a_loser_that_got_through_says_fin)
{
    wire capture;
    run(
        [&]() -> asio::awaitable<void>
        {
            black_hole first;
            black_hole second;
            auto const executor = co_await asio::this_coro::executor;
            list_connector connector{
                executor, {.attempt_delay = 10ms}, resolver_of({first.endpoint(), second.endpoint()})};
            capture.clear();
            started<duet::session> connecting{executor, connector.connect("a", "1")};
            co_await until([&] { return first.hanging() == 1 && second.hanging() == 1; }, "both are under way");
            first.make_room();
            second.make_room();
            eventually([&] { return first.queued() == 1 && second.queued() == 1; }, "both got through");
            duet::session const peer = co_await connecting.result();
            bool const first_won = peer.remote_endpoint() == first.endpoint();
            auto const server = (first_won ? second : first).endpoint().port();
            std::optional<std::uint16_t> client;
            for (auto const& each : capture.segments())
                if (each.to_port == server && each.has(tcp_flag::syn))  // what filled its queue speaks to it, too
                    client = each.from_port;
            BOOST_REQUIRE(client.has_value());
            auto const said = capture.between(*client, server);
            BOOST_TEST_INFO(said.dump());
            BOOST_TEST(said.text_without_acks().ends_with("c>s S, s>c S., c>s F."));
            BOOST_TEST(said.bytes_sent(side::client) == 0U);
        });
}

BOOST_AUTO_TEST_SUITE_END()
