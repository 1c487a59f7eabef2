// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server and a crowd of clients: who is served meanwhile, and what becomes of those who come during a drain.

#define BOOST_TEST_MODULE serve.crowd
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> say_served(duet::session peer)
{
    co_await write(peer, "served");
}

/// A client that has been let in, what it heard, or the error of its connect.
struct fate
{
    int connect_error = 0;
    received heard{};
};

std::vector<fate> fates_of(std::vector<raw_socket>& clients)
{
    std::vector<fate> result;
    for (auto& each : clients)
    {
        auto& one = result.emplace_back();
        one.connect_error = each.wait_connected();
        if (one.connect_error == 0)
            one.heard = each.recv_all();
        each.close();
    }
    return result;
}

// Of a server with this limit on its sessions, or none.
void flood(std::size_t limit)
{
    constexpr std::size_t crowd = 300;
    asio::io_context context;
    duet::server* served = nullptr;
    raw_socket asking;
    std::vector<std::uint64_t> accepted;  // at each question
    auto const answer = [&](duet::session peer) -> asio::awaitable<void>
    {
        bool const asks = accepted.empty();
        if (!asks)
            co_return co_await say_served(std::move(peer));
        for (;;)
        {
            accepted.push_back(served->counters().accepted);
            auto const question = co_await read(peer);
            if (question.empty())
                break;
            if (served->counters().accepted <= crowd)
                asking.send_all("?");
        }
    };
    duet::server serving{context, on_loopback({.max_sessions = limit}), answer};
    served = &serving;
    asking = client_of(serving);
    serve(context, [&] { return accepted.size() == 1; });
    std::vector<raw_socket> clients;
    for (std::size_t i = 0; i < crowd; ++i)
        clients.push_back(client_of(serving));
    asking.send_all("?");
    serve(context, [&] { return serving.counters().accepted > crowd; });
    for (std::size_t i = 1; i < accepted.size(); ++i)
        BOOST_TEST(accepted[i] - accepted[i - 1] <= 32U);
    BOOST_TEST(accepted.size() > crowd / 32U);
    BOOST_TEST(accepted.size() < crowd / 4U);
    for (auto& each : clients)
        each.shutdown_write();
    serve(context, [&] { return serving.counters().completed == crowd; });
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().data == "served");
}

}  // namespace

// Clients keep coming, and one that is there already asks its questions: it waits for batches, and not for the crowd.
BOOST_AUTO_TEST_CASE(a_flood_of_clients_does_not_keep_a_session_from_its_turns)
{
    flood(0);
}

// A client that has to wait for a place is left in the kernel's queue; the others need no turns of their own for that.
BOOST_AUTO_TEST_CASE(a_flood_below_the_limit_comes_in_batches)
{
    flood(1000);
}

// P28: a client comes at each step of a drain. Each is served or refused, and none is reset.
BOOST_AUTO_TEST_CASE(p28_clients_that_connect_at_any_moment_of_a_drain_are_served_or_refused)
{
    asio::io_context context;
    duet::server serving{context, on_loopback(), say_served};
    auto const at = raw_address::v4(serving.local_endpoint().port());
    std::vector<raw_socket> clients;
    auto const step = [&]
    {
        context.restart();
        context.poll_one();
        clients.push_back(raw_socket::start_connect(at));
    };
    for (int i = 0; i < 20; ++i)
        step();
    started<duet::drain_report> draining{context.get_executor(), drain(serving, 20s)};
    for (int i = 0; i < 100; ++i)
        step();
    auto const tell = [&] { return fates_of(clients); };
    auto const end = [&]() -> asio::awaitable<std::vector<fate>>
    {
        auto fates = co_await in_thread(tell);
        auto const report = co_await draining.result();
        BOOST_TEST(report.aborted == 0U);
        co_return fates;
    };
    auto const fates = run(context, end());
    std::size_t served = 0;
    std::size_t refused = 0;
    for (auto const& each : fates)
    {
        if (each.connect_error == 0)
        {
            BOOST_TEST(each.heard.data == "served");
            BOOST_TEST(each.heard.error == 0);
            ++served;
        }
        else
        {
            BOOST_TEST(each.connect_error == ECONNREFUSED);
            ++refused;
        }
    }
    BOOST_TEST(served >= 20U);
    BOOST_TEST(refused > 0U);
}
