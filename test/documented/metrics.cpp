// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/systems/metrics.md, and of the headers that it is about.

#define BOOST_TEST_MODULE documented.metrics
#include "session/memory_fixture.hpp"

#include <duet/prometheus.hpp>
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include <string>

using namespace duet_test;

namespace {

asio::awaitable<void> handler(duet::session peer)
{
    co_await peer.shutdown_send();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_server_and_a_counter_are_on_one_page)
{
    asio::io_context context;
    duet::server_options options;
    options.address = "127.0.0.1";
    double const orders = 7;

    duet::server_metrics const metrics{"shop"};
    duet::server server{context, metrics.watch(options), handler};

    duet::prometheus_page page;
    page.add(metrics.sample(server));
    page.counter("shop_orders_total", "Orders taken.", orders, {{"kind", "book"}});
    std::string const body = page.text();

    BOOST_TEST(body.find("\nduet_ready{server=\"shop\"} 1\n") != std::string::npos);
    BOOST_TEST(body.find("\nshop_orders_total{kind=\"book\"} 7\n") != std::string::npos);
    BOOST_TEST(body.size() < 9000U);
}
