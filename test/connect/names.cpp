// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Which hosts and services are numbers, which are names to look up, and which are neither and refused before a look-up.

#define BOOST_TEST_MODULE connect.names
#include <duet/connector.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"

#include <boost/asio/error.hpp>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

using namespace duet_test;
using endpoints = std::vector<tcp::endpoint>;

namespace {

endpoints const answer{{asio::ip::make_address("192.0.2.1"), 80}};

// Counts what reaches the look-up.
struct counted_lookup
{
    std::atomic<int> count{0};
    std::string host;
    duet::system_resolver resolver{[this](std::string const& asked, std::string const&)
        {
            host = asked;
            ++count;
            return answer;
        }};
};

std::vector<std::string> const no_services{"110773", "65536", "4294967376", "18446744073709551696", " 80", "80 ",
    "\t80", "\n80", "+80", "-1", "-65456", "", " ", "80,", "8.0", "80\n", " http", "ht tp", "h\xc3\xb6"};

}  // namespace

BOOST_AUTO_TEST_CASE(numbers_are_not_looked_up)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            counted_lookup lookup;
            auto const v4 = co_await lookup.resolver.resolve("127.0.0.1", "80");
            auto const v6 = co_await lookup.resolver.resolve("2001:db8::1", "65535");
            auto const zeros = co_await lookup.resolver.resolve("127.0.0.1", "0080");
            BOOST_TEST(lookup.count == 0);
            BOOST_TEST(v4 == endpoints(1, {asio::ip::make_address("127.0.0.1"), 80}), boost::test_tools::per_element());
            BOOST_TEST(
                v6 == endpoints(1, {asio::ip::make_address("2001:db8::1"), 65535}), boost::test_tools::per_element());
            BOOST_TEST(zeros == v4, boost::test_tools::per_element());

            int expected = 0;
            std::vector<std::string> const names{"localhost", "127.1", "127.0.0.1 ", "", "::g", "1.2.3.4.5"};
            for (auto const& name : names)
            {
                auto const found = co_await lookup.resolver.resolve(name, "80");
                BOOST_TEST(found == answer, boost::test_tools::per_element());
                BOOST_TEST(lookup.count == ++expected);
            }
            std::vector<std::string> const services{"http", "80x", "0x50", "3gpp-cbsp", "a.b_c"};
            for (auto const& service : services)
            {
                auto const found = co_await lookup.resolver.resolve("127.0.0.1", service);
                BOOST_TEST(found == answer, boost::test_tools::per_element());
                BOOST_TEST(lookup.count == ++expected);
            }
        });
}

BOOST_AUTO_TEST_CASE(what_is_neither_a_port_nor_a_name_is_no_service)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            counted_lookup lookup;
            std::vector<std::string> const hosts{"127.0.0.1", "::1", "[::1]", "localhost"};
            for (auto const& host : hosts)
                for (auto const& service : no_services)
                {
                    BOOST_TEST_INFO_SCOPE("'" << service << "' of " << host);
                    co_await expect_error(lookup.resolver.resolve(host, service), asio::error::service_not_found);
                }
            BOOST_TEST(lookup.count == 0);
        });
}

BOOST_AUTO_TEST_CASE(a_port_beyond_the_last_is_not_taken_modulo_65536)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            long const port = server.endpoint().port();
            duet::connector connector{executor, {.timeout = for_ever}};
            std::vector<std::string> const services{std::to_string(65536 + port), std::to_string(65536 * 3 + port),
                std::to_string(4294967296 + port), std::to_string(port - 65536), ' ' + std::to_string(port),
                '+' + std::to_string(port)};
            std::vector<std::string> const hosts{"127.0.0.1", "localhost"};
            for (auto const& host : hosts)
                for (auto const& service : services)
                {
                    auto const error = co_await check_failure(
                        connector.connect(host, service), duet::error_code{asio::error::service_not_found});
                    BOOST_TEST(std::string{error.what()}.starts_with(
                        "connect " + host + ':' + service + ": Service not found"));
                }
            BOOST_TEST(server.queued() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(an_ipv6_address_may_have_brackets)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            counted_lookup lookup;
            auto const plain = co_await lookup.resolver.resolve("::1", "80");
            auto const bracketed = co_await lookup.resolver.resolve("[::1]", "80");
            BOOST_TEST(bracketed == plain, boost::test_tools::per_element());
            BOOST_TEST(lookup.count == 0);
            auto const with_name = co_await lookup.resolver.resolve("[::1]", "http");
            BOOST_TEST(lookup.count == 1);
            BOOST_TEST(lookup.host == "::1");

            std::vector<std::string> const others{"[::1", "::1]", "[", "]", "[]", "[[::1]]", "[127.0.0.1]",
                "[example.org]", "[localhost]", "[::1]x", "x[::1]", "[::g]"};
            for (auto const& host : others)
            {
                BOOST_TEST_INFO_SCOPE(host);
                co_await expect_error(lookup.resolver.resolve(host, "80"), asio::error::host_not_found);
            }
            BOOST_TEST(lookup.count == 1);
        });
}

BOOST_AUTO_TEST_CASE(brackets_are_told_once)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            auto connector = make_connector(executor, {});
            for (std::string const host : {"::1", "[::1]"})
            {
                auto const error = co_await check_failure(connector.connect(host, "80"), duet::errc::no_address);
                BOOST_TEST(std::string{error.what()}.starts_with("connect [::1]:80: "));
            }
            if (!has_ipv6())
                co_return;
            good_address server{family::v6};
            duet::connector system{executor};
            duet::session const peer = co_await system.connect("[::1]", std::to_string(server.endpoint().port()));
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
        });
}

// The resolver of the connector, whatever it is, would hand "good.example" to the C library.
BOOST_AUTO_TEST_CASE(a_null_byte_is_refused_before_any_resolver)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            std::string const host{"good.example\0.evil.example", 26};
            std::string const service{"80\0x", 4};
            good_address server;
            auto const resolver = resolver_of({server.endpoint()});
            list_connector connector{executor, {}, resolver};
            int retries = 0;
            connector.on_retry([&](auto const&) { ++retries; });
            duet::error_code const refused{asio::error::invalid_argument};
            auto const error = co_await check_failure(connector.connect(host, "80"), refused);
            BOOST_TEST(
                std::string{error.what()}.starts_with("connect good.example\\0.evil.example:80: Invalid argument"));
            co_await check_failure(connector.connect("good.example", service), refused);
            co_await check_failure(connector.connect(host, "80", {.max_tries = 3}), refused);
            BOOST_TEST(resolver.shared->asked.empty());
            BOOST_TEST(retries == 0);

            counted_lookup lookup;
            co_await expect_error(lookup.resolver.resolve(host, "80"), refused);
            co_await expect_error(lookup.resolver.resolve("127.0.0.1", service), refused);
            BOOST_TEST(lookup.count == 0);
        });
}
