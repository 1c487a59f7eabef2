// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a client asks of the kernel: to connect, to ask, and to close. docs/architecture.md tells why each call is made.

#define BOOST_TEST_MODULE connect.system_calls
#include <duet/connector.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/adopt.hpp"
#include "support/call_counts.hpp"
#include "support/in_thread.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <thread>

using namespace duet_test;

namespace {

// Answers once, and ends after the client.
void answer(good_address& server)
{
    auto peer = server.accept();
    BOOST_TEST(peer.recv_exactly(3) == "ask");
    peer.send_all("told");
    BOOST_TEST(peer.recv_all().error == 0);
}

asio::awaitable<void> ask_and_close(duet::connector& connector, tcp::endpoint target)
{
    duet::session peer = co_await connector.connect(target);
    co_await peer.write(asio::buffer("ask", 3));
    std::array<char, 4> buffer;
    auto const size = co_await peer.read(asio::buffer(buffer));
    BOOST_TEST(size == 4U);
    auto const report = co_await peer.close();
    BOOST_TEST(report.clean());
}

struct fixture
{
    fixture()
    {
        prepare(context);
        exchange();  // what the context needs once
    }

    // What the client does is counted from connect() to the end of close().
    void exchange()
    {
        std::jthread const serving{[&] { answer(server); }};
        made = {};
        counted_calls const all{made};
        run(context, ask_and_close(connector, server.endpoint()));
    }

    asio::io_context context;
    good_address server;
    duet::connector connector{context};
    call_counts made;
};

}  // namespace

// The address that was connected to is the peer's. Its own tells a connection to itself, and is the session's.
BOOST_FIXTURE_TEST_CASE(one_address_is_asked_for, fixture)
{
    exchange();
    BOOST_TEST(made.of({"getsockname", "getpeername"}) == "getsockname 1, getpeername 0");
}
