// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// An acceptor that hands out sessions after their handshake.

#define BOOST_TEST_MODULE tls.acceptor
#include "support/adopt.hpp"
#include "support/coro.hpp"
#include "support/started.hpp"
#include "support/taken.hpp"
#include "tls/tls_server_fixture.hpp"

#include <duet/tls_acceptor.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;
using duet::tls_errc;

namespace {

struct fixture : tls_server_fixture
{
    using accepting = started<duet::tls_session>;

    tls_client_peer come()
    {
        tcp::socket socket{context};
        socket.connect(acceptor->local_endpoint());
        socket.non_blocking(true);
        return tls_client_peer{std::move(socket), client_context};
    }

    accepting accept_for(asio::any_io_executor const& executor)
    {
        return accepting{context.get_executor(), acceptor->accept(executor)};
    }

    accepting accept() { return accepting{context.get_executor(), acceptor->accept()}; }

    duet::tls_session result(accepting& of)
    {
        until([&] { return of.done(); });
        return duet_test::run(context, of.result(), {.leftover = leftover_work::dropped});
    }

    duet::error_code failure(accepting& of)
    {
        until([&] { return of.done(); });
        return duet_test::run(context, error_of(of.result()), {.leftover = leftover_work::dropped});
    }

    void listen(std::size_t most = duet::tls_acceptor::most_handshakes)
    {
        prepare(context);
        duet::acceptor listening{context, tcp::endpoint{asio::ip::make_address("127.0.0.1"), 0}};
        acceptor.emplace(std::move(listening), tls, most);
    }

    std::optional<duet::tls_acceptor> acceptor;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(sessions_come_in_the_order_in_which_their_handshakes_end, fixture)
{
    listen();
    auto first = accept();
    auto second = accept();
    auto late = come();
    clock.run_ready();
    auto early = come();
    until([&] { return early.shakes_hands(); });
    auto const one = result(first);
    BOOST_TEST(one.remote_endpoint() == early.stream().local_endpoint());
    BOOST_TEST(!second.done());
    until([&] { return late.shakes_hands(); });
    auto const two = result(second);
    BOOST_TEST(two.remote_endpoint() == late.stream().local_endpoint());
}

BOOST_FIXTURE_TEST_CASE(a_failed_handshake_is_told_to_the_hook_alone, fixture)
{
    listen();
    std::vector<duet::error_code> told;
    acceptor->on_handshake_failure([&](duet::session_error const& error) { told.push_back(error.code()); });
    auto accepted = accept();
    auto silent = come();
    clock.run_ready();
    auto good = come();
    until([&] { return good.shakes_hands(); });
    auto const peer = result(accepted);
    BOOST_TEST(told.empty());
    clock.advance(10s + tick);
    until([&] { return told.size() == 1; });
    BOOST_TEST((told[0] == tls_errc::handshake_timed_out));
    BOOST_TEST(acceptor->handshake_failures() == 1U);
}

// Its exception leaves the context's run().
BOOST_FIXTURE_TEST_CASE(a_hook_that_throws_stops_nobody, fixture)
{
    listen(1);
    acceptor->on_handshake_failure([](duet::session_error const& error) { throw error; });
    auto accepted = accept();
    auto silent = come();
    until([&] { return acceptor->counters().accepted == 1; });
    silent.stream().close();
    BOOST_CHECK_THROW(until([] { return false; }), duet::session_error);
    auto good = come();
    until([&] { return good.shakes_hands(); });
    auto const peer = result(accepted);
    BOOST_TEST(peer.remote_endpoint() == good.stream().local_endpoint());
}

BOOST_FIXTURE_TEST_CASE(no_more_than_the_bound_shake_hands, fixture)
{
    listen(1);
    auto accepted = accept();
    auto silent = come();
    until([&] { return acceptor->counters().accepted >= 1; });
    auto good = come();
    clock.run_ready();
    BOOST_TEST(!good.shakes_hands());
    clock.advance(10s + tick);
    until([&] { return good.shakes_hands(); });
    auto const peer = result(accepted);
    BOOST_TEST(peer.remote_endpoint() == good.stream().local_endpoint());
}

BOOST_FIXTURE_TEST_CASE(handshakes_under_way_end_after_close, fixture)
{
    listen();
    auto accepted = accept();
    auto slow = come();
    until([&] { return acceptor->counters().accepted == 1; });
    acceptor->close();
    clock.run_ready();
    BOOST_TEST(!accepted.done());
    until([&] { return slow.shakes_hands(); });
    auto const peer = result(accepted);
    auto next = accept();
    BOOST_TEST((failure(next) == errc::closed));
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_accept_loses_nobody, fixture)
{
    listen();
    auto cancelled = accept();
    auto client = come();
    until([&] { return acceptor->counters().accepted == 1; });
    cancelled.cancel();
    BOOST_TEST((failure(cancelled) == duet::condition::cancelled));
    until([&] { return client.shakes_hands(); });
    auto accepted = accept();
    auto const peer = result(accepted);
    auto other = come();
    auto again = accept();
    until([&] { return other.shakes_hands(); });
    auto const second = result(again);
    BOOST_TEST(second.remote_endpoint() == other.stream().local_endpoint());
}

// With what it has received already.
BOOST_FIXTURE_TEST_CASE(a_session_belongs_to_the_executor_of_the_call, fixture)
{
    asio::io_context other;
    listen();
    auto accepted = accept_for(other.get_executor());
    auto next = accept();
    auto silent = come();
    auto client = come();
    until([&] { return client.shakes_hands(); });
    client.say("a question");
    auto peer = result(accepted);
    BOOST_TEST((peer.get_executor() == other.get_executor()));
    BOOST_TEST(peer.remote_endpoint() == client.stream().local_endpoint());
    BOOST_TEST(duet::facts_of(peer).version == "TLSv1.3");
    auto const answer = [&]() -> asio::awaitable<void>
    {
        std::string question(10, ' ');
        co_await peer.read(asio::buffer(question));
        BOOST_TEST(question == "a question");
        co_await peer.write("an answer");
        co_await peer.shutdown_send();
    };
    duet_test::run(other, answer());
    until([&] { return hears_end(client); });
    BOOST_TEST(client.heard == "an answer");
    BOOST_TEST(client.ended());
    peer.abort();
    until([&] { return silent.shakes_hands(); });
    auto const own = result(next);
    BOOST_TEST((own.get_executor() == context.get_executor()));
    BOOST_TEST(acceptor->handshake_failures() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_handed_listener_leaves_the_handshakes_under_way, fixture)
{
    listen();
    auto accepted = accept();
    auto before = come();
    until([&] { return acceptor->counters().accepted == 1; });
    auto const handed = acceptor->hand_over("tls");
    BOOST_TEST(handed.descriptors().at(0).name == "tls");
    acceptor->close();
    duet::tls_acceptor next{duet::acceptor{context, taken(handed).at(0)}, tls};
    auto after = come();
    accepting later{context.get_executor(), next.accept()};
    until([&] { return after.shakes_hands(); });
    BOOST_TEST(result(later).remote_endpoint() == after.stream().local_endpoint());
    until([&] { return before.shakes_hands(); });
    BOOST_TEST(result(accepted).remote_endpoint() == before.stream().local_endpoint());
    BOOST_CHECK_THROW(acceptor->hand_over(), duet::session_error);
}

BOOST_FIXTURE_TEST_CASE(destruction_ends_everything, fixture)
{
    listen();
    auto accepted = accept();
    auto shaking = come();
    until([&] { return acceptor->counters().accepted == 1; });
    acceptor.reset();
    BOOST_TEST((failure(accepted) == errc::closed));
    until([&] { return hears_end(shaking); });
    BOOST_TEST(shaking.reset);
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST(context.stopped());
}
