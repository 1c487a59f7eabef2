// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a server tells of the sessions that have ended, and of the clients that wait.

#define BOOST_TEST_MODULE serve.session_end
#include "serve/ends_fixture.hpp"

#include <duet/testing/manual_clock.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::close_reason;
using tcp = asio::ip::tcp;

namespace {

asio::awaitable<void> echo_with_note(duet::session peer)
{
    peer.set_note("first");
    auto const heard = co_await read(peer);
    peer.set_note("asked for " + heard);
    co_await write(peer, heard + heard);
}

asio::awaitable<bool> count_messages(duet::session& peer)
{
    auto const heard = co_await read(peer);
    if (!heard.empty())
        peer.set_note("heard " + heard);
    co_return heard == "more";
}

asio::awaitable<void> fail_on_bad_words(duet::session peer)
{
    auto const heard = co_await read(peer);
    if (heard == "bad")
        throw std::runtime_error{"a bad word"};
    co_await write(peer, heard);
    co_await read(peer);
}

/// All that has arrived by now.
std::string heard_so_far(raw_socket& client)
{
    std::string buffer(64, '\0');
    auto const size = ::recv(client.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return buffer.substr(0, size > 0 ? static_cast<std::size_t>(size) : 0);
}

std::uint64_t sum_of_reasons(duet::server_counters const& counters)
{
    return std::accumulate(counters.by_reason.begin(), counters.by_reason.end(), std::uint64_t{0});
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(it_tells_who_when_how_long_how_much_and_what_the_program_says, ends_fixture)
{
    auto const before = std::chrono::system_clock::now();
    duet::testing::manual_clock clock{context};
    duet::server server{context, telling(), echo_with_note};  // IPv6 and IPv4
    auto client = client_of(server);
    serve_until_active(context, server, 1);
    clock.advance(3s);
    client.send_all("this");
    client.shutdown_write();
    serve(context, [&] { return heard_so_far(client) == "thisthis"; });
    client.close();
    serve_until_ended(1);
    auto const after = std::chrono::system_clock::now();

    auto const& end = ends[0];
    auto const* const endpoint = std::get_if<tcp::endpoint>(&end.endpoint);
    BOOST_REQUIRE(endpoint);
    BOOST_TEST(endpoint->address() == asio::ip::address_v4::loopback());
    BOOST_TEST(endpoint->port() == client.local_port());
    BOOST_TEST(end.peer == "127.0.0.1:" + std::to_string(client.local_port()));
    BOOST_TEST(duet::to_string(end.endpoint) == end.peer);
    BOOST_TEST((end.duration == 3s));
    BOOST_TEST((end.began + 3s >= before && end.began + 3s <= after));
    BOOST_TEST(end.report.bytes_received == 4U);
    BOOST_TEST(end.report.bytes_sent == 8U);
    BOOST_TEST(end.report.clean());
    BOOST_TEST(to_string(end.post_mortem) ==
               "clean, by the program, between messages, direction send; received 4, sent 8 bytes");
    BOOST_TEST(end.note == "asked for this");
    BOOST_TEST(end.what() == "");
}

BOOST_FIXTURE_TEST_CASE(a_note_belongs_to_one_session, ends_fixture)
{
    duet::server server{context, telling(on_loopback()), count_messages};
    for (std::string const text : {"x", "more", ""})
    {
        auto client = client_of(server);
        client.send_all(text);
        client.shutdown_write();
        auto const number = ends.size();
        serve_until_ended(number + 1);
        BOOST_TEST(ends.back().note == (text == "x" ? "heard x" : text == "more" ? "heard more" : ""));
    }
    duet::session nobody;
    nobody.set_note("is said to nobody");
}

BOOST_FIXTURE_TEST_CASE(a_unix_server_tells_the_endpoint_of_its_kind, ends_fixture)
{
    auto const name = std::string{'\0'} + "duet-session-end-" + std::to_string(::getpid());
    duet::unix_acceptor listening{context, asio::local::stream_protocol::endpoint{name}};
    duet::unix_server server{context, std::move(listening), telling(),
        [](duet::unix_session peer) -> asio::awaitable<void> { co_await write(peer, "unix"); }};
    duet::error_code error;
    server.queue(error);
    BOOST_TEST(error == asio::error::operation_not_supported);
    auto client = raw_socket::connect(raw_address::local(name));
    client.shutdown_write();
    serve(context, [&] { return heard_so_far(client) == "unix"; });
    serve_until_ended(1);
    BOOST_TEST(std::holds_alternative<asio::local::stream_protocol::endpoint>(ends[0].endpoint));
    BOOST_TEST(ends[0].peer == "unix:(unnamed)");
    BOOST_TEST(duet::to_string(ends[0].endpoint) == ends[0].peer);
    BOOST_TEST(server.counters().bytes_sent == 4U);
}

BOOST_FIXTURE_TEST_CASE(every_end_is_counted_by_its_reason_and_with_its_bytes, ends_fixture)
{
    duet::server server{context, telling(on_loopback()), fail_on_bad_words};
    for (std::string const text : {"good", "bad", "worse"})
    {
        auto client = client_of(server);
        client.send_all(text);
        if (text == "bad")
        {
            serve_until_ended(2);
            continue;
        }
        serve(context, [&] { return heard_so_far(client) == text; });
        if (text == "worse")
            client.reset();
        else
            client.shutdown_write();
        serve_until_ended(text == "good" ? 1U : 3U);
    }
    auto const counters = server.counters();
    BOOST_TEST(counters.ended(close_reason::clean) == 1U);
    BOOST_TEST(counters.ended(close_reason::aborted) == 1U);
    BOOST_TEST(counters.ended(close_reason::peer_reset) == 1U);
    BOOST_TEST(sum_of_reasons(counters) == counters.accepted);
    BOOST_TEST(counters.bytes_received == 12U);
    BOOST_TEST(counters.bytes_sent == 9U);
}

BOOST_FIXTURE_TEST_CASE(what_an_abort_cuts_is_counted_too, ends_fixture)
{
    duet::server server{context, telling(on_loopback()), echo};
    std::vector<raw_socket> clients;
    for (int number = 0; number < 5; ++number)
        clients.push_back(client_of(server));
    serve_until_active(context, server, 5);
    BOOST_TEST(sum_of_reasons(server.counters()) == 0U);
    server.abort();
    serve(context, [&] { return server.counters().active == 0; });
    BOOST_TEST(server.counters().ended(close_reason::aborted) == 5U);
    BOOST_TEST(sum_of_reasons(server.counters()) == 5U);
}

BOOST_FIXTURE_TEST_CASE(clients_that_wait_for_accept_are_shown, ends_fixture)
{
    duet::server server{context, telling(on_loopback({.max_sessions = 1, .backlog = 16})), echo};
    duet::error_code error = duet::errc::aborted;
    BOOST_TEST(server.queue(error).length == 0U);
    BOOST_TEST(!error);
    auto first = client_of(server);
    serve_until_active(context, server, 1);
    auto second = client_of(server);
    auto third = client_of(server);
    eventually([&] { return server.queue(error).length == 2; }, "two clients in the queue");
    BOOST_TEST(!error);
    BOOST_TEST(server.queue(error).limit == 16U);
    server.abort();
    serve(context, [&] { return server.counters().active == 0; });
    BOOST_TEST(server.queue(error).limit == 0U);
    BOOST_TEST(error == duet::errc::closed);
}

BOOST_FIXTURE_TEST_CASE(a_queue_for_each_thread_is_added_and_a_shared_one_is_not, ends_fixture)
{
    duet::error_code error;
    {
        duet::server const server{context, on_loopback({.threads = 3, .backlog = 16}), echo};
        BOOST_TEST(server.queue(error).limit == 48U);
    }
    duet::acceptor_options one;
    one.backlog = 16;
    duet::acceptor listening{context, tcp::endpoint{asio::ip::address_v4::loopback(), 0}, one};
    duet::server const server{context, std::move(listening), {.threads = 3}, echo};
    BOOST_TEST(server.queue(error).limit == 16U);
}
