// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A session reads the PROXY header in front of what the client says.

#define BOOST_TEST_MODULE proxy.accepting
#include <duet/proxy_protocol.hpp>
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "proxy/headers.hpp"
#include "session/memory_fixture.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;
using duet::proxy_errc;

namespace {

std::string const line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

/// Accept a header that a peer sends, and tell what came of it.
asio::awaitable<outcome> accepted(memory_session& s, duet::proxy_options const& options)
{
    return outcome_of(duet::accept_proxy_header(s, options));
}

/// What is behind the header.
asio::awaitable<std::string> rest_of(memory_session& s)
{
    std::string rest;
    co_await s.read_all(rest, 1000);
    co_return rest;
}

struct fixture
{
    /// Send `sent`, then FIN, and accept.
    outcome play(std::string const& sent)
    {
        outcome result;
        talk.peer.send_all(sent);
        talk.peer.shutdown_write();
        talk.play([&](memory_session& s) -> asio::awaitable<void> { result = co_await accepted(s, options); });
        return result;
    }

    duet::proxy_options options;
    memory_talk talk;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_header_is_read_to_its_last_byte_wherever_it_is_split)
{
    duet::proxy_options const options;
    for (auto const& header : whole_headers())
    {
        auto const all = header + "GET";
        for (std::size_t split = 0; split <= all.size(); ++split)
        {
            BOOST_TEST_CONTEXT("split at " << split << " of " << printable(header))
            {
                memory_talk talk;
                talk.play(
                    [&](memory_session& s) -> asio::awaitable<void>
                    {
                        auto const executor = co_await asio::this_coro::executor;
                        talk.peer.send_all(std::string_view{all}.substr(0, split));
                        started<outcome> accepting{executor, accepted(s, options)};
                        co_await talk.pause(1ms);  // passes when nothing else can happen
                        BOOST_TEST(accepting.done() == (split >= header.size()));
                        talk.peer.send_all(std::string_view{all}.substr(split));
                        talk.peer.shutdown_write();
                        auto const told = co_await accepting.result();
                        BOOST_TEST(told.ok());
                        auto const rest = co_await rest_of(s);
                        BOOST_TEST(rest == "GET");
                    });
            }
        }
    }
}

BOOST_FIXTURE_TEST_CASE(a_header_may_come_byte_by_byte, fixture)
{
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<outcome> accepting{executor, accepted(s, options)};
            for (char const each : line)
            {
                co_await talk.pause(1ms);
                BOOST_TEST(!accepting.done());
                talk.peer.send_all({&each, 1});
            }
            auto const told = co_await accepting.result();
            BOOST_TEST(told.ok());
        });
}

BOOST_FIXTURE_TEST_CASE(afterwards_the_session_tells_of_the_client, fixture)
{
    talk.peer.send_all(binary(0x21, 0x11, four_ends + tlv(2, "example.com")));
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            BOOST_TEST(!s.proxied());
            co_await duet::accept_proxy_header(s, options);
            BOOST_REQUIRE(s.proxied());
            BOOST_TEST(s.proxied()->header.authority().value() == "example.com");
            talk.peer.reset();
            std::string buffer(10, '\0');
            auto const failed = co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer))));
            BOOST_TEST(failed.text.find("192.0.2.1:1027") != std::string::npos);
            auto const moved = std::move(s);
            BOOST_TEST(moved.proxied());
            BOOST_TEST(!s.proxied());
        });
}

BOOST_AUTO_TEST_CASE(a_header_without_ends_leaves_those_of_the_connection)
{
    duet::proxy_options const options;
    for (auto const& header : {binary(0x20, 0x11, four_ends), binary(0x21, 0x00, ""), std::string{"PROXY UNKNOWN\r\n"}})
    {
        memory_talk talk;
        talk.peer.send_all(header);
        talk.play(
            [&](memory_session& s) -> asio::awaitable<void>
            {
                auto const before = duet::detail::session_access::connection(s)->describe_peer();
                co_await duet::accept_proxy_header(s, options);
                BOOST_TEST(duet::detail::session_access::connection(s)->describe_peer() == before);
                BOOST_REQUIRE(s.proxied());
                BOOST_TEST(s.proxied()->header.local == header.starts_with(binary(0x20, 0x11, "").substr(0, 13)));
            });
    }
}

BOOST_FIXTURE_TEST_CASE(what_is_no_header_fails_and_names_the_operation_and_the_peer, fixture)
{
    auto const told = play("GET / HTTP/1.1\r\n\r\n");
    BOOST_TEST(told.code == proxy_errc::no_header);
    BOOST_TEST(told.operation == "accept_proxy_header");
    BOOST_TEST(told.text.starts_with("accept_proxy_header "));
    BOOST_TEST(told.text.ends_with(": the connection does not begin with a PROXY header"));
}

BOOST_FIXTURE_TEST_CASE(a_header_that_is_larger_than_the_limit_fails, fixture)
{
    options.limit = 20;
    auto const told = play(binary(0x20, 0x00, "12345"));
    BOOST_TEST(told.code == proxy_errc::too_large);
}

BOOST_AUTO_TEST_CASE(a_peer_that_finishes_has_sent_nothing_or_a_part)
{
    for (auto const& header : {line, binary(0x21, 0x11, four_ends)})
        for (std::size_t size = 0; size < header.size(); ++size)
        {
            fixture one;
            auto const told = one.play(header.substr(0, size));
            BOOST_TEST(told.code == (size == 0 ? errc::ended : errc::truncated));
            BOOST_TEST(told.bytes == size);
        }
}

// ---- Time
// ------------------------------------------------------------------------------------------------------------

BOOST_FIXTURE_TEST_CASE(a_header_has_its_time_however_it_drips, fixture)
{
    options.timeout = 5s;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto const begin = talk.now();
            started<outcome> accepting{executor, accepted(s, options)};
            for (int second = 0; second < 5; ++second)
            {
                talk.peer.send_all(line.substr(static_cast<std::size_t>(second), 1));
                co_await talk.pause(1s - 1ms);
                BOOST_TEST(!accepting.done());
            }
            auto const told = co_await accepting.result();
            BOOST_TEST(told.code == proxy_errc::timed_out);
            BOOST_TEST((told.code == duet::condition::timed_out));
            BOOST_TEST(told.bytes == 5U);
            BOOST_TEST((talk.now() - begin >= 5s && talk.now() - begin <= 5s + tick));
        });
}

BOOST_FIXTURE_TEST_CASE(the_time_may_have_no_limit, fixture)
{
    options.timeout = 0s;
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<outcome> accepting{executor, accepted(s, options)};
            co_await talk.pause(1h);
            BOOST_TEST(!accepting.done());
            talk.peer.send_all(line);
            auto const told = co_await accepting.result();
            BOOST_TEST(told.ok());
        });
}

BOOST_FIXTURE_TEST_CASE(the_time_for_the_first_message_goes_on, fixture)
{
    talk.play(with({.first_message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const begin = talk.now();
            co_await talk.pause(4s);
            talk.peer.send_all(line);
            co_await duet::accept_proxy_header(s, options);
            std::string buffer(10, '\0');
            co_await expect_error(
                awaited<std::size_t>(s.read_some(asio::buffer(buffer))), errc::first_message_timed_out);
            BOOST_TEST((talk.now() - begin <= 10s + tick));
        });
}

// The client's first message has not begun with the header.
BOOST_FIXTURE_TEST_CASE(a_header_is_no_begin_of_a_message, fixture)
{
    talk.play(with({.message = 10s}),
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            talk.peer.send_all(line);
            co_await duet::accept_proxy_header(s, options);
            BOOST_TEST(!duet::detail::session_access::connection(s)->in_message());
            std::string buffer(2, '\0');
            started<std::size_t> reading{executor, awaited<std::size_t>(s.read(asio::buffer(buffer)))};
            co_await talk.pause(1min);
            talk.peer.send_all("hi");
            auto const size = co_await reading.result();
            BOOST_TEST(size == 2U);
        });
}

// ---- Ends
// ------------------------------------------------------------------------------------------------------------

BOOST_FIXTURE_TEST_CASE(a_request_to_finish_ends_the_wait_for_a_header_that_has_not_begun, fixture)
{
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<outcome> accepting{executor, accepted(s, options)};
            co_await settle();
            s.request_finish();
            auto const told = co_await accepting.result();
            BOOST_TEST(told.code == errc::draining);
        });
}

BOOST_FIXTURE_TEST_CASE(a_header_that_has_begun_is_read_after_a_request_to_finish, fixture)
{
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            talk.peer.send_all(line.substr(0, 20));
            started<outcome> accepting{executor, accepted(s, options)};
            co_await settle();
            s.request_finish();
            co_await settle();
            BOOST_TEST(!accepting.done());
            talk.peer.send_all(line.substr(20));
            auto const told = co_await accepting.result();
            BOOST_TEST(told.ok());
            std::string buffer(2, '\0');
            co_await expect_error(awaited<std::size_t>(s.read(asio::buffer(buffer))), errc::draining);
        });
}

BOOST_FIXTURE_TEST_CASE(the_wait_for_a_header_can_be_cancelled, fixture)
{
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<outcome> accepting{executor, accepted(s, options)};
            co_await settle();
            accepting.cancel();
            auto const told = co_await accepting.result();
            BOOST_TEST(told.code == asio::error::operation_aborted);
            BOOST_TEST(!s.proxied());
        });
}

BOOST_FIXTURE_TEST_CASE(an_empty_session_has_no_header, fixture)
{
    talk.play(
        [&](memory_session&) -> asio::awaitable<void>
        {
            memory_session nobody;
            co_await expect_error(duet::accept_proxy_header(nobody, options), errc::closed);
        });
}

BOOST_FIXTURE_TEST_CASE(a_header_is_sent_as_it_is, fixture)
{
    talk.play(
        [&](memory_session& s) -> asio::awaitable<void>
        {
            duet::proxy_header header;
            header.local = true;
            co_await duet::send_proxy_header(s, header);
            BOOST_TEST(talk.peer.recv_available() == binary(0x20, 0x00, ""));
        });
}
