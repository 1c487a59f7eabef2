// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A peer has one spelling, whatever listens and whoever connects.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.peers
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <duet/connector.hpp>
#include <duet/endpoint.hpp>

#include <cstdint>
#include <string>
#include <utility>

using namespace duet_test;
using tcp = asio::ip::tcp;

namespace {

tcp::endpoint const every_address{tcp::v6(), 0};

tcp::endpoint at_loopback(std::uint16_t port)
{
    return {asio::ip::address_v4::loopback(), port};
}

void check_endpoints(duet::session const& session, std::uint16_t local_port, std::uint16_t remote_port)
{
    BOOST_TEST(session.local_endpoint() == at_loopback(local_port));
    BOOST_TEST(session.remote_endpoint() == at_loopback(remote_port));
    BOOST_TEST(session.remote_endpoint().address().is_loopback());
    BOOST_TEST(duet::to_string(session.remote_endpoint()) == "127.0.0.1:" + std::to_string(remote_port));
}

asio::awaitable<void> meet(duet::acceptor& listening, raw_socket& client)
{
    duet::session session = co_await listening.accept();
    check_endpoints(session, client.remote_port(), client.local_port());
    client.reset();
    std::string words;
    try
    {
        co_await read(session);
    }
    catch (duet::session_error const& error)
    {
        words = error.what();
    }
    BOOST_TEST(words == "read_some 127.0.0.1:" + std::to_string(client.local_port()) + ": Connection reset by peer");
}

/// The socket is of the other family than its endpoints.
asio::awaitable<void> meet_on_asios_socket(duet::acceptor& listening, raw_socket& client)
{
    duet::session session = co_await listening.accept();
    BOOST_TEST(session.lowest_layer().is_open());
    check_endpoints(session, client.remote_port(), client.local_port());
    client.send_all("question");
    auto const heard = co_await read(session);
    BOOST_TEST(heard == "question");
    co_await write(session, "answer");
    BOOST_TEST(client.recv_exactly(6) == "answer");
}

asio::awaitable<void> connect_to(duet::connector& connecting, tcp::endpoint target, raw_listener& listening)
{
    duet::session session = co_await connecting.connect(target);
    auto const server = listening.accept();
    check_endpoints(session, server.remote_port(), server.local_port());
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_ipv4_client_of_a_listener_for_both_families_has_its_ipv4_address)
{
    asio::io_context context;
    prepare(context);
    duet::acceptor listening{context, every_address};
    auto client = raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
    run(context, meet(listening, client));
}

BOOST_AUTO_TEST_CASE(its_session_also_works_on_asios_socket)
{
    asio::io_context context;
    prepare(context);
    duet::acceptor listening{context, every_address};
    auto client = raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
    run(context, meet_on_asios_socket(listening, client));
}

BOOST_AUTO_TEST_CASE(a_socket_that_was_adopted_has_the_same_spelling)
{
    asio::io_context context;
    tcp::acceptor listening{context, every_address};
    auto const client = raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
    tcp::socket accepted = listening.accept();
    BOOST_TEST(accepted.remote_endpoint().address().is_v6());
    duet::session const session{std::move(accepted)};
    check_endpoints(session, client.remote_port(), client.local_port());
}

BOOST_AUTO_TEST_CASE(an_address_that_is_mapped_to_ipv6_is_spelled_as_ipv4_by_the_client_too)
{
    asio::io_context context;
    duet::connector connecting{context};
    raw_listener listening;
    auto const mapped = asio::ip::make_address_v6(asio::ip::v4_mapped, asio::ip::address_v4::loopback());
    run(context, connect_to(connecting, {mapped, listening.port()}, listening));
}
