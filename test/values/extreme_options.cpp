// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Every option at the edges of its range: it does what its comment says, or is refused. UndefinedBehaviorSanitizer
// looks on.

#define BOOST_TEST_MODULE values.extreme_options
#include <duet/connector.hpp>
#include <duet/relay.hpp>
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "session/memory_fixture.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;
using duration = std::chrono::steady_clock::duration;

namespace {

std::vector<duration> const extremes{duration::min(), -1ns, 0ns, 1ns, 1s, duration::max() - 1ns, duration::max()};
constexpr auto largest = std::numeric_limits<std::size_t>::max();

using deadline = duration duet::deadlines::*;

struct named_deadline
{
    char const* name;
    deadline member;
};

std::vector<named_deadline> const all_deadlines{{"read", &duet::deadlines::read}, {"write", &duet::deadlines::write},
    {"idle", &duet::deadlines::idle}, {"half_closed", &duet::deadlines::half_closed},
    {"close", &duet::deadlines::close}, {"close_total", &duet::deadlines::close_total},
    {"dead_peer", &duet::deadlines::dead_peer}, {"first_message", &duet::deadlines::first_message},
    {"next_message", &duet::deadlines::next_message}, {"message", &duet::deadlines::message}};

/// A whole conversation with a polite peer, which takes no time. A deadline of next to no time may end it early, and
/// nothing else may.
void converse(duet::session_options const& options, bool may_fail)
{
    memory_talk talk;
    talk.play(options,
        [&](memory_session& s) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::string line;
            started<std::size_t> reading{executor, s.read_until(line, "\n", 100)};
            co_await settle();
            talk.peer.send_all("question\n");
            auto const asked = co_await outcome_of(reading.result());
            BOOST_TEST((asked.ok() || may_fail));
            auto const answered = co_await outcome_of(write(s, "answer"));
            BOOST_TEST((answered.ok() || may_fail));
            s.set_deadlines(options.deadlines);
            s.request_finish(options.deadlines.next_message);
            talk.peer.shutdown_write();
            started<duet::close_report> closing{executor, awaited<duet::close_report>(s.close())};
            co_await settle();
            talk.peer.recv_all();
            auto const report = co_await closing.result();
            BOOST_TEST((report.reason == duet::close_reason::clean || may_fail));
        });
}

/// A server with these options serves a client, and is drained and destroyed within the guard's time.
void serve_one(duet::server_options options, duration timeout = 50ms)
{
    asio::io_context context;
    options.address = "127.0.0.1";
    duet::server serving{context, options, echo};
    auto client = client_of(serving);
    client.send_all("x");
    serve_until_active(context, serving, 1);
    std::optional<duet::drain_report> drained;
    asio::co_spawn(context, serving.drain(timeout),
        [&](std::exception_ptr const&, duet::drain_report report) { drained = report; });
    if (options.drain_delay > 1min)
    {
        context.poll();  // it goes on serving, and the program may abort it
        BOOST_TEST(!drained.has_value());
        serving.abort();
        serve_until_active(context, serving, 0);
        return;
    }
    serve(context, [&] { return drained.has_value(); });
    BOOST_TEST(drained->finished + drained->aborted == 1U);
}

}  // namespace

BOOST_AUTO_TEST_CASE(deadlines_of_a_session)
{
    for (auto const& each : all_deadlines)
        for (auto const value : extremes)
        {
            BOOST_TEST_CONTEXT(each.name << " is " << value.count())
            {
                duet::session_options options;
                options.deadlines.*each.member = value;
                converse(options, value > 0ns && value < 1s);
            }
        }
}

BOOST_AUTO_TEST_CASE(all_deadlines_of_a_session_at_once)
{
    for (auto const value : extremes)
    {
        BOOST_TEST_CONTEXT("all are " << value.count())
        {
            duet::session_options options;
            for (auto const& each : all_deadlines)
                options.deadlines.*each.member = value;
            converse(options, value > 0ns && value < 1s);
        }
    }
}

BOOST_AUTO_TEST_CASE(sizes_of_a_session)
{
    for (auto const limit : {std::size_t{0}, std::size_t{1}, largest})
    {
        duet::session_options options;
        options.close_discard_limit = limit;
        converse(options, false);
        options = {};
        options.queue_limit = limit;
        converse(options, false);
    }
    for (int const size : {std::numeric_limits<int>::min(), -1, 0, 1, std::numeric_limits<int>::max()})
    {
        BOOST_TEST_CONTEXT("a buffer of the system of " << size)
        {
            duet::server_options options;
            options.session.send_buffer_size = options.session.receive_buffer_size = size;
            serve_one(options);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_time_of_a_single_call)
{
    for (auto const value : extremes)
    {
        BOOST_TEST_CONTEXT("within " << value.count())
        {
            memory_talk talk;
            talk.peer.send_all("xy");
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    std::string buffer(1, '\0');
                    auto const got =
                        co_await outcome_of(awaited<std::size_t>(s.read(asio::buffer(buffer)).within(value)));
                    BOOST_TEST((got.ok() || (value > 0ns && value < 1s)));
                });
        }
    }
}

BOOST_AUTO_TEST_CASE(times_of_a_server)
{
    for (auto const value : extremes)
    {
        BOOST_TEST_CONTEXT("the time is " << value.count())
        {
            serve_one({.drain_grace = value});
            serve_one({.drain_spread = value});
            if (value < 1s || value > 1min)
                serve_one({.drain_delay = value});
            serve_one({.drain_grace = 0ns}, value);
        }
    }
}

BOOST_AUTO_TEST_CASE(numbers_of_a_server)
{
    serve_one({.max_sessions = 1});
    serve_one({.max_sessions = largest});
    serve_one({.threads = 0});
    for (int const backlog : {std::numeric_limits<int>::min(), -1, 0, 1, std::numeric_limits<int>::max()})
        serve_one({.backlog = backlog});
}

BOOST_AUTO_TEST_CASE(a_batch_of_an_acceptor)
{
    for (auto const batch : {std::size_t{0}, std::size_t{1}, largest})
    {
        asio::io_context context;
        duet::acceptor acceptor{
            context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}, {.batch = batch}};
        auto const client = raw_socket::connect(raw_address::v4(acceptor.local_endpoint().port()));
        run(context,
            [](duet::acceptor& a) -> asio::awaitable<void>
            {
                auto const peer = co_await a.accept();
                BOOST_TEST(peer.valid());
            }(acceptor));
    }
}

BOOST_AUTO_TEST_CASE(times_of_a_connector)
{
    using time = duration duet::connector_options::*;
    time const members[] = {&duet::connector_options::timeout, &duet::connector_options::resolve_timeout,
        &duet::connector_options::attempt_timeout, &duet::connector_options::attempt_delay};
    for (auto const member : members)
        for (auto const value : extremes)
        {
            BOOST_TEST_CONTEXT("the time is " << value.count())
            {
                asio::io_context context;
                duet::acceptor acceptor{context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
                duet::connector_options options;
                options.*member = value;
                duet::connector connector{context, options};
                run(context,
                    [](duet::connector& c, duet::acceptor& a, bool may_fail) -> asio::awaitable<void>
                    {
                        try
                        {
                            auto const peer = co_await c.connect(a.local_endpoint());
                            BOOST_TEST(peer.valid());
                        }
                        catch (duet::session_error const& error)
                        {
                            BOOST_TEST_INFO(error.what());
                            BOOST_TEST(may_fail);
                        }
                    }(connector, acceptor, value == 1ns));
            }
        }
}

BOOST_AUTO_TEST_CASE(options_of_a_relay)
{
    std::vector<duet::relay_options> rows;
    for (auto const value : extremes)
        if (value <= 0ns || value > 1s)
        {
            rows.push_back({.idle = value});
            rows.push_back({.half_closed = value});
        }
    for (auto const size : {std::size_t{0}, std::size_t{1}, largest})
        rows.push_back({.buffer_size = size});
    for (auto const& options : rows)
    {
        BOOST_TEST_CONTEXT("idle " << options.idle.count() << ", half_closed " << options.half_closed.count()
                                   << ", buffers of " << options.buffer_size)
        {
            memory_talk talk;
            talk.peer.send_all("to the other side");
            talk.peer.shutdown_write();
            talk.play(
                [&](memory_session& s) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    auto pair = duet::testing::memory_stream::pair(executor);
                    memory_session other{std::move(pair.first)};
                    memory_session far{std::move(pair.second)};
                    started<std::string> hearing{executor, far.read_all(100)};
                    started<void> ending{executor, awaited<void>(far.shutdown_send())};
                    auto const report = co_await duet::relay(s, other, options);
                    auto const heard = co_await hearing.result();
                    BOOST_TEST(heard == "to the other side");
                    co_await ending.result();
                    BOOST_TEST(report.forward.bytes == heard.size());
                });
        }
    }
}
