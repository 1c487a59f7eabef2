// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What is counted of a server's sessions, and what the kernel tells of each.

#define BOOST_TEST_MODULE serve.metrics
#include "serve/ends_fixture.hpp"

#include <duet/prometheus.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> answer_or_fail(duet::session peer)
{
    auto const heard = co_await read(peer);
    if (heard == "throw")
        throw std::runtime_error{"as asked"};
    if (heard == "abort")
        peer.abort();
    else
        co_await write(peer, heard + heard);
}

asio::awaitable<bool> answer_one(duet::session& peer)
{
    auto const heard = co_await read(peer);
    co_await write(peer, heard);
    co_return false;
}

void ask(duet::server const& server, std::string const& what)
{
    auto client = client_of(server);
    client.send_all(what);
    client.shutdown_write();
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_kernel_is_asked_before_the_close, ends_fixture)
{
    auto options = telling(on_loopback());
    options.report_tcp_info = true;
    duet::server server{context, options, answer_or_fail};
    ask(server, "x");
    serve_until_ended(1);
    ask(server, "throw");
    serve_until_ended(2);
    ask(server, "abort");
    serve_until_ended(3);
    BOOST_REQUIRE(ends[0].tcp.has_value());
    BOOST_TEST((ends[0].tcp->round_trip_time > 0us));
    BOOST_TEST(ends[0].tcp->maximum_segment_size > 0U);
    BOOST_TEST(ends[1].tcp.has_value());
    BOOST_TEST(!ends[2].tcp.has_value());  // the handler itself has ended the connection
}

BOOST_FIXTURE_TEST_CASE(a_handler_for_each_message_tells_it_too, ends_fixture)
{
    auto options = telling(on_loopback());
    options.report_tcp_info = true;
    duet::server server{context, options, answer_one};
    ask(server, "x");
    serve_until_ended(1);
    BOOST_TEST(ends[0].tcp.has_value());
}

BOOST_FIXTURE_TEST_CASE(the_kernel_is_not_asked_unless_that_is_wanted, ends_fixture)
{
    duet::server server{context, telling(on_loopback()), answer_or_fail};
    ask(server, "x");
    serve_until_ended(1);
    BOOST_TEST(!ends[0].tcp.has_value());
}

BOOST_FIXTURE_TEST_CASE(each_session_is_counted_once, ends_fixture)
{
    duet::testing::manual_clock clock{context};
    std::optional<duet::server_metrics> metrics{"test"};
    duet::server server{context, metrics->watch(telling(on_loopback())), answer_or_fail};
    auto client = client_of(server);
    serve_until_active(context, server, 1);
    clock.advance(3s);
    client.send_all("four");
    client.shutdown_write();
    serve_until_ended(1);  // the program's own hook is called as before
    ask(server, "throw");
    serve_until_ended(2);

    auto const sample = metrics->sample(server);
    BOOST_TEST(sample.name == "test");
    BOOST_TEST(sample.ready);
    BOOST_TEST(sample.counters.accepted == 2U);
    BOOST_TEST(sample.duration.count() == 2U);
    BOOST_TEST(sample.duration.sum == 3.0);
    BOOST_TEST(sample.received.count() == 2U);
    BOOST_TEST(sample.received.sum == 9.0);
    BOOST_TEST(sample.sent.sum == 8.0);
    BOOST_TEST(sample.round_trip_time.count() == 2U);
    BOOST_TEST(sample.round_trip_time.sum > 0.0);
    BOOST_REQUIRE(sample.queue.has_value());
    BOOST_TEST(sample.queue->limit > 0U);

    metrics.reset();  // the server goes on
    ask(server, "x");
    serve_until_ended(3);
}

BOOST_FIXTURE_TEST_CASE(what_a_server_that_does_not_accept_cannot_tell_is_left_out, ends_fixture)
{
    duet::server_metrics const metrics{"test"};
    duet::server server{context, metrics.watch(telling(on_loopback())), answer_or_fail};
    server.abort();
    serve(context, [&] { return !metrics.sample(server).queue; });
    auto const sample = metrics.sample(server);
    BOOST_TEST(!sample.ready);
    BOOST_TEST(!sample.queue.has_value());
    duet::prometheus_page page;
    page.add(sample);
    BOOST_TEST(page.text().find("duet_ready{server=\"test\"} 0\n") != std::string::npos);
    BOOST_TEST(page.text().find("duet_accept_queue") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(bounds_are_the_programs)
{
    duet::server_metrics const metrics{"test", {.duration = {1, 2}, .bytes = {10}, .round_trip_time = {}}};
    duet::session_end end;
    end.duration = 1500ms;
    end.report.bytes_sent = 11;
    metrics.count(end);

    struct
    {
        bool ready() const { return true; }
        duet::server_counters counters() const { return {}; }
        duet::listen_queue queue(duet::error_code& error) const
        {
            error = duet::errc::closed;
            return {};
        }
    } const any;
    auto const sample = metrics.sample(any);
    BOOST_TEST(sample.duration.values == (std::vector<std::uint64_t>{0, 1, 0}), boost::test_tools::per_element());
    BOOST_TEST(sample.sent.values == (std::vector<std::uint64_t>{0, 1}), boost::test_tools::per_element());
    BOOST_TEST(sample.round_trip_time.count() == 0U);
    BOOST_CHECK_THROW((duet::server_metrics{"x", {.bytes = {2, 1}}}), duet::system_error);
}
