// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A server whose threads belong to the program: a pool, an io_context that several threads run, a context of its own.
// (ThreadSanitizer is a judge of all of this.)

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.executors
#include <boost/test/unit_test.hpp>

#include "serve/executors_fixture.hpp"

#include <duet/canceller.hpp>
#include <duet/remote.hpp>
#include <duet/tasks.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>

#include <cerrno>
#include <functional>
#include <latch>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

/// Serve clients at once, and drain; the handlers of a strand run one at a time.
template <class Handler, class Where>
void serves(Where&& where, std::size_t count)
{
    watched_executors watched;
    duet::server serving{where, strands(count), Handler{watched}};
    auto clients = clients_of(serving);
    exchange(clients, 10);
    BOOST_TEST(serving.counters().active == static_cast<std::uint64_t>(client_count));
    leave(clients);
    auto idle = clients_of(serving, 3);
    eventually([&] { return serving.counters().active == 3; }, "the idle ones are served");
    auto const leaving = leave_in_a_drain(idle);
    auto const report = drain_elsewhere(serving, 20s);
    BOOST_TEST(report.finished == 3U);
    BOOST_TEST(report.aborted == 0U);
    auto const counted = serving.counters();
    BOOST_TEST(counted.accepted == static_cast<std::uint64_t>(client_count + 3));
    BOOST_TEST(counted.completed == counted.accepted);
    BOOST_TEST(counted.bytes_received == static_cast<std::uint64_t>(client_count * 10 * 5));
    BOOST_TEST(counted.active == 0U);
    BOOST_TEST(!watched.overlapped);
    BOOST_TEST(watched.executors() <= count);
    BOOST_TEST(watched.executors() >= (count > 1 ? 2U : 1U));  // the kernel spreads 32 connections over 4 listeners
}

template <class Where>
void serves_both_handlers(Where&& where, std::size_t count)
{
    serves<watched_echo>(where, count);
    serves<watched_answer>(where, count);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_pool_serves_on_one_strand)
{
    asio::thread_pool pool{4};
    serves_both_handlers(pool, 1);
}

BOOST_AUTO_TEST_CASE(a_pool_serves_on_several_strands)
{
    asio::thread_pool pool{4};
    serves_both_handlers(pool, 4);
    serves_both_handlers(asio::any_io_executor{pool.get_executor()}, 4);
}

BOOST_AUTO_TEST_CASE(an_io_context_that_two_threads_run_serves_by_its_executor)
{
    shared_context shared;
    serves_both_handlers(shared.context.get_executor(), 4);
}

BOOST_AUTO_TEST_CASE(a_strand_of_the_program_serves)
{
    shared_context shared;
    auto const strand = asio::make_strand(shared.context);
    serves_both_handlers(strand, 1);
    serves_both_handlers(strand, 4);
}

BOOST_AUTO_TEST_CASE(a_context_of_the_program_serves)
{
    own_context own{3};
    serves_both_handlers(own, 4);
    serves_both_handlers(own.get_executor(), 1);
}

// A handler waits until one on another strand runs, too.
BOOST_AUTO_TEST_CASE(strands_run_at_the_same_time)
{
    asio::thread_pool pool{4};
    std::latch both{2};
    std::mutex mutex;
    std::vector<asio::any_io_executor> seen;
    auto const meet = [&](duet::session peer) -> asio::awaitable<void>
    {
        bool first = false;
        {
            std::lock_guard const lock{mutex};
            auto const executor = peer.get_executor();
            first = seen.empty() || (seen.size() == 1 && seen.front() != executor);
            if (first)
                seen.push_back(executor);
        }
        if (first)
            both.arrive_and_wait();
        co_await echo(std::move(peer));
    };
    duet::server serving{pool, strands(4), meet};
    auto clients = clients_of(serving);
    exchange(clients, 1);
    BOOST_TEST(both.try_wait());
    leave(clients);
}

BOOST_AUTO_TEST_CASE(what_a_session_begins_runs_on_its_strand)
{
    asio::thread_pool pool{4};
    watched_executors watched;
    auto const with_tasks = [&](duet::session peer) -> asio::awaitable<void>
    {
        auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
        {
            auto const step = [&]() -> asio::awaitable<void>
            {
                for (int i = 0; i < 20; ++i)
                {
                    watched.step(peer);
                    co_await asio::post(asio::use_awaitable);
                }
            };
            tasks.begin(step);
            tasks.begin(step);
            co_await step();
        };
        co_await duet::with_tasks(body);
        co_await write(peer, "hello");
    };
    duet::server serving{pool, strands(2), with_tasks};
    auto clients = clients_of(serving);
    for (auto& each : clients)
        each.shutdown_write();
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().data == "hello");
    BOOST_TEST(!watched.overlapped);
}

BOOST_AUTO_TEST_CASE(other_threads_reach_a_session)
{
    asio::thread_pool pool{4};
    std::mutex mutex;
    std::vector<duet::remote<duet::session>> members;
    duet::canceller last;
    auto const join = [&](duet::session peer) -> asio::awaitable<void>
    {
        {
            std::lock_guard const lock{mutex};
            members.emplace_back(peer);
            last = peer.canceller();
        }
        co_await polite<duet::session>(std::move(peer));
    };
    duet::server serving{pool, strands(4), join};
    auto clients = clients_of(serving, 8);
    auto const joined = [&]
    {
        std::lock_guard const lock{mutex};
        return members.size();
    };
    eventually([&] { return joined() == 8; }, "all are served");
    {
        std::lock_guard const lock{mutex};
        for (auto const& each : members)
            BOOST_TEST(each.post([](duet::session const& s) { return s.bytes_sent(); }, asio::use_future).get() == 0U);
        last.abort();
    }
    eventually([&] { return serving.counters().active == 7; }, "one was aborted");
    BOOST_TEST(serving.counters().ended(duet::close_reason::aborted) == 1U);
}

// Also while the drain began on a strand of the server's own.
BOOST_AUTO_TEST_CASE(a_handler_drains_its_server)
{
    asio::thread_pool pool{4};
    std::optional<duet::server> serving;
    std::promise<duet::drain_report> reported;
    auto const drains = [&](duet::session peer) -> asio::awaitable<void>
    {
        auto const line = co_await read(peer);
        if (line != "drain")
            co_return;
        auto const waits = [](duet::server& s, std::promise<duet::drain_report>& told) -> asio::awaitable<void>
        {
            auto const report = co_await s.drain(20s);
            told.set_value(report);
        };
        asio::co_spawn(peer.get_executor(), waits(*serving, reported), asio::detached);
    };
    serving.emplace(pool, strands(4), drains);
    auto clients = clients_of(*serving, 9);
    eventually([&] { return serving->counters().active == 9; }, "all are served");
    clients.back().send_all("drain");
    auto const leaving = leave_in_a_drain(clients);
    auto result = reported.get_future();
    BOOST_REQUIRE((result.wait_for(run_guard) == std::future_status::ready));
    auto const report = result.get();
    BOOST_TEST(report.aborted == 0U);
    BOOST_TEST(serving->counters().accepted == 9U);
    BOOST_TEST(serving->counters().active == 0U);
    BOOST_TEST(!serving->ready());
    pool.join();  // nothing is left to do
}

BOOST_AUTO_TEST_CASE(a_drain_that_is_cancelled_goes_on)
{
    asio::thread_pool pool{2};
    duet::server serving{pool, strands(2), echo};
    auto clients = clients_of(serving, 1);
    clients.front().send_all("half");
    BOOST_TEST(clients.front().recv_exactly(4) == "half");
    asio::io_context elsewhere;
    asio::cancellation_signal cancel;
    std::exception_ptr failure;
    asio::co_spawn(elsewhere, serving.drain(1h),
        asio::bind_cancellation_slot(
            cancel.slot(), [&](std::exception_ptr const& thrown, duet::drain_report const&) { failure = thrown; }));
    elsewhere.poll();
    BOOST_TEST(!serving.ready());
    cancel.emit(asio::cancellation_type::terminal);
    elsewhere.run_for(run_guard);
    BOOST_REQUIRE((failure != nullptr));
    BOOST_CHECK_EXCEPTION(std::rethrow_exception(failure), boost::system::system_error,
        [](boost::system::system_error const& error) { return error.code() == duet::condition::cancelled; });
    leave(clients);
    pool.join();
    BOOST_TEST(serving.counters().completed == 1U);
}

BOOST_AUTO_TEST_CASE(an_abort_resets_all_strands)
{
    asio::thread_pool pool{4};
    counted_handlers handlers;
    duet::server serving{pool, strands(4), handlers.handler()};
    auto clients = clients_of(serving);
    exchange(clients, 1);
    serving.abort();
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().error == ECONNRESET);
    auto const report = drain_elsewhere(serving, 20s);
    BOOST_TEST(report.aborted == static_cast<std::size_t>(client_count));
    BOOST_TEST(handlers.running == 0);
    pool.join();
}
