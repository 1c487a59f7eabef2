// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server whose sessions speak TLS. The clock stands unless the test moves it; the clients are OpenSSL alone.

#define BOOST_TEST_MODULE tls.server
#include "support/started.hpp"
#include "support/taken.hpp"
#include "tls/tls_server_fixture.hpp"

#include <duet/remote.hpp>
#include <duet/tls_connector.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::tls_condition;
using duet::tls_errc;

namespace {

/// Serves both kinds.
template <class Session>
asio::awaitable<void> echo(Session peer)
{
    std::string buffer(4096, '\0');
    for (;;)
    {
        auto const size = co_await peer.read_some(asio::buffer(buffer));
        if (size == 0)
            break;
        co_await peer.write(asio::buffer(buffer.data(), size));
    }
}

/// Called for each message.
asio::awaitable<bool> answer_three(duet::tls_session& peer)
{
    std::string buffer(3, '\0');
    auto const size = co_await peer.read_some(asio::buffer(buffer));
    co_await peer.write(asio::buffer(buffer.data(), size));
    co_return size > 0;
}

asio::awaitable<void> fail(duet::tls_session peer)
{
    co_await peer.write("half an ans");
    throw std::runtime_error{"no more"};
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(one_handler_serves_both_kinds, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    duet::server const plain{context, {.address = "127.0.0.1"}, echo<duet::session>};
    auto client = connect();
    ask(client, "over TLS");
    tcp::socket other{context};
    other.connect(plain.local_endpoint());
    asio::write(other, asio::buffer("in the clear", 12));
    until([&] { return other.available() == 12; });
    client.close_notify();
    until([&] { return hears_end(client); });
    BOOST_TEST(client.ended());
    until_ended(1);
    BOOST_TEST(ends[0].report.clean());
    BOOST_TEST(ends[0].report.bytes_received == 8U);
    BOOST_TEST(serving->counters().completed == 1U);
    BOOST_TEST(serving->counters().handshake_failures == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_client_that_says_nothing_stops_nobody_and_has_its_time, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    auto silent = connect();
    until([&] { return serving->counters().active == 1; });
    auto client = connect();
    ask(client, "hello");
    BOOST_TEST(serving->counters().active == 2U);
    clock.advance(10s - tick);
    BOOST_TEST(ends.empty());
    clock.advance(2 * tick);
    until_ended(1);
    BOOST_TEST((ends[0].code() == tls_errc::handshake_timed_out));
    BOOST_TEST((ends[0].code() == condition::timed_out));
    BOOST_TEST(serving->counters().handshake_failures == 1U);
    BOOST_TEST(serving->counters().handler_failures == 0U);
    ask(client, "still here");
}

BOOST_FIXTURE_TEST_CASE(a_handshake_takes_a_place, tls_server_fixture)
{
    serve(echo<duet::tls_session>, {.max_sessions = 1});
    auto silent = connect();
    until([&] { return serving->counters().active == 1; });
    auto client = connect();
    clock.run_ready();
    BOOST_TEST(!client.shakes_hands());
    BOOST_TEST(serving->counters().accepted == 1U);
    silent.stream().close();
    until([&] { return client.shakes_hands(); });
    BOOST_TEST((ends.at(0).code() == tls_errc::handshake_cut));
}

BOOST_FIXTURE_TEST_CASE(every_client_that_is_refused_learns_why, tls_server_fixture)
{
    auto options = tls_world::get().server_options();
    options.clients = duet::client_certificates::required;
    options.client_authorities.text = tls_world::get().authority.pem();
    tls.replace(options);
    serve(echo<duet::tls_session>);
    constexpr std::size_t count = 50;
    for (std::size_t number = 1; number <= count; ++number)
    {
        auto client = connect(number % 2 == 0 ? "1.2" : nullptr);
        until([&] { return (client.shakes_hands() || true) && hears_end(client); });
        BOOST_TEST(!client.reset);
        BOOST_TEST(client.reason.find("alert") != std::string::npos);
        client.stream().close();
        until_ended(number);
        BOOST_TEST(ends.back().what().find("peer did not return a certificate") != std::string::npos);
    }
    BOOST_TEST(serving->counters().handshake_failures == count);
    BOOST_TEST(serving->counters().active == 0U);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_TLS_is_told_so, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    tcp::socket client{context};
    client.connect(serving->local_endpoint());
    asio::write(client, asio::buffer("GET / HTTP/1.0\r\n\r\n", 18));
    client.close();
    until_ended(1);
    BOOST_TEST((ends[0].code() == tls_condition::protocol));
    BOOST_TEST(ends[0].what().find("http request") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_throws_resets, tls_server_fixture)
{
    serve(fail);
    auto client = connect();
    until([&] { return client.shakes_hands(); });
    until([&] { return hears_end(client); });
    BOOST_TEST(client.reset);
    BOOST_TEST(!client.ended());
    until_ended(1);
    BOOST_TEST(ends[0].what() == "no more");
    BOOST_TEST(serving->counters().handler_failures == 1U);
    BOOST_TEST(serving->counters().handshake_failures == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_broken_record_is_answered_by_an_alert_though_the_handler_throws, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    auto client = connect();
    ask(client, "well");
    std::string const broken = std::string{"\x17\x03\x03\x00\x20", 5} + std::string(32, 'x');
    asio::write(client.stream(), asio::buffer(broken));
    until([&] { return hears_end(client); });
    BOOST_TEST(client.reason.find("alert bad record mac") != std::string::npos);
    BOOST_TEST(!client.reset);
    client.stream().close();
    until_ended(1);
    BOOST_TEST((ends[0].code() == tls_condition::protocol));
    BOOST_TEST(serving->counters().handler_failures == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_handler_for_each_message, tls_server_fixture)
{
    serve(answer_three);
    auto client = connect();
    ask(client, "abcdefgh");  // one record: openssl holds what the socket has no more
    ask(client, "ijk");
    client.close_notify();
    until([&] { return hears_end(client); });
    BOOST_TEST(client.ended());
    until_ended(1);
    BOOST_TEST(ends[0].report.clean());
}

BOOST_FIXTURE_TEST_CASE(a_drain_ends_idle_clients_with_close_notify_and_FIN, tls_server_fixture)
{
    for (bool const messages : {false, true})
    {
        ends.clear();
        report.reset();
        if (messages)
            serve(answer_three);
        else
            serve(echo<duet::tls_session>);
        auto client = connect();
        ask(client, "idle now");
        drain(10s);
        auto const began = clock.now();
        go_on_until([&] { return hears_end(client); });
        BOOST_TEST((clock.now() - began < 1s));
        BOOST_TEST(client.ended());
        BOOST_TEST(client.fin);
        BOOST_TEST(!client.reset);
        client.stream().close();
        go_on_until([&] { return report.has_value(); });
        BOOST_TEST(report->finished == 1U);
        BOOST_TEST(report->aborted == 0U);
        BOOST_TEST(ends.at(0).what().empty());
        serving.reset();
    }
}

BOOST_FIXTURE_TEST_CASE(a_drain_gives_up_handshakes_that_have_not_begun, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    auto silent = connect();
    until([&] { return serving->counters().active == 1; });
    drain(5s);
    clock.advance(200ms + tick);
    go_on_until([&] { return report.has_value(); });
    BOOST_TEST(report->finished == 1U);
    BOOST_TEST(serving->counters().handshake_failures == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_header_of_the_PROXY_protocol_comes_before_the_handshake, tls_server_fixture)
{
    duet::server_options options;
    options.proxy_protocol = duet::proxy_options{.trusted = {"127.0.0.0/8"}};
    serve(echo<duet::tls_session>, options);
    auto client = connect();
    std::string const line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
    asio::write(client.stream(), asio::buffer(line));
    ask(client, "through a proxy");
    auto other = connect();
    asio::write(other.stream(), asio::buffer(line.substr(0, 10)));
    clock.run_ready();
    asio::write(other.stream(), asio::buffer(line.substr(10)));
    ask(other, "in two parts");
    auto without = connect();
    until([&] { return without.shakes_hands() || without.fin || without.reset; });
    BOOST_TEST(without.last != 1);
    until_ended(1);
    BOOST_TEST(serving->counters().proxy_failures == 1U);
    client.close_notify();
    client.stream().close();
    until_ended(2);
    BOOST_TEST(ends.at(1).peer == "192.0.2.1:56324");
}

BOOST_FIXTURE_TEST_CASE(a_connector_tells_of_its_client_before_the_handshake, tls_server_fixture)
{
    duet::server_options options;
    options.proxy_protocol = duet::proxy_options{.trusted = {"127.0.0.0/8"}};
    serve(echo<duet::tls_session>, options);
    duet::tls_connector connector{context, client_context, {.timeout = 5s}, "server.test"};
    connector.send_first("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    auto const talk = [&]() -> asio::awaitable<void>
    {
        auto peer = co_await connector.connect(serving->local_endpoint());
        co_await peer.write("hello");
        std::string answer(5, ' ');
        co_await peer.read(asio::buffer(answer));
        BOOST_TEST(answer == "hello");
        co_await peer.close();
    };
    started<void> talking{context.get_executor(), talk()};
    until([&] { return talking.done(); });
    until_ended(1);
    BOOST_TEST(ends.at(0).peer == "192.0.2.1:56324");
    BOOST_TEST(serving->counters().proxy_failures == 0U);
}

BOOST_FIXTURE_TEST_CASE(certificates_are_replaced_while_clients_come, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    auto first = connect();
    ask(first, "before");
    auto next = tls_world::get().server_options();
    next.identity = tls_world::get().authority.issue({.subject = "the next", .names = "DNS:server.test"}).identity();
    tls.replace(next);
    auto second = connect();
    ask(second, "after");
    ask(first, "goes on");
    BOOST_TEST(subject_of(first) == "CN=server");
    BOOST_TEST(subject_of(second) == "CN=the next");
}

BOOST_FIXTURE_TEST_CASE(other_threads_reach_a_session_by_its_remote, tls_server_fixture)
{
    std::optional<duet::remote<duet::tls_session>> there;
    serve(
        [&](duet::tls_session peer) -> asio::awaitable<void>
        {
            there.emplace(peer);
            co_await peer.wait_peer_gone();
        });
    auto client = connect();
    until([&] { return client.shakes_hands(); });
    clock.run_ready();
    BOOST_TEST(there->post([](duet::tls_session& peer) { peer.abort(); }));
    until([&] { return hears_end(client); });
    BOOST_TEST(client.reset);
}

BOOST_FIXTURE_TEST_CASE(a_handed_listener_is_served_by_the_next, tls_server_fixture)
{
    serve(echo<duet::tls_session>);
    auto client = connect();
    ask(client, "before");
    duet::tls_server const next{context, taken(serving->hand_over()), {}, tls, echo<duet::tls_session>};
    drain(10s);
    auto later = connect();
    ask(later, "after");
    BOOST_TEST(next.counters().accepted == 1U);
    go_on_until([&] { return hears_end(client); });
    BOOST_TEST(client.ended());
}

BOOST_FIXTURE_TEST_CASE(a_context_for_clients_is_refused, tls_server_fixture)
{
    BOOST_CHECK_THROW(
        (duet::tls_server{context, {.address = "127.0.0.1"}, duet::tls_context::client(), echo<duet::tls_session>}),
        duet::session_error);
}
