// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server behind a proxy, on a clock that the test moves.

#define BOOST_TEST_MODULE proxy.serving
#include "proxy/headers.hpp"
#include "serve/drain_fixture.hpp"

#include <duet/proxy_protocol.hpp>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

using namespace duet_test;
using duet::errc;
using duet::proxy_errc;

namespace {

std::string const line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

/// Says who is there, and then what is heard.
asio::awaitable<void> introduce(duet::session peer)
{
    auto const* const through = peer.proxied();
    auto const text = duet::to_string(peer.remote_endpoint()) + " to " + duet::to_string(peer.local_endpoint()) +
                      (through ? through->header.local ? " local " : " proxied " : " direct ");
    co_await peer.write(text);
    std::string buffer(100, '\0');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer.data(), size));
    }
}

/// The same, message by message.
asio::awaitable<bool> introduce_each(duet::session& peer)
{
    std::string buffer(100, '\0');
    auto const size = co_await peer.read_some(asio::buffer(buffer));
    auto const text = duet::to_string(peer.remote_endpoint()) + " " + buffer.substr(0, size);
    co_await peer.write(text);
    co_return size != 0;
}

struct fixture : drain_fixture
{
    duet::server_options behind(duet::proxy_options proxy)
    {
        duet::server_options result;
        result.proxy_protocol = std::move(proxy);
        result.on_session_end = [this](duet::session_end const& end) { ends.push_back(end); };
        return result;
    }

    /// As drain_fixture's, for texts with dots in them, but not at their end.
    void expect(tcp::socket& peer, std::string const& wanted)
    {
        std::string all;
        for (bool ended = false; !ended && all.size() < wanted.size();)
        {
            auto const part = heard(peer);
            ended = part.ends_with('.') || part.ends_with('!');
            all += part;
            if (!part.empty())
                continue;
            context.restart();
            BOOST_REQUIRE(context.run_one_for(30s) != 0);
        }
        BOOST_TEST(all == wanted);
    }

    void ask(tcp::socket& peer, std::string const& question, std::string const& answer)
    {
        asio::write(peer, asio::buffer(question));
        expect(peer, answer);
    }

    void until_ended(std::size_t count)
    {
        while (ends.size() < count)
        {
            context.restart();
            BOOST_REQUIRE(context.run_one_for(30s) != 0);
        }
    }

    std::string own(tcp::socket const& peer) const
    {
        return duet::to_string(peer.local_endpoint()) + " to " + duet::to_string(peer.remote_endpoint());
    }

    duet::proxy_options const loopback{.trusted = {"127.0.0.0/8"}};
    std::vector<duet::session_end> ends;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_handler_sees_the_client, fixture)
{
    serve(1, introduce, behind(loopback));
    auto& peer = peers.front();
    ask(peer, line + "hello", "192.0.2.1:56324 to 198.51.100.7:443 proxied hello");
    peer.shutdown(tcp::socket::shutdown_send);
    expect(peer, ".");
    peer.close();
    until_ended(1);
    BOOST_TEST(ends[0].peer == "192.0.2.1:56324");
    BOOST_TEST(duet::to_string(ends[0].endpoint) == "192.0.2.1:56324");
    BOOST_TEST(ends[0].what() == "");
    BOOST_TEST(serving->counters().completed == 1U);
    BOOST_TEST(serving->counters().proxy_failures == 0U);
}

BOOST_FIXTURE_TEST_CASE(local_and_unknown_leave_the_endpoints, fixture)
{
    serve(3, introduce, behind(loopback));
    auto peer = peers.begin();
    ask(*peer, binary(0x20, 0x11, four_ends), own(*peer) + " local ");
    ++peer;
    ask(*peer, "PROXY UNKNOWN\r\n", own(*peer) + " proxied ");
    ++peer;
    // Paths are no ends of a TCP session.
    ask(*peer, binary(0x21, 0x31, unix_ends), own(*peer) + " proxied ");
}

BOOST_FIXTURE_TEST_CASE(a_handler_for_each_message_is_called_behind_the_header, fixture)
{
    serve(2, introduce_each, behind(loopback));
    auto& together = peers.front();
    ask(together, line + "hello", "192.0.2.1:56324 hello");
    ask(together, "again", "192.0.2.1:56324 again");
    auto& apart = peers.back();
    asio::write(apart, asio::buffer(line));
    clock.run_ready();
    clock.advance(1h);  // it has no part in the time of the header
    ask(apart, "hello", "192.0.2.1:56324 hello");
}

BOOST_FIXTURE_TEST_CASE(a_trusted_peer_has_to_send_one, fixture)
{
    serve(1, introduce, behind(loopback));
    auto& peer = peers.front();
    ask(peer, "GET / HTTP/1.1\r\n\r\n", "!");
    until_ended(1);
    BOOST_TEST(ends[0].what().ends_with("does not begin with a PROXY header"));
    BOOST_TEST((ends[0].report.reason == duet::close_reason::aborted));
    BOOST_TEST(serving->counters().proxy_failures == 1U);
    BOOST_TEST(serving->counters().handler_failures == 0U);
    BOOST_TEST(serving->counters().completed == 0U);
}

BOOST_FIXTURE_TEST_CASE(nobody_else_may, fixture)
{
    serve(0, introduce, behind({.trusted = {"192.0.2.0/24", "::1", "unix"}}));
    tcp::socket peer{context};
    peer.connect(serving->local_endpoint());
    expect(peer, "!");  // it has said nothing
    until_ended(1);
    BOOST_TEST(ends[0].what().ends_with("not trusted to send a PROXY header"));
    BOOST_TEST(serving->counters().proxy_failures == 1U);
}

BOOST_FIXTURE_TEST_CASE(strangers_may_be_served_without_a_header_and_what_looks_like_one_is_theirs, fixture)
{
    serve(1, introduce, behind({.trusted = {"192.0.2.0/24"}, .strangers = duet::proxy_strangers::serve}));
    auto& peer = peers.front();
    ask(peer, line, own(peer) + " direct " + line);
}

BOOST_FIXTURE_TEST_CASE(a_server_that_would_refuse_everybody_is_not_made, fixture)
{
    BOOST_CHECK_EXCEPTION(serve(0, introduce, behind({})), duet::session_error,
        [](duet::session_error const& error) { return error.code() == asio::error::invalid_argument; });
    serve(1, introduce, behind({.strangers = duet::proxy_strangers::serve}));
    auto& peer = peers.front();
    ask(peer, "hello", own(peer) + " direct hello");
}

BOOST_FIXTURE_TEST_CASE(a_peer_that_says_nothing_stops_nobody_and_has_its_time, fixture)
{
    serve(2, introduce, behind(loopback));
    auto& silent = peers.front();
    auto& other = peers.back();
    clock.advance(4s);
    asio::write(silent, asio::buffer(line.substr(0, 30)));
    clock.run_ready();
    ask(other, line + "hello", "192.0.2.1:56324 to 198.51.100.7:443 proxied hello");
    clock.advance(1s + 100ms);
    expect(silent, "!");
    until_ended(1);
    BOOST_TEST(ends[0].what().ends_with("no whole PROXY header in time"));
    BOOST_TEST(serving->counters().proxy_failures == 1U);
    ask(other, "again", "again");
}

BOOST_FIXTURE_TEST_CASE(a_peer_that_says_nothing_to_a_handler_for_each_message_has_the_same_time, fixture)
{
    serve(1, introduce_each, behind(loopback));
    clock.advance(5s + 100ms);
    expect(peers.front(), "!");
    BOOST_TEST(serving->counters().proxy_failures == 1U);
}

// As the check of a port does.
BOOST_FIXTURE_TEST_CASE(a_peer_that_only_connects_is_no_failure, fixture)
{
    serve(1, introduce, behind(loopback));
    peers.front().shutdown(tcp::socket::shutdown_send);
    expect(peers.front(), ".");
    peers.front().close();
    until_ended(1);
    BOOST_TEST(ends[0].what() == "");
    BOOST_TEST(serving->counters().proxy_failures == 0U);
    BOOST_TEST(serving->counters().handler_failures == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_drain_ends_who_has_said_nothing_and_serves_a_header_that_is_under_way, fixture)
{
    serve(2, introduce, behind(loopback));
    auto& silent = peers.front();
    auto& begun = peers.back();
    asio::write(begun, asio::buffer(line.substr(0, 30)));
    clock.run_ready();
    drain(10s);
    clock.advance(300ms);
    expect(silent, ".");
    silent.close();
    BOOST_TEST(!report.has_value());
    ask(begun, line.substr(30) + "hello", "192.0.2.1:56324 to 198.51.100.7:443 proxied hello.");
    begun.close();
    while (!report)
    {
        context.restart();
        BOOST_REQUIRE(context.run_one_for(30s) != 0);
    }
    BOOST_TEST(report->finished == 2U);
    BOOST_TEST(report->aborted == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_drain_resets_a_header_that_never_ends, fixture)
{
    duet::proxy_options patient = loopback;
    patient.timeout = 0s;
    serve(1, introduce, behind(patient));
    auto& peer = peers.front();
    asio::write(peer, asio::buffer(line.substr(0, 30)));
    drain(10s);
    clock.advance(11s);
    expect(peer, "!");
    BOOST_REQUIRE(report.has_value());
    BOOST_TEST(report->aborted == 1U);
    BOOST_TEST(serving->counters().active == 0U);
}

// A proxy on the same host, with a client of TCP.
BOOST_FIXTURE_TEST_CASE(a_unix_domain_server_tells_of_a_client_of_tcp, fixture)
{
    auto const path = "/tmp/duet-proxy-" + std::to_string(::getpid());
    auto handler = [](duet::unix_session peer) -> asio::awaitable<void>
    {
        std::string text = "nobody";
        if (peer.proxied() && peer.proxied()->header.ends)
            text =
                duet::to_string(peer.proxied()->header.ends->source) + " by " + duet::to_string(peer.proxied()->proxy);
        co_await peer.write(text);
    };
    duet::unix_acceptor listening{context, asio::local::stream_protocol::endpoint{path}};
    duet::unix_server server{context, std::move(listening), behind({.trusted = {"unix"}}), handler};
    asio::local::stream_protocol::socket client{context};
    client.connect(server.local_endpoint());
    asio::write(client, asio::buffer(line));
    std::string heard(37, '\0');
    asio::async_read(
        client, asio::buffer(heard), [&](boost::system::error_code const&, std::size_t) { client.close(); });
    until_ended(1);
    BOOST_TEST(heard == "192.0.2.1:56324 by unix:(unnamed)" + std::string(4, '\0'));
    BOOST_TEST(ends[0].peer == "192.0.2.1:56324");
    BOOST_TEST(std::holds_alternative<tcp::endpoint>(ends[0].endpoint));
}

// ---- Sending
// ---------------------------------------------------------------------------------------------------------

BOOST_FIXTURE_TEST_CASE(the_header_that_tells_of_a_session_has_its_client_even_through_two_proxies, fixture)
{
    std::vector<std::string> told;
    auto note = [&](duet::session peer) -> asio::awaitable<void>
    {
        told.push_back(encode(duet::proxy_header_of(peer, duet::proxy_version::v1)));
        told.push_back(encode(duet::proxy_header_of(peer)));
        co_return;
    };
    serve(2, note, behind(loopback));
    asio::write(peers.front(), asio::buffer(binary(0x21, 0x11, four_ends + tlv(2, "example.com"))));
    expect(peers.front(), ".");
    asio::write(peers.back(), asio::buffer(binary(0x20, 0x00, "")));
    expect(peers.back(), ".");
    BOOST_REQUIRE(told.size() == 4U);
    BOOST_TEST(told[0] == "PROXY TCP4 192.0.2.1 198.51.100.7 1027 443\r\n");
    BOOST_TEST(told[1] == binary(0x21, 0x11, four_ends));
    auto const& direct = peers.back();
    BOOST_TEST(told[2] == "PROXY TCP4 127.0.0.1 127.0.0.1 " + std::to_string(direct.local_endpoint().port()) + ' ' +
                              std::to_string(direct.remote_endpoint().port()) + "\r\n");
}
