// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What close() owes to clients that are on their way, and that it ends although more of them come.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.closing
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/faults.hpp"

#include <duet/server.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;
using duet::errc;
using unix_protocol = asio::local::stream_protocol;

namespace {

asio::ip::tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

/// A client whose SYN has arrived, and that does not get the answer until drop_nothing().
raw_socket half_open(raw_address const& to)
{
    descriptor socket{checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
    drop_incoming(socket.get(), loss::everything);
    BOOST_REQUIRE(::connect(socket.get(), to.data(), to.size()) != 0);
    BOOST_REQUIRE(errno == EINPROGRESS);
    return raw_socket{std::move(socket)};
}

/// Does it again until it takes less than `limit`: an overloaded machine stands still for a second now and then.
template <class Body>
bool eventually_within(std::chrono::milliseconds limit, Body const& body)
{
    for (int tries = 0; tries < 20; ++tries)
    {
        auto const before = std::chrono::steady_clock::now();
        body();
        if (std::chrono::steady_clock::now() - before < limit)
            return true;
    }
    return false;
}

/// The kernel repeats its SYN+ACK after a second: what is done so long before it reaches the client in time.
constexpr auto before_repetition = 900ms;

asio::awaitable<void> say_served(duet::session peer)
{
    co_await write(peer, "served");
}

asio::awaitable<std::size_t> accept_all(duet::acceptor& listening)
{
    std::size_t count = 0;
    for (;;)
    {
        try
        {
            auto session = co_await listening.accept();
            co_await say_served(std::move(session));
            ++count;
        }
        catch (duet::session_error const& error)
        {
            if (error.code() != errc::closed)
                throw;
            break;
        }
    }
    co_return count;
}

/// Many descriptors may be open for the time of a scope.
class many_descriptors
{
public:
    many_descriptors()
    {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        auto more = before_;
        more.rlim_cur = more.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &more);
    }

    ~many_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

/// Clients that connect and go, again and again, on threads of their own, until the end of the scope.
class flood
{
public:
    explicit flood(raw_address to) : to_{std::move(to)}
    {
        for (int i = 0; i < 3; ++i)
            threads_.emplace_back([this] { run(); });
        eventually([this] { return tried_ > 200; }, "the flood comes");
    }

    ~flood() { over_ = true; }

private:
    void run()
    {
        ::linger const at_once{1, 0};
        while (!over_)
        {
            descriptor const client{::socket(to_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
            ::connect(client.get(), to_.data(), to_.size());
            ++tried_;
            ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        }
    }

    raw_address to_;
    std::atomic<bool> over_{false};
    std::atomic<int> tried_{0};
    std::vector<std::jthread> threads_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(p28_a_client_whose_last_ack_is_late_is_served)
{
    asio::io_context context;
    std::optional<duet::acceptor> listening;
    raw_socket client;
    BOOST_REQUIRE(eventually_within(before_repetition,
        [&]
        {
            listening.emplace(context, loopback);
            client = half_open(raw_address::v4(listening->local_endpoint().port()));
            listening->close();
            BOOST_TEST(!listening->is_open());
            listening->close();  // again, harmless
            drop_nothing(client.fd());
        }));
    auto const served = run(context, accept_all(*listening));
    BOOST_TEST(served == 1U);
    BOOST_TEST(client.wait_connected() == 0);
    BOOST_TEST(client.recv_all().data == "served");
}

BOOST_AUTO_TEST_CASE(p28_a_drain_serves_a_client_whose_last_ack_is_late)
{
    for (std::size_t const threads : {1U, 2U})
    {
        asio::io_context context;
        auto options = on_loopback();
        options.threads = threads;
        std::optional<duet::server> serving;
        std::optional<started<duet::drain_report>> draining;
        std::vector<raw_socket> clients;
        BOOST_REQUIRE(eventually_within(before_repetition,
            [&]
            {
                clients.clear();
                serving.emplace(context, options, say_served);
                for (int i = 0; i < 8; ++i)  // they belong to different listeners
                    clients.push_back(half_open(raw_address::v4(serving->local_endpoint().port())));
                draining.emplace(context.get_executor(), drain(*serving, 20s));
                context.poll();
                for (auto const& each : clients)
                    drop_nothing(each.fd());
            }));
        run(context,
            [](std::vector<raw_socket>& all, started<duet::drain_report>& drain_under_way) -> asio::awaitable<void>
            {
                auto const hear = [&]
                {
                    int served = 0;
                    for (auto& each : all)
                    {
                        bool const heard = each.wait_connected() == 0 && each.recv_all().data == "served";
                        served += heard ? 1 : 0;
                        each.close();
                    }
                    return served;
                };
                auto const served = co_await in_thread(hear);
                BOOST_TEST(served == 8);
                auto const report = co_await drain_under_way.result();
                BOOST_TEST(report.aborted == 0U);
            }(clients, *draining));
    }
}

BOOST_AUTO_TEST_CASE(a_handshake_that_never_completes_is_not_waited_for_longer_than_1500_ms)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const at = raw_address::v4(listening.local_endpoint().port());
    auto const client = half_open(at);
    auto const before = std::chrono::steady_clock::now();
    listening.close();
    auto const served = run(context, accept_all(listening));
    auto const took = std::chrono::steady_clock::now() - before;
    BOOST_TEST(served == 0U);
    BOOST_TEST((took >= 1500ms));
    BOOST_TEST((took < 1500ms + run_guard));
    BOOST_TEST(raw_socket::start_connect(at).wait_connected() == ECONNREFUSED);
}

// While it waits for a handshake that has begun, a new client's SYN gets no answer: otherwise clients would keep
// coming.
BOOST_AUTO_TEST_CASE(a_client_that_comes_while_it_closes_is_not_let_in)
{
    asio::io_context context;
    duet::acceptor listening{context, loopback};
    auto const at = raw_address::v4(listening.local_endpoint().port());
    auto const before = raw_socket::start_connect(at);
    auto const begun = half_open(at);
    listening.close();
    auto late = raw_socket::start_connect(at);
    BOOST_TEST(state_of(before.fd()) == kernel_state::established);
    BOOST_TEST(state_of(late.fd()) == kernel_state::syn_sent);
    auto const served = run(context, accept_all(listening));
    BOOST_TEST(served == 1U);
    BOOST_TEST(late.wait_connected() == ECONNREFUSED);
}

BOOST_AUTO_TEST_CASE(destruction_and_abort_wait_for_no_handshake)
{
    asio::io_context context;
    auto const end_both = [&]
    {
        {
            duet::server serving{context, on_loopback(), say_served};
            auto const client = half_open(raw_address::v4(serving.local_endpoint().port()));
            serving.abort();
            run(context, drain(serving, 20s));
        }
        {
            duet::acceptor listening{context, loopback};
            auto const client = half_open(raw_address::v4(listening.local_endpoint().port()));
            listening.close();
        }
        require_end(context);
    };
    BOOST_TEST(eventually_within(1500ms, end_both));
}

// Nobody who was told that the connection is there is reset.
BOOST_AUTO_TEST_CASE(p28_a_drain_under_load_resets_nobody)
{
    for (std::size_t const threads : {1U, 2U})
    {
        for (int round = 0; round < 5; ++round)
        {
            asio::io_context context;
            auto options = on_loopback();
            options.threads = threads;
            duet::server serving{context, options, say_served};
            auto const at = raw_address::v4(serving.local_endpoint().port());
            std::atomic<int> served{0};
            std::atomic<int> cut{0};
            auto const connect_until_refused = [&]
            {
                for (;;)
                {
                    auto client = raw_socket::start_connect(at);
                    if (client.wait_connected() != 0)
                        break;
                    auto const heard = client.recv_all();
                    ++(heard.data == "served" && heard.error == 0 ? served : cut);
                }
            };
            std::vector<std::jthread> clients;
            for (int i = 0; i < 4; ++i)
                clients.emplace_back(connect_until_refused);
            serve(context, [&] { return served > 20; });
            run(context, drain(serving, 20s));
            clients.clear();
            BOOST_TEST(cut == 0);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_flood_does_not_keep_close_from_its_end)
{
    many_descriptors const limit;
    // A queue of 64 holds 65, and one more for each processor that adds a connection at the same moment.
    auto const most = 65U + std::thread::hardware_concurrency();
    asio::io_context context;
    {
        duet::acceptor listening{context, loopback, {.backlog = 64}};
        flood const clients{raw_address::v4(listening.local_endpoint().port())};
        listening.close();
        BOOST_TEST(listening.counters().accepted <= 2 * 65U);
    }
    {
        auto const path = "/tmp/duet-closing-" + std::to_string(::getpid());
        duet::unix_acceptor listening{context, unix_protocol::endpoint{path}, {.backlog = 64}};
        flood const clients{raw_address::local(path)};
        listening.close();
        BOOST_TEST(listening.counters().accepted <= 2 * 65U);
        BOOST_TEST(::access(path.c_str(), F_OK) != 0);
    }
    {
        raw_listener const source{raw_address::v4(0), 64};
        int const copy = ::fcntl(source.fd(), F_DUPFD_CLOEXEC, 0);
        duet::acceptor listening{context, duet::inherited_descriptor{copy, {}}};
        flood const clients{source.address()};
        listening.close();
        BOOST_TEST(listening.counters().accepted <= most);
    }
    {
        auto const name = raw_address::local(std::string(1, '\0') + "duet-closing-" + std::to_string(::getpid()));
        raw_listener const source{name, 64};
        int const copy = ::fcntl(source.fd(), F_DUPFD_CLOEXEC, 0);
        duet::unix_acceptor listening{context, duet::inherited_descriptor{copy, {}}};
        flood const clients{name};
        listening.close();
        BOOST_TEST(listening.counters().accepted <= 4097U);
    }
}
