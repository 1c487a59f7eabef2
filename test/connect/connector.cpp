// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The connector: the session that comes out of it, where it runs, and a peer that is gone at once.

#define BOOST_TEST_MODULE connect.connector
#include <duet/connector.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/fd.hpp"
#include "support/started.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using duet::condition;
using duet::error_code;

// ---- The session
// --------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_session_comes_out)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            auto const resolver = resolver_of({server.endpoint()});
            list_connector connector{executor, {.session = {.deadlines = {.idle = 77s}}}, resolver};
            duet::session peer = co_await connector.connect("the host", "the service");
            BOOST_TEST(resolver.shared->asked == std::vector<std::string>{"the host the service"},
                boost::test_tools::per_element());

            auto other = server.accept();
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            BOOST_TEST(peer.local_endpoint().port() == other.remote_port());
            BOOST_TEST((peer.deadlines().idle == 77s));
            other.send_all("hello");
            std::array<char, 5> buffer;
            auto const size = co_await peer.read(asio::buffer(buffer));
            BOOST_TEST(size == 5U);
            co_await peer.write(asio::buffer("bye", 3));
            BOOST_TEST(other.recv_exactly(3) == "bye");
        });
}

BOOST_AUTO_TEST_CASE(by_endpoint)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            duet::connector connector{executor, {.timeout = 5min}};
            duet::session const peer = co_await connector.connect(server.endpoint());
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());

            refusing_address const nobody;
            auto const error =
                co_await check_failure(connector.connect(nobody.endpoint()), asio::error::connection_refused);
            BOOST_TEST(error.what() ==
                       "connect 127.0.0.1:" + std::to_string(nobody.endpoint().port()) + ": Connection refused");
        });
}

BOOST_AUTO_TEST_CASE(what_comes_first_is_sent_before_everything_else)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            duet::connector connector{executor};
            connector.send_first("who I am\r\n");
            for (int i = 0; i < 2; ++i)
            {
                duet::session peer = co_await connector.connect(server.endpoint());
                auto other = server.accept();
                co_await peer.write("hello");
                BOOST_TEST(other.recv_exactly(15) == "who I am\r\nhello");
            }
            connector.send_first({});
            duet::session peer = co_await connector.connect(server.endpoint());
            auto other = server.accept();
            BOOST_TEST(peer.bytes_sent() == 0U);
        });
}

// A peer is where its socket is, whatever the address that led there.
BOOST_AUTO_TEST_CASE(the_unspecified_address_stands_for_this_host)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            duet::connector connector{executor};
            tcp::endpoint const anywhere{asio::ip::address_v4::any(), server.endpoint().port()};
            duet::session const peer = co_await connector.connect(anywhere);
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
        });
}

BOOST_AUTO_TEST_CASE(by_name_through_the_system)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            duet::connector connector{executor};
            auto const port = std::to_string(server.endpoint().port());
            duet::session const peer = co_await connector.connect("localhost", port);
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            duet::session const numeric = co_await connector.connect("127.0.0.1", port);
            BOOST_TEST(numeric.remote_endpoint() == server.endpoint());

            auto const error = co_await check_failure(
                connector.connect("localhost", "no such service"), asio::error::service_not_found);
            BOOST_TEST(std::string{error.what()}.starts_with("connect localhost:no such service: Service not found"));
            BOOST_TEST(error.attempts().empty());
        });
}

BOOST_AUTO_TEST_CASE(from_a_context)
{
    asio::io_context context;
    prepare(context);
    good_address server;
    duet::connector connector{context, {.timeout = 5min}};
    BOOST_TEST((connector.get_executor() == context.get_executor()));
    BOOST_TEST((connector.options().timeout == 5min));
    BOOST_TEST(run(context, connector.connect(server.endpoint())).remote_endpoint() == server.endpoint());
}

BOOST_AUTO_TEST_CASE(several_at_once_and_the_connector_gone)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            black_hole hole;
            std::optional<list_connector> connector{std::in_place, executor,
                duet::connector_options{.attempt_delay = 10ms}, resolver_of({hole.endpoint(), server.endpoint()})};
            started<duet::session> first{executor, connector->connect("a", "1")};
            started<duet::session> second{executor, connector->connect("b", "2")};
            started<duet::session> third{executor, connector->connect(server.endpoint())};
            // On a slow machine they may be past it before anyone looks.
            co_await until([&] { return hole.hanging() == 2 || server.queued() == 3; }, "two connects hang");
            list_connector moved = std::move(*connector);
            connector.reset();
            duet::session const a = co_await first.result();
            duet::session const b = co_await second.result();
            duet::session const c = co_await third.result();
            BOOST_TEST(server.queued() == 3U);
            BOOST_TEST(hole.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(options_are_set_before_connect)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            refusing_address const nobody;
            auto connector = make_connector(executor, {nobody.endpoint(), server.endpoint()},
                {.session = {
                     .deadlines = {.dead_peer = 40s}, .send_buffer_size = 20000, .receive_buffer_size = 20000}});
            // The second attempt: its socket is another one.
            duet::session peer = co_await connector.connect("a", "1");
            auto const option = [&](int level, int name)
            {
                int value = -1;
                socklen_t size = sizeof(value);
                ::getsockopt(peer.native_handle(), level, name, &value, &size);
                return value;
            };
            BOOST_TEST(option(SOL_SOCKET, SO_SNDBUF) == 40000);  // the kernel doubles them
            BOOST_TEST(option(SOL_SOCKET, SO_RCVBUF) == 40000);
            BOOST_TEST(option(IPPROTO_TCP, TCP_NODELAY) != 0);
            BOOST_TEST(option(SOL_SOCKET, SO_KEEPALIVE) == 1);
            BOOST_TEST(option(IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
            BOOST_TEST((::fcntl(peer.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
            BOOST_TEST((::fcntl(peer.native_handle(), F_GETFL) & O_NONBLOCK) != 0);

            // Of so small a buffer no window scale is needed; it was said in the SYN and cannot change any more.
            ::tcp_info info{};
            socklen_t size = sizeof(info);
            ::getsockopt(peer.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size);
            unsigned const scale = info.tcpi_rcv_wscale;
            BOOST_TEST(scale == 0U);

            auto plain = make_connector(executor, {server.endpoint()}, {.session = {.no_delay = false}});
            peer = co_await plain.connect("a", "1");
            BOOST_TEST(option(IPPROTO_TCP, TCP_NODELAY) == 0);
        });
}

// ---- A peer that is gone at once
// ----------------------------------------------------------------------------------------

namespace {

// Connects to a peer that has already done `act` when the connector learns of the connection.
template <class Act>
duet::session connect_and_act(asio::io_context& context, good_address& server, Act act)
{
    duet::connector connector{context};
    std::optional<duet::session> result;
    std::exception_ptr failure;
    asio::co_spawn(context, keep(connector.connect(server.endpoint()), result),
        [&](std::exception_ptr thrown) { failure = thrown; });
    while (server.queued() == 0 && context.poll_one() != 0)
        continue;
    act();
    context.restart();
    context.run_for(run_guard);
    if (failure)
        std::rethrow_exception(failure);
    return std::move(result.value());
}

}  // namespace

BOOST_AUTO_TEST_CASE(p44_a_peer_that_finished_at_once)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    prepare(context);
    good_address server;
    auto peer = connect_and_act(context, server,
        [&]
        {
            auto other = server.accept();
            other.send_all("bye");
        });
    BOOST_TEST(run(context, peer.read_all(100), {.leftover = leftover_work::dropped}) == "bye");
}

BOOST_AUTO_TEST_CASE(p44_a_peer_that_reset_at_once)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    prepare(context);
    good_address server;
    // The kernel tells the reset once, and tells it to connect: a session made of it would read a clean end (P18).
    error_code told;
    try
    {
        connect_and_act(context, server, [&] { server.accept().reset(); });
    }
    catch (duet::connect_error const& error)
    {
        told = error.code();
    }
    BOOST_TEST((told == condition::reset));
}

// ---- Many, and other executors
// ------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(many_connects_leak_nothing)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            good_address server;
            refusing_address const nobody;
            auto connector = make_connector(executor, {nobody.endpoint(), server.endpoint(), nobody.endpoint()});
            no_leaked_descriptors const within;
            for (int turn = 0; turn < 300; ++turn)
            {
                started<duet::session> connecting{executor, connector.connect("a", "1")};
                // Given up at every point of the way.
                for (int step = 0; step < turn % 12; ++step)
                    co_await asio::post(executor, asio::use_awaitable);
                if (turn % 3 != 0)
                    connecting.cancel();
                auto const error = co_await error_of(connecting.result());
                BOOST_TEST((!error || error == condition::cancelled));
                while (server.queued() != 0)
                    server.accept();
            }
            BOOST_TEST(within.leaked() == "");
        });
}

namespace {

template <class Executor>
boost::asio::awaitable<std::size_t, Executor> ask(
    duet::basic_connector<tcp, Executor>& connector, tcp::endpoint endpoint)
{
    auto const port = std::to_string(endpoint.port());
    auto peer = co_await connector.connect("127.0.0.1", port);
    std::array<char, 16> buffer;
    auto const size = co_await peer.read_some(asio::buffer(buffer));
    co_return size;
}

}  // namespace

BOOST_AUTO_TEST_CASE(on_a_concrete_executor)
{
    using executor_type = asio::io_context::executor_type;
    asio::io_context context;
    prepare(context);
    good_address server;
    duet::basic_connector<tcp, executor_type> connector{context};
    std::size_t size = 1;
    asio::co_spawn(context, ask(connector, server.endpoint()),
        [&](std::exception_ptr failure, std::size_t result)
        {
            BOOST_TEST(!failure);
            size = result;
        });
    std::thread peer{[&] { server.accept(); }};
    context.run();
    peer.join();
    BOOST_TEST(size == 0U);
}

BOOST_AUTO_TEST_CASE(on_strands_of_a_context_with_several_threads)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    good_address server;
    refusing_address const nobody;
    constexpr int connects = 40;
    std::atomic<int> connected{0};
    std::vector<std::shared_ptr<duet::connector>> connectors;
    std::deque<std::optional<duet::session>> peers;
    for (int each = 0; each < connects; ++each)
    {
        asio::any_io_executor const strand = asio::make_strand(context);
        auto const connector = std::make_shared<duet::connector>(strand, duet::connector_options{.timeout = 5min});
        connectors.push_back(connector);
        peers.emplace_back();
        auto const done = [&connected](std::exception_ptr failure)
        {
            if (!failure)
                ++connected;
        };
        auto const port = std::to_string((each % 4 == 3 ? nobody.endpoint() : server.endpoint()).port());
        asio::co_spawn(strand, keep(connector->connect("localhost", port), peers.back()), done);
    }
    std::thread acceptor{[&]
        {
            for (int each = 0; each < connects * 3 / 4; ++each)
                server.accept();
        }};
    std::vector<std::thread> threads;
    for (int each = 0; each < 3; ++each)
        threads.emplace_back([&] { context.run(); });
    for (auto& each : threads)
        each.join();
    acceptor.join();
    BOOST_TEST(connected == connects * 3 / 4);
}

// ---- Unix-domain
// --------------------------------------------------------------------------------------------------------

namespace {

// A listener of Linux's abstract names: no file to leave behind.
class unix_address
{
public:
    explicit unix_address(std::string_view name, int backlog = 16)
        : name_{std::string{'\0'} + "duet-connector-" + std::to_string(::getpid()) + '-' + std::string{name}},
          listener_{raw_address::local(name_), backlog}
    {
    }

    std::string const& name() const { return name_; }

    raw_socket accept() { return listener_.accept(); }

private:
    std::string name_;
    raw_listener listener_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(to_a_unix_domain_path)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            unix_address server{"path"};
            duet::unix_connector connector{executor};
            duet::unix_session peer = co_await connector.connect(server.name());
            auto other = server.accept();
            co_await peer.write(asio::buffer("hello", 5));
            BOOST_TEST(other.recv_exactly(5) == "hello");
            BOOST_TEST(peer.remote_endpoint().path() == server.name());

            std::string text;
            try
            {
                duet::unix_session const unexpected = co_await connector.connect("/no/such/socket");
            }
            catch (duet::unix_connect_error const& error)
            {
                text = error.what();
                BOOST_TEST((error.code() == boost::system::errc::no_such_file_or_directory));
            }
            BOOST_TEST(text == "connect unix:/no/such/socket: No such file or directory");
        });
}

BOOST_AUTO_TEST_CASE(p26_a_unix_domain_listener_whose_queue_is_full)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            unix_address server{"full", 0};
            auto const filler = raw_socket::connect(raw_address::local(server.name()));
            duet::unix_connector hasty{executor, {.timeout = 20ms}};
            co_await expect_error(hasty.connect(server.name()), duet::errc::connect_timed_out);

            // Asio alone would say that it is connected.
            duet::unix_connector connector{executor};
            started<duet::unix_session> connecting{executor, connector.connect(server.name())};
            co_await settle();
            BOOST_TEST(!connecting.done());
            server.accept();
            duet::unix_session peer = co_await connecting.result();
            auto other = server.accept();
            co_await peer.write(asio::buffer("x", 1));
            BOOST_TEST(other.recv_exactly(1) == "x");

            auto const second = raw_socket::connect(raw_address::local(server.name()));
            started<duet::unix_session> cancelled{executor, connector.connect(server.name())};
            co_await settle();
            cancelled.cancel();
            co_await expect_error(cancelled.result(), condition::cancelled);
        });
}
