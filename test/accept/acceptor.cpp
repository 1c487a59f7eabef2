// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The acceptor: what it listens on, which errors of accept it survives, and how it ends.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.acceptor
#include <boost/test/unit_test.hpp>

#include "accept/injected_failures.hpp"
#include "session/session_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

#include <cerrno>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fcntl.h>
#include <netinet/tcp.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::condition;
using duet::errc;
using tcp = asio::ip::tcp;

namespace {

tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

raw_address address_of(duet::acceptor const& listening)
{
    return raw_address::v4(listening.local_endpoint().port());
}

duet::acceptor_options telling(std::vector<duet::accept_failure>& told)
{
    duet::acceptor_options options;
    options.on_resource_failure = [&told](duet::accept_failure const& failure) { told.push_back(failure); };
    return options;
}

asio::awaitable<duet::session> next(duet::acceptor& listening)
{
    duet::session session = co_await listening.accept();
    co_return session;
}

/// One whole conversation with the next client: it says `text`, hears it back, and both close.
asio::awaitable<void> serve_one(duet::acceptor& listening, raw_socket& client, std::string text)
{
    client.send_all(text);
    client.shutdown_write();
    duet::session session = co_await listening.accept();
    auto const heard = co_await read_to_end(session);
    BOOST_TEST(heard.data == text);
    co_await write(session, heard.data);
    auto const answered = [&] { return client.recv_all(); };
    auto const report = co_await close(session);
    auto const answer = co_await in_thread(answered);
    BOOST_TEST(answer.data == text);
    BOOST_TEST(answer.error == 0);
    BOOST_TEST(report.clean());
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_serves_ipv4_on_a_port_that_the_system_chose)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    BOOST_TEST(listening.local_endpoint().port() != 0);
    auto client = raw_socket::connect(address_of(listening));
    run(context, serve_one(listening, client, "over IPv4"));
    BOOST_TEST(listening.counters().accepted == 1u);
}

BOOST_AUTO_TEST_CASE(dual_stack_takes_ipv4_and_ipv6)
{
    asio::io_context context;
    duet::acceptor listening{context, tcp::endpoint{tcp::v6(), 0}};
    auto four = raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
    run(context, serve_one(listening, four, "four"));
    auto six = raw_socket::connect(raw_address::v6(listening.local_endpoint().port()));
    run(context, serve_one(listening, six, "six"));
}

// Its port for IPv4 is held, so that no other program listens there.
BOOST_AUTO_TEST_CASE(without_dual_stack_ipv4_is_refused)
{
    asio::io_context context;
    for (int tries = 1;; ++tries)
    {
        tcp::socket const nobody{context, loopback};
        tcp::endpoint const same_port{tcp::v6(), nobody.local_endpoint().port()};
        std::optional<duet::acceptor> listening;
        try
        {
            listening.emplace(context, same_port, duet::acceptor_options{.dual_stack = false});
        }
        catch (boost::system::system_error const& error)
        {
            // That for IPv6 may be another program's.
            BOOST_REQUIRE_EQUAL(error.code(), asio::error::address_in_use);
            BOOST_REQUIRE(tries != 10);
            continue;
        }
        auto four = raw_socket::start_connect(raw_address::v4(same_port.port()));
        BOOST_TEST(four.wait_connected() == ECONNREFUSED);
        return;
    }
}

BOOST_AUTO_TEST_CASE(an_error_names_the_call_and_the_endpoint)
{
    asio::io_context context;
    duet::acceptor const first{context, loopback};
    auto const taken = first.local_endpoint();
    try
    {
        duet::acceptor const second{context, taken};
        BOOST_ERROR("two listeners on one port");
    }
    catch (duet::session_error const& error)
    {
        BOOST_TEST((error.code() == asio::error::address_in_use));
        BOOST_TEST(std::string{error.operation()} == "bind");
        BOOST_TEST(std::string{error.what()}.find(":" + std::to_string(taken.port())) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(reuse_port_lets_two_listen)
{
    asio::io_context context;
    duet::acceptor const first{context, loopback, {.reuse_port = true}};
    duet::acceptor const second{context, first.local_endpoint(), {.reuse_port = true}};
    BOOST_TEST((first.local_endpoint() == second.local_endpoint()));
}

BOOST_AUTO_TEST_CASE(accepted_sockets_are_cloexec_nonblocking_and_have_the_listeners_options)
{
    asio::io_context context;
    duet::acceptor_options options;
    options.session.deadlines.dead_peer = 30s;
    duet::acceptor listening{context, loopback, options};
    auto const client = raw_socket::connect(address_of(listening));
    auto session = run(context, next(listening), {.leftover = leftover_work::dropped});
    int const fd = session.native_handle();
    BOOST_TEST((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    BOOST_TEST((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    auto const option = [fd](int level, int name)
    {
        int value = -1;
        ::socklen_t size = sizeof(value);
        BOOST_TEST(::getsockopt(fd, level, name, &value, &size) == 0);
        return value;
    };
    BOOST_TEST(option(IPPROTO_TCP, TCP_NODELAY) != 0);
    BOOST_TEST(option(SOL_SOCKET, SO_KEEPALIVE) != 0);
    BOOST_TEST(option(IPPROTO_TCP, TCP_USER_TIMEOUT) == 0);
    BOOST_TEST(option(IPPROTO_TCP, TCP_KEEPIDLE) == 15);
}

// P24: what is pending on one connection is no error of the listener. P25 follows with a real one.
BOOST_AUTO_TEST_CASE(p24_errors_of_one_connection_are_passed_over_at_once)
{
    asio::io_context context;
    std::vector<duet::accept_failure> told;
    duet::acceptor listening{context, loopback, telling(told)};
    auto client = raw_socket::connect(address_of(listening));
    injected = {ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH, EINTR};
    run(context, serve_one(listening, client, "after all that"));
    BOOST_TEST(injected.empty());
    BOOST_TEST(listening.counters().connection_failures == 5u);  // EINTR is no failure
    BOOST_TEST(told.empty());
}

// P23: without descriptors a loop that tries again at once fails millions of times a second.
BOOST_AUTO_TEST_CASE(p23_resource_errors_back_off_double_and_recover)
{
    asio::io_context context;
    std::vector<duet::accept_failure> told;
    duet::acceptor listening{context, loopback, telling(told)};
    auto client = raw_socket::connect(address_of(listening));
    injected = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    accept_calls = 0;
    run(context, serve_one(listening, client, "patience"));
    BOOST_TEST(accept_calls <= 6);  // four failures, the client, and perhaps one look at the empty queue
    BOOST_REQUIRE(told.size() == 4u);
    for (std::size_t i = 0; i < told.size(); ++i)
    {
        BOOST_TEST((told[i].next_try_in == 5ms * (1 << i)));
        BOOST_TEST(told[i].failures_in_a_row == i + 1);
    }
    BOOST_TEST((told[0].error == condition::exhausted));
    BOOST_TEST(listening.counters().resource_failures == 4u);
}

// A firewall or a sandbox that refuses every accept: no loop may spin on it, and it is told.
BOOST_AUTO_TEST_CASE(p23_an_error_that_stays_or_that_nobody_knows_backs_off)
{
    asio::io_context context;
    std::vector<duet::accept_failure> told;
    duet::acceptor listening{context, loopback, telling(told)};
    auto client = raw_socket::connect(address_of(listening));
    injected.assign(33, EPERM);
    injected.push_back(ENOSYS);
    run(context, serve_one(listening, client, "served in the end"));
    BOOST_TEST(listening.counters().connection_failures == 33u);
    BOOST_REQUIRE(told.size() == 3u);  // after 16, after 32, and ENOSYS
    BOOST_TEST(told[1].error.value() == EPERM);
    BOOST_TEST(told[2].error.value() == ENOSYS);
    BOOST_TEST((told[2].next_try_in == 20ms));
}

BOOST_AUTO_TEST_CASE(p23_a_cancelled_accept_does_not_cut_the_pause_short)
{
    asio::io_context context;
    asio::cancellation_signal stop;
    duet::acceptor_options options;
    duet::accept_failure last{};
    std::chrono::steady_clock::time_point failed_at;
    options.on_resource_failure = [&](duet::accept_failure const& failure)
    {
        last = failure;
        failed_at = accept_called_at;  // before the pause is reckoned
        if (failure.failures_in_a_row == 5)
            asio::post(context, [&] { stop.emit(asio::cancellation_type::terminal); });
    };
    duet::acceptor listening{context, loopback, options};
    auto client = raw_socket::connect(address_of(listening));
    injected.assign(5, ENFILE);
    bool cancelled = false;
    asio::co_spawn(context, next(listening),
        asio::bind_cancellation_slot(stop.slot(),
            [&](std::exception_ptr failure, duet::session)
            {
                cancelled = failure != nullptr;
                asio::co_spawn(context, serve_one(listening, client, "later"), asio::detached);
            }));
    context.run();
    BOOST_TEST(cancelled);
    BOOST_TEST(last.failures_in_a_row == 5u);
    BOOST_TEST((accept_called_at - failed_at >= 80ms));
    BOOST_TEST(listening.counters().accepted == 1u);
}

// P23, with the real limit. 5 + 10 + 20 + ... + 1000 ms: under 300 attempts a second by far.
BOOST_AUTO_TEST_CASE(p23_real_emfile_is_survived)
{
    asio::io_context context;
    int failures = 0;
    descriptor_limit* limited = nullptr;
    duet::acceptor_options options;
    options.on_resource_failure = [&](duet::accept_failure const& failure)
    {
        BOOST_TEST((failure.error == asio::error::no_descriptors));
        if (++failures == 3)
            limited->lift();
    };
    duet::acceptor listening{context, loopback, options};
    auto client = raw_socket::connect(address_of(listening));
    client.send_all("x");
    auto limit = descriptor_limit::room_for(0);
    limited = &limit;
    auto const session = run(context, next(listening), {.leftover = leftover_work::dropped});
    BOOST_TEST(failures == 3);
    BOOST_TEST(session.valid());
}

BOOST_AUTO_TEST_CASE(p24_an_error_of_the_listener_itself_is_thrown)
{
    for (int const each : {EBADF, EINVAL, EFAULT, ENOTSOCK})
    {
        asio::io_context context;
        duet::acceptor listening{context, loopback};
        injected = {each};
        auto const failed = run(context, outcome_of(next(listening)));
        BOOST_TEST(failed.code.value() == each);
        BOOST_TEST(failed.operation == "accept");
        BOOST_TEST(!listening.is_open());
    }
}

// P25: Linux accepts a connection that was reset in the queue; it cannot be asked for its endpoint any more.
BOOST_AUTO_TEST_CASE(p25_a_reset_in_the_accept_queue_yields_a_session_that_says_so)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto client = raw_socket::connect(address_of(listening));
    auto const port = client.local_port();
    client.reset();
    auto session = run(context, next(listening), {.leftover = leftover_work::dropped});
    BOOST_TEST(session.remote_endpoint().port() == port);
    auto const heard = run(context, read_to_end(session), {.leftover = leftover_work::dropped});
    BOOST_TEST((heard.code == condition::reset));
}

BOOST_AUTO_TEST_CASE(a_fin_in_the_accept_queue_is_read_after_the_data)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto client = raw_socket::connect(address_of(listening));
    client.send_all("bye");
    client.shutdown_write();
    auto session = run(context, next(listening), {.leftover = leftover_work::dropped});
    auto const heard = run(context, read_to_end(session), {.leftover = leftover_work::dropped});
    BOOST_TEST(heard.data == "bye");
    BOOST_TEST(!heard.code);
}

// P26: a full queue is silent to the client; the listener can at least tell.
BOOST_AUTO_TEST_CASE(p26_the_queue_tells_its_length_its_limit_and_that_it_was_full)
{
    asio::io_context context;
    duet::acceptor const listening{context, loopback, {.backlog = 1}};
    duet::error_code error;
    auto const before = listening.queue(error);
    BOOST_TEST(!error);
    BOOST_TEST(before.length == 0u);
    BOOST_TEST(before.limit == 1u);
    std::vector<raw_socket> clients;
    for (int i = 0; i < 6; ++i)
        clients.push_back(raw_socket::start_connect(address_of(listening)));
    eventually([&] { return listening.queue(error).length == 2; }, "two connections queued");
    eventually([&] { return listening.queue(error).overflows > before.overflows; }, "an overflow was counted");
}

// P27, P28: closing a listener resets whoever waits in its queue. close() takes them out first.
BOOST_AUTO_TEST_CASE(p27_close_resets_no_client_that_is_through)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    std::deque<raw_socket> clients;
    for (int i = 0; i < 50; ++i)
        clients.push_back(raw_socket::connect(address_of(listening)));
    auto const at = address_of(listening);
    listening.close();
    BOOST_TEST(!listening.is_open());
    // P28: nobody new is left hanging.
    auto late = raw_socket::start_connect(at);
    BOOST_TEST(late.wait_connected() == ECONNREFUSED);
    for (auto& client : clients)
        run(context, serve_one(listening, client, "still served"));
    auto const end = run(context, outcome_of(next(listening)));
    BOOST_TEST((end.code == errc::closed));
    BOOST_TEST((end.code == condition::closed));
    listening.close();  // again, harmless
}

BOOST_AUTO_TEST_CASE(close_ends_an_accept_that_waits)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    run(context,
        [](duet::acceptor& a) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::session> waiting{executor, next(a)};
            co_await settle();
            a.close();
            co_await expect_error(waiting.result(), errc::closed);
        }(listening));
}

// After a full batch, accept() gives way to the sessions before it looks again; then the listener may be closed.
BOOST_AUTO_TEST_CASE(close_ends_an_accept_that_gives_way)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback, {.batch = 1}};
    run(context,
        [](duet::acceptor& a) -> asio::awaitable<void>
        {
            auto client = raw_socket::connect(address_of(a));
            co_await serve_one(a, client, "a full batch");
            auto const executor = co_await asio::this_coro::executor;
            started<duet::session> giving_way{executor, next(a)};
            a.close();
            co_await expect_error(giving_way.result(), errc::closed);
        }(listening));
}

BOOST_AUTO_TEST_CASE(a_cancelled_accept_loses_no_connection)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    run(context,
        [](duet::acceptor& a) -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            started<duet::session> waiting{executor, next(a)};
            co_await settle();
            auto client = raw_socket::connect(address_of(a));
            waiting.cancel();
            co_await expect_error(waiting.result(), condition::cancelled);
            co_await serve_one(a, client, "the next call gets it");
        }(listening));
}

BOOST_AUTO_TEST_CASE(unix_path_is_removed_at_the_end_and_a_stale_one_taken_over)
{
    asio::io_context context;
    auto const path = "/tmp/duet-acceptor-" + std::to_string(::getpid());
    asio::local::stream_protocol::endpoint const endpoint{path};
    {
        // A listener that died: its file stays, nobody listens.
        asio::local::stream_protocol::acceptor const dead{context, endpoint};
    }
    BOOST_TEST(::access(path.c_str(), F_OK) == 0);
    {
        duet::unix_acceptor const listening{context, endpoint};
        auto const peer = raw_socket::connect(raw_address::local(path));
        BOOST_CHECK_THROW((duet::unix_acceptor{context, endpoint}), duet::session_error);  // this one is alive
        BOOST_TEST(::access(path.c_str(), F_OK) == 0);
    }
    BOOST_TEST(::access(path.c_str(), F_OK) != 0);
}

BOOST_AUTO_TEST_CASE(a_unix_path_that_another_has_taken_is_left_alone)
{
    asio::io_context context;
    auto const path = "/tmp/duet-acceptor-" + std::to_string(::getpid());
    asio::local::stream_protocol::endpoint const endpoint{path};
    std::optional<duet::unix_acceptor> old{std::in_place, context, endpoint};
    BOOST_REQUIRE(::unlink(path.c_str()) == 0);
    {
        duet::unix_acceptor const successor{context, endpoint};
        old.reset();
        BOOST_TEST(::access(path.c_str(), F_OK) == 0);
        auto const peer = raw_socket::connect(raw_address::local(path));
    }
    BOOST_TEST(::access(path.c_str(), F_OK) != 0);
}

BOOST_AUTO_TEST_CASE(an_inherited_descriptor_is_served)
{
    asio::io_context context;
    raw_listener source;
    int const copy = ::fcntl(source.fd(), F_DUPFD_CLOEXEC, 0);
    duet::acceptor listening{context, duet::inherited_descriptor{copy, "web"}};
    BOOST_TEST(listening.local_endpoint().port() == source.port());
    auto client = raw_socket::connect(source.address());
    run(context, serve_one(listening, client, "inherited"));
}

BOOST_AUTO_TEST_CASE(an_inherited_descriptor_that_does_not_listen_is_refused)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    auto const pair = connected_pair(raw_address::v4(0));
    BOOST_CHECK_THROW((duet::acceptor{context, duet::inherited_descriptor{pair.client.fd(), {}}}), duet::session_error);
    BOOST_CHECK_THROW((duet::acceptor{context, duet::inherited_descriptor{-1, {}}}), duet::session_error);
    raw_listener const tcp_listener;
    BOOST_CHECK_THROW(
        (duet::unix_acceptor{context, duet::inherited_descriptor{tcp_listener.fd(), {}}}), duet::session_error);
    // It listens, but what it yields has messages, not a stream.
    descriptor const messages{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    ::sockaddr const unnamed{AF_UNIX, {}};
    BOOST_REQUIRE(::bind(messages.get(), &unnamed, sizeof(unnamed.sa_family)) == 0);
    BOOST_REQUIRE(::listen(messages.get(), 1) == 0);
    BOOST_CHECK_THROW(
        (duet::unix_acceptor{context, duet::inherited_descriptor{messages.get(), {}}}), duet::session_error);
}
