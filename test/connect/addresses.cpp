// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Which address a connector takes: the order of the attempts, the families, what the resolver says, and what becomes of
// the losers.

#define BOOST_TEST_MODULE connect.addresses
#include <duet/connector.hpp>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/fd.hpp"
#include "support/started.hpp"

#include <chrono>
#include <ostream>
#include <string>
#include <vector>

#include <fcntl.h>

using namespace duet_test;
using duet::condition;

// ---- Which address
// ------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_first_address_is_refused)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            good_address server;
            // The second begins at once: its turn by the stagger never comes.
            auto connector =
                make_connector(executor, {nobody.endpoint(), server.endpoint()}, {.attempt_delay = for_ever});
            duet::session const peer = co_await connector.connect("a", "1");
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(the_first_address_is_a_black_hole)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            good_address server;
            auto connector = make_connector(executor, {hole.endpoint(), server.endpoint()});
            duet::session const peer = co_await connector.connect("a", "1");
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            BOOST_TEST(hole.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(the_first_address_is_slow_and_wins)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole slow;
            black_hole hole;
            auto connector = make_connector(executor, {slow.endpoint(), hole.endpoint()}, {.attempt_delay = 10ms});
            started<duet::session> connecting{executor, connector.connect("a", "1")};
            co_await until([&] { return slow.hanging() == 1 && hole.hanging() == 1; }, "both attempts are under way");
            slow.make_room();
            duet::session const peer = co_await connecting.result();
            BOOST_TEST(peer.remote_endpoint() == slow.endpoint());
            BOOST_TEST(hole.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(the_second_waits_for_its_turn)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            good_address server;
            auto connector = make_connector(
                executor, {hole.endpoint(), server.endpoint()}, {.timeout = 100ms, .attempt_delay = for_ever});
            auto error = co_await check_failure(connector.connect("a", "1"), condition::timed_out);
            while (error.attempts().empty())  // a stall took all the time
                error = co_await check_failure(connector.connect("a", "1"), condition::timed_out);
            BOOST_TEST(error.attempts().size() == 1U);
            BOOST_TEST(server.queued() == 0U);
        });
}

namespace {

struct families
{
    char const* name;
    std::vector<family> addresses;
};

std::ostream& operator<<(std::ostream& out, families const& each)
{
    return out << each.name;
}

std::vector<families> const family_rows{
    {"only IPv4", {family::v4}},
    {"only IPv6", {family::v6}},
    {"IPv6, then IPv4", {family::v6, family::v4}},
    {"IPv4, then IPv6", {family::v4, family::v6}},
};

}  // namespace

namespace {

void connect_to(families const& each)
{
    if (!has_ipv6())
        return void(BOOST_TEST_MESSAGE("skipped: this system has no IPv6"));
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            list_resolver::answer all_good;
            list_resolver::answer last_good;
            std::vector<good_address> servers;
            std::vector<refusing_address> nobodies;
            for (auto const which : each.addresses)
            {
                servers.emplace_back(which);
                nobodies.emplace_back(which);
                all_good.push_back(servers.back().endpoint());
                last_good.push_back(nobodies.back().endpoint());
            }
            last_good.back() = servers.back().endpoint();

            auto connector = make_connector(executor, all_good);
            duet::session const first = co_await connector.connect("a", "1");
            BOOST_TEST(first.remote_endpoint() == all_good.front());
            auto other = make_connector(executor, last_good);
            duet::session const last = co_await other.connect("a", "1");
            BOOST_TEST(last.remote_endpoint() == last_good.back());
        });
}

}  // namespace

BOOST_DATA_TEST_CASE(either_family, family_rows, each)
{
    connect_to(each);
}

BOOST_AUTO_TEST_CASE(the_families_take_turns)
{
    if (!has_ipv6())
        return void(BOOST_TEST_MESSAGE("skipped: this system has no IPv6"));
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const v6a{family::v6};
            refusing_address const v6b{family::v6};
            refusing_address const v4a;
            refusing_address const v4b;
            auto connector = make_connector(executor, {v6a.endpoint(), v6b.endpoint(), v4a.endpoint(), v4b.endpoint()});
            auto const error = co_await failure_of(connector.connect("a", "1"));
            BOOST_REQUIRE(error.attempts().size() == 4U);
            BOOST_TEST(error.attempts()[0].endpoint == v6a.endpoint());
            BOOST_TEST(error.attempts()[1].endpoint == v4a.endpoint());
            BOOST_TEST(error.attempts()[2].endpoint == v6b.endpoint());
            BOOST_TEST(error.attempts()[3].endpoint == v4b.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(every_attempts_error_is_told)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const first;
            black_hole hole;
            refusing_address const last;
            auto connector = make_connector(executor, {first.endpoint(), hole.endpoint(), last.endpoint()},
                {.attempt_timeout = 50ms, .attempt_delay = 10ms});
            std::string const expected = "Connection refused, connect deadline passed, Connection refused";
            auto begun = std::chrono::steady_clock::now();
            auto error = co_await failure_of(connector.connect("host", "1"));
            // Should a stall keep a refusal from us, a deadline passes instead. That takes 10 ms and 50 ms at least.
            while (attempts_of(error) != expected && std::chrono::steady_clock::now() - begun >= 60ms)
            {
                begun = std::chrono::steady_clock::now();
                error = co_await failure_of(connector.connect("host", "1"));
            }
            BOOST_TEST((error.code() == asio::error::connection_refused));
            BOOST_TEST(attempts_of(error) == expected);
            auto const port = [](tcp::endpoint const& endpoint) { return std::to_string(endpoint.port()); };
            BOOST_TEST(error.what() == "connect host:1: 127.0.0.1:" + port(first.endpoint()) +
                                           ": Connection refused; 127.0.0.1:" + port(hole.endpoint()) +
                                           ": connect deadline passed; 127.0.0.1:" + port(last.endpoint()) +
                                           ": Connection refused");
        });
}

BOOST_AUTO_TEST_CASE(no_address)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            auto connector = make_connector(executor, {});
            auto const error = co_await check_failure(connector.connect("a", "1"), duet::errc::no_address);
            BOOST_TEST(std::string{error.what()}.starts_with("connect a:1: the name has no address"));
        });
}

BOOST_AUTO_TEST_CASE(no_descriptor)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            auto connector = make_connector(executor, {server.endpoint(), {server.endpoint().address(), 1}});
            {
                auto const limit = descriptor_limit::room_for(0);
                auto const error = co_await check_failure(connector.connect("a", "1"), condition::exhausted);
                BOOST_TEST(error.attempts().size() == 2U);
                BOOST_TEST((error.code() == asio::error::no_descriptors));
            }
            duet::session const peer = co_await connector.connect("a", "1");
        });
}

// ---- The resolver
// -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_resolvers_errors_come_through)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            auto connector = make_connector(executor, {});
            auto const resolver = resolver_of({});
            list_connector failing{executor, {}, resolver};
            resolver.shared->before = []() -> asio::awaitable<void>
            {
                throw duet::system_error{asio::error::host_not_found_try_again};
                co_return;
            };
            auto const error =
                co_await check_failure(failing.connect("nowhere", "1"), asio::error::host_not_found_try_again);
            BOOST_TEST(std::string{error.what()}.starts_with("connect nowhere:1: Host not found"));

            resolver.shared->before = []() -> asio::awaitable<void>
            {
                throw std::domain_error{"another kind"};
                co_return;
            };
            bool thrown = false;
            try
            {
                duet::session const unexpected = co_await failing.connect("nowhere", "1");
            }
            catch (std::domain_error const& other)
            {
                thrown = std::string{"another kind"} == other.what();
            }
            BOOST_TEST(thrown);
        });
}

// ---- The losers
// ---------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(p42_a_loser_that_got_through_is_closed_without_data)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole first;
            black_hole second;
            auto connector = make_connector(executor, {first.endpoint(), second.endpoint()}, {.attempt_delay = 10ms});
            started<duet::session> connecting{executor, connector.connect("a", "1")};
            co_await until([&] { return first.hanging() == 1 && second.hanging() == 1; }, "both are under way");
            first.make_room();
            second.make_room();
            // Blocks the connector, too: it learns of both at once.
            eventually([&] { return first.queued() == 1 && second.queued() == 1; }, "both got through");
            duet::session peer = co_await connecting.result();
            bool const first_won = peer.remote_endpoint() == first.endpoint();
            auto loser = first_won ? second.accept() : first.accept();
            auto winner = first_won ? first.accept() : second.accept();
            auto const end = loser.recv_some();
            BOOST_TEST_INFO("the loser's peer got " << end.data.size() << " bytes, error " << end.error);
            BOOST_TEST(end.eof());
            co_await peer.write(asio::buffer("x", 1));
            BOOST_TEST(winner.recv_exactly(1) == "x");
        });
}
