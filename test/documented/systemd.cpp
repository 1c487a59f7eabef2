// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/systems/systemd.md.

#define BOOST_TEST_MODULE documented.systemd
#include "serve/run_fixture.hpp"

#include <duet/inherited.hpp>
#include <duet/service_manager.hpp>

#include <boost/test/unit_test.hpp>

using namespace duet_test;

namespace {

asio::awaitable<void> handler(duet::session peer)
{
    co_await peer.shutdown_send();
}

int serve_as_a_service(duet::server_options const& options)
{
    asio::io_context context;
    asio::post(context, [] { ::raise(SIGTERM); });

    duet::server server{context, duet::inherited_descriptors(), options, handler};
    return duet::run(context, {.print = true, .notify = true}, server);
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_runs_where_nobody_waits_for_it)
{
    captured_errors const captured;
    BOOST_TEST(serve_as_a_service(on_loopback()) == 0);
}

BOOST_AUTO_TEST_CASE(a_status)
{
    duet::service_manager const systemd;
    auto const error = systemd.notify("STATUS=listening on port 7777");
    BOOST_TEST(!error);
}
