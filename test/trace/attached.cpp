// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A trace that is attached to a server, a connector or an acceptor, on sockets of the kernel: both ends of a
// connection, attempts that fail, and what the kernel says.

#define BOOST_TEST_MODULE trace.attached
#include <duet/testing/manual_clock.hpp>
#include <duet/trace.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address_v4.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::trace_event;
using duet::trace_kind;
using duet::trace_log;
using duet::trace_session;
using tcp = asio::ip::tcp;

namespace {

asio::awaitable<void> echo(duet::session peer)
{
    for (;;)
    {
        auto const heard = co_await read(peer);
        if (heard.empty())
            break;
        co_await write(peer, heard);
    }
}

asio::awaitable<void> ask(duet::connector& connecting, tcp::endpoint server)
{
    duet::session peer = co_await connecting.connect(server);
    co_await write(peer, "question");
    auto const answer = co_await read(peer);
    BOOST_TEST(answer == "question");
    co_await shutdown_send(peer);
    auto const end = co_await read(peer);
    BOOST_TEST(end.empty());
    co_await close(peer);
}

std::vector<trace_event> events_of(trace_log const& log, std::uint32_t number)
{
    std::vector<trace_event> result;
    for (auto const& event : log.events)
        if (event.session == number)
            result.push_back(event);
    return result;
}

bool has(std::vector<trace_event> const& events, trace_kind kind, std::string_view name)
{
    return std::any_of(events.begin(), events.end(),
        [&](trace_event const& event) { return event.kind == kind && event.name == name; });
}

duet::server_options on_loopback(std::size_t threads = 1)
{
    duet::server_options result;
    result.address = "127.0.0.1";
    result.threads = threads;
    return result;
}

tcp::endpoint endpoint_of(duet::server const& server)
{
    return {asio::ip::address_v4::loopback(), server.local_endpoint().port()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(both_ends_of_a_connection_are_told_and_find_each_other)
{
    no_leaked_descriptors const watched;
    duet::trace trace;
    {
        asio::io_context context;
        duet::server server{context, on_loopback(), echo};
        duet::connector connecting{context};
        trace.attach(server);
        trace.attach(connecting);
        run(context,
            [&]() -> asio::awaitable<void>
            {
                co_await settle();  // the server's thread attaches it
                co_await ask(connecting, endpoint_of(server));
                co_await server.drain(10s);
            }());
    }
    auto const log = trace.log();
    BOOST_REQUIRE(log.sessions.size() == 2U);
    auto const& client = log.sessions[0].client ? log.sessions[0] : log.sessions[1];
    auto const* const server = log.other_end(client);
    BOOST_REQUIRE(server != nullptr);
    BOOST_TEST(client.client);
    BOOST_TEST(!server->client);
    BOOST_TEST(client.local == server->remote);
    BOOST_TEST(client.remote == server->local);

    auto const ours = events_of(log, client.number);
    BOOST_REQUIRE(ours.size() > 4U);
    BOOST_TEST((ours[0].kind == trace_kind::call && ours[0].name == "connect"));
    BOOST_TEST((ours[1].kind == trace_kind::result && ours[1].name == "connect" && !ours[1].error));
    BOOST_TEST((ours[2].kind == trace_kind::begin && ours[2].name == "connect"));
    for (auto const* const name : {"write", "read_some", "shutdown_send", "close"})
    {
        BOOST_TEST_INFO(name);
        BOOST_TEST(has(ours, trace_kind::call, name));
        BOOST_TEST_INFO(name);
        BOOST_TEST(has(ours, trace_kind::result, name));
    }
    for (auto const* const name : {"send", "receive", "fin", "peer_fin", "close"})
    {
        BOOST_TEST_INFO(name);
        BOOST_TEST(has(ours, trace_kind::transfer, name));
    }
    auto const theirs = events_of(log, server->number);
    BOOST_TEST((theirs[0].kind == trace_kind::begin && theirs[0].name == "accept"));
    for (auto const& each : {ours, theirs})
        BOOST_TEST(std::count_if(each.begin(), each.end(),
                       [](trace_event const& event) { return event.kind == trace_kind::end; }) == 1);
}

#if defined(__linux__)
BOOST_AUTO_TEST_CASE(the_kernel_is_asked_at_each_event_and_not_oftener_than_allowed)
{
    for (std::uint32_t const allowed : {0U, 3U, 1000U})
    {
        duet::trace trace{{.kernel_queries = allowed}};
        auto pair = connected_pair();
        asio::io_context context;
        duet::testing::manual_clock const clock{context};  // all of it happens in one instant
        auto s = adopt(pair.server, context.get_executor());
        trace.attach(s);
        run(context,
            [&]() -> asio::awaitable<void>
            {
                for (int i = 0; i < 4; ++i)
                {
                    pair.client.send_all("x");
                    co_await read(s);
                }
            }());
        auto const log = trace.log();
        auto const asked = std::count_if(
            log.events.begin(), log.events.end(), [](trace_event const& event) { return event.kernel.has_value(); });
        BOOST_TEST(log.events.size() >= 13U);
        if (allowed == 1000)
        {
            BOOST_TEST(static_cast<std::size_t>(asked) == log.events.size());
            BOOST_TEST((log.events[0].kernel->state == duet::tcp_state::established));
        }
        else
            BOOST_TEST(asked == allowed);  // a burst of as many as in a second; a further one takes a third of one
    }
}
#endif

BOOST_AUTO_TEST_CASE(attempts_that_fail_are_sessions_that_never_began)
{
    duet::trace trace;
    asio::io_context context;
    duet::connector connecting{context};
    trace.attach(connecting);
    tcp::endpoint nobody;
    {
        raw_listener const closed{raw_address::v4(0), 1};
        nobody = {asio::ip::address_v4::loopback(), closed.address().port()};
    }
    run(context, [&]() -> asio::awaitable<void> { co_await error_of(ask(connecting, nobody)); }());
    run(context,
        [&]() -> asio::awaitable<void>
        {
            auto const failing = [&]() -> asio::awaitable<void>
            { co_await connecting.connect("localhost", "no port"); };
            co_await error_of(failing());
        }());
    auto const log = trace.log();
    BOOST_REQUIRE(log.sessions.size() == 1U);
    BOOST_TEST(log.sessions[0].remote == duet::to_string(nobody));
    // A tap's segments are told to be its own by that.
    BOOST_TEST(log.sessions[0].local.starts_with("127.0.0.1:"));
    auto const attempt = events_of(log, 1);
    BOOST_REQUIRE(attempt.size() == 2U);
    BOOST_TEST((attempt[1].kind == trace_kind::result && attempt[1].name == "connect"));
    BOOST_TEST(attempt[1].error.value == ECONNREFUSED);
    auto const others = events_of(log, 0);
    BOOST_REQUIRE(others.size() == 2U);
    BOOST_TEST((others[0].kind == trace_kind::call && others[0].name == "resolve"));
    BOOST_TEST(others[0].text == "localhost:no port");
    BOOST_TEST(!!others[1].error);
}

// A program looks for the end of what has begun in its trace.
BOOST_AUTO_TEST_CASE(a_look_up_that_is_given_up_has_ended)
{
    duet::trace trace;
    asio::io_context context;
    std::promise<void> go_on;
    auto const waits = [answer = go_on.get_future().share()](std::string const&, std::string const&)
    {
        answer.wait();
        return std::vector<tcp::endpoint>{};
    };
    duet::connector connecting{context, {.resolve_timeout = 1ms}, duet::system_resolver{waits}};
    trace.attach(connecting);
    run(context,
        [&]() -> asio::awaitable<void>
        {
            auto const failing = [&]() -> asio::awaitable<void> { co_await connecting.connect("fe80::1%lo", "name"); };
            auto const error = co_await error_of(failing());
            BOOST_TEST((error == duet::errc::resolve_timed_out));
        }());
    go_on.set_value();
    auto const events = events_of(trace.log(), 0);
    BOOST_REQUIRE(events.size() == 2U);
    BOOST_TEST(events[0].text == "[fe80::1%lo]:name");
    BOOST_TEST((events[1].kind == trace_kind::result && events[1].name == "resolve"));
    BOOST_TEST(events[1].call == events[0].number);
    BOOST_TEST(events[1].error.value == static_cast<int>(duet::errc::resolve_timed_out));
    eventually([] { return duet::system_resolver::lookups().running == 0; }, "the look-up has ended");
}

BOOST_AUTO_TEST_CASE(sessions_of_several_threads_are_recorded_at_once)
{
    no_leaked_descriptors const watched;
    constexpr int clients = 24;
    duet::trace trace;
    {
        asio::io_context context;
        duet::server server{context, on_loopback(3), echo};
        duet::connector connecting{context};
        trace.attach(server);
        run(context,
            [&]() -> asio::awaitable<void>
            {
                auto const executor = co_await asio::this_coro::executor;
                co_await settle();
                std::vector<std::unique_ptr<started<void>>> asking;
                for (int i = 0; i < clients; ++i)
                    asking.push_back(std::make_unique<started<void>>(executor, ask(connecting, endpoint_of(server))));
                for (auto const& each : asking)
                    co_await each->result();
                co_await server.drain(10s);
            }());
    }
    auto const log = trace.log();
    BOOST_TEST(log.sessions.size() <= static_cast<std::size_t>(clients));
    BOOST_TEST(log.lost == 0U);
    for (auto const& session : log.sessions)
    {
        auto const events = events_of(log, session.number);
        BOOST_TEST(has(events, trace_kind::begin, "accept"));
        BOOST_TEST(has(events, trace_kind::end, ""));
    }
    std::set<std::uint64_t> numbers;
    for (auto const& event : log.events)
        numbers.insert(event.number);
    BOOST_TEST(numbers.size() == log.events.size());
}
