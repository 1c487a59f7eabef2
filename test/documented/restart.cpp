// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/restart.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.restart
#include <duet/run.hpp>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <string>

#include <unistd.h>

namespace asio = boost::asio;

namespace documented {

asio::awaitable<void> handler(duet::session peer)
{
    co_await peer.write("served\n");
}

void start_successor(duet::server& server, std::string const& program)
{
    auto const listeners = server.hand_over();
    listeners.start(program, {"--replaces=" + std::to_string(::getpid())});
}

asio::awaitable<void> restart_at(asio::signal_set& signal, duet::server& server, std::string program)
{
    for (;;)
    {
        co_await signal.async_wait(asio::use_awaitable);
        start_successor(server, program);
    }
}

// Not called: it ends by a signal.
int serve(asio::io_context& context, duet::server& server, ::pid_t predecessor)
{
    if (predecessor != 0)
        ::kill(predecessor, SIGTERM);
    return duet::run(context, {.print = true}, server);
}

}  // namespace documented

BOOST_AUTO_TEST_CASE(a_server_without_a_predecessor_listens_and_hands_over)
{
    using documented::handler;
    asio::io_context context;
    duet::server_options options;
    options.address = "127.0.0.1";
    options.share_port = true;

    duet::server server{context, duet::inherited_descriptors(), options, handler};

    BOOST_TEST(server.local_endpoint().port() != 0);
    BOOST_TEST(server.hand_over().descriptors().size() == 1U);
    BOOST_CHECK_THROW(documented::start_successor(server, "/nowhere/no_program"), duet::session_error);
    BOOST_TEST(server.ready());
}
