// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What a server asks of the kernel for a client: to accept, to answer, and to close. docs/architecture.md tells why
// each call is made.

#define BOOST_TEST_MODULE accept.system_calls
#include <duet/acceptor.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/call_counts.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <thread>

using namespace duet_test;

namespace {

asio::ip::tcp::endpoint const every_address{asio::ip::tcp::v6(), 0};

struct fixture
{
    fixture() { prepare(context); }

    raw_socket client() { return raw_socket::connect(raw_address::v4(listening.local_endpoint().port())); }

    asio::awaitable<void> serve()
    {
        duet::session peer = co_await listening.accept();
        auto const question = co_await read(peer);
        BOOST_TEST(question == "ask");
        co_await write(peer, "told");
        auto const report = co_await peer.close();
        BOOST_TEST(report.clean());
    }

    asio::io_context context;
    duet::acceptor listening{context, every_address};
    call_counts made;
};

}  // namespace

// The options are the listener's, and the addresses are known, or not wanted.
BOOST_FIXTURE_TEST_CASE(an_answer_needs_no_address_and_no_option, fixture)
{
    auto peer = client();
    peer.send_all("ask");
    std::jthread const asking{[&]
        {
            BOOST_TEST(peer.recv_all().data == "told");
            peer.close();
        }};
    counted_calls const all{made};
    run(context, serve());
    BOOST_TEST(made.of({"getsockname", "getpeername", "setsockopt", "getsockopt", "poll", "shutdown", "close"}) ==
               "getsockname 0, getpeername 0, setsockopt 0, getsockopt 0, poll 0, shutdown 1, close 1");
    BOOST_TEST(made.of({"add", "remove"}) == (reactor_wanted() ? "add 1, remove 0" : "add 1, remove 1"));
}

BOOST_FIXTURE_TEST_CASE(the_address_that_a_client_has_chosen_is_asked_for_once, fixture)
{
    auto const peer = client();
    run(context,
        [](fixture& at) -> asio::awaitable<void>
        {
            duet::session session = co_await at.listening.accept();
            counted_calls const all{at.made};
            for (int each = 0; each < 3; ++each)
                BOOST_TEST(session.local_endpoint().address().to_string() == "127.0.0.1");
            BOOST_TEST(at.made.of({"getsockname"}) == "getsockname 1");
            session.abort();
            BOOST_TEST(session.local_endpoint().address().to_string() == "127.0.0.1");
        }(*this));
}
