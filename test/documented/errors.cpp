// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The C++ of docs/en/guide/errors.md, and what the page says of it.

#define BOOST_TEST_MODULE documented.errors
#include "session/memory_fixture.hpp"
#include "support/started.hpp"

#include <duet/connector.hpp>
#include <duet/kept_connection.hpp>
#include <duet/line_reader.hpp>
#include <duet/post_mortem.hpp>
#include <duet/server.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> read_header(memory_session& peer)
{
    std::array<char, 8> header{};
    try
    {
        co_await peer.read(asio::buffer(header));
    }
    catch (duet::session_error const& error)
    {
        if (error.code() == duet::condition::ended || error.code() == duet::condition::reset)
            co_return;  // the client is gone, and no message is lost
        throw;
    }

    BOOST_TEST(header[0] == 'h');
}

asio::awaitable<void> handler(duet::session peer)
{
    peer.set_note("GET /");
    co_await peer.write("answer\n");
}

void log_ends(duet::server_options& options)
{
    options.on_session_end = [](duet::session_end const& end)
    {
        std::clog << end.peer << " (" << end.note << "): " << to_string(end.post_mortem) << '\n';
        if (end.failure)
            std::clog << "  the handler threw: " << end.what() << '\n';
    };
}

void tell(duet::server const& server)
{
    duet::server_counters const counters = server.counters();  // on any thread
    std::clog << counters.active << " sessions, " << counters.handler_failures << " failed, "
              << counters.ended(duet::close_reason::peer_reset) << " reset by their peers\n";

    BOOST_TEST(counters.accepted == 0U);
}

int shown = 0;

void show(std::string_view line)
{
    BOOST_TEST(line == "answer");
    ++shown;
}

asio::awaitable<bool> watch(duet::session& feed, duet::kept_trial& trial)
{
    duet::line_reader lines{feed, 4096};
    for (;;)
    {
        auto const line = co_await lines.next();
        if (!line)
            co_return true;  // the server has ended it: connect again
        trial.succeeded();   // it is of use: begin again with the shortest pause
        show(*line);
    }
}

asio::awaitable<void> watch_again_and_again(std::string host, std::string port)
{
    auto const executor = co_await asio::this_coro::executor;
    duet::connector connector{executor, {.timeout = 5s}};
    duet::kept_connection feed{std::move(connector), host, port, {.initial = 50ms, .maximum = 10s}};
    feed.on_lost([](duet::lost_connection const& loss)
        { std::clog << "lost: " << (loss.failure ? loss.what() : "the server has ended it") << '\n'; });
    co_await feed.run(watch);
}

int connect_to_nobody()
{
    int refused = 0;
    try
    {
        asio::io_context context;
        duet::connector connector{context};
        asio::ip::tcp::acceptor reserved{context};  // bound and not listening: nobody else gets the port
        reserved.open(asio::ip::tcp::v4());
        reserved.bind({asio::ip::address_v4::loopback(), 0});
        run(context, [&]() -> asio::awaitable<void> { co_await connector.connect(reserved.local_endpoint()); }());
    }
    catch (duet::connect_error const& error)
    {
        std::clog << error.what() << '\n';  // connect example.com:80: [::1]:80: Connection refused; 127.0.0.1:80: ...
        for (auto const& attempt : error.attempts())
            if (attempt.error == boost::asio::error::connection_refused)
                ++refused;
    }

    return refused;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_client_that_is_gone_is_no_failure)
{
    for (bool const reset : {false, true})
    {
        memory_talk talk;
        talk.play(
            [&](memory_session& peer) -> asio::awaitable<void>
            {
                if (reset)
                    talk.peer.reset();
                else
                    talk.peer.shutdown_write();
                co_await read_header(peer);
            });
    }
}

BOOST_AUTO_TEST_CASE(half_a_header_is_one)
{
    memory_talk talk;
    talk.play(
        [&](memory_session& peer) -> asio::awaitable<void>
        {
            talk.peer.send_all("half");
            talk.peer.shutdown_write();
            co_await expect_error(read_header(peer), duet::condition::truncated);
        });
}

BOOST_AUTO_TEST_CASE(each_attempt_is_told)
{
    BOOST_TEST(connect_to_nobody() == 1);
}

BOOST_AUTO_TEST_CASE(a_server_logs_and_counts)
{
    asio::io_context context;
    duet::server_options options;
    options.address = "127.0.0.1";
    log_ends(options);
    duet::server server{context, options, handler};
    tell(server);
}

BOOST_AUTO_TEST_CASE(a_lost_connection_is_made_again)
{
    asio::io_context context;
    duet::server server{context, {.address = "127.0.0.1"}, handler};
    run(context,
        [&]() -> asio::awaitable<void>
        {
            std::string const port = std::to_string(server.local_endpoint().port());
            started<void> kept{context.get_executor(), watch_again_and_again("127.0.0.1", port)};
            co_await until([&] { return shown >= 2; }, "the second connection");
            kept.cancel();
            co_await expect_error(kept.result(), duet::condition::cancelled);
            co_await server.drain(run_guard);
        }());
}
