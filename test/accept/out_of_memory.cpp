// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// An acceptor that is out of memory at every allocation in turn: its accept fails or goes on, no descriptor is left,
// and a later accept works.

#include <duet/acceptor.hpp>

#define BOOST_TEST_MODULE accept.out_of_memory
#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"
#include "support/failing_allocations.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <utility>
#include <vector>

using namespace duet_test;
using tcp = asio::ip::tcp;

#if !defined(DUET_TEST_KEEPS_OPERATOR_NEW)

namespace {

tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

/// What came of one accept.
struct outcome
{
    bool accepted = false;
    std::exception_ptr failure;
    bool escaped = false;  // Asio had no memory: the exception left run(), and the coroutine is destroyed
};

asio::awaitable<void> accept_one(duet::acceptor& listening, asio::any_io_executor executor, outcome& result)
{
    duet::session const session = co_await listening.accept(executor);
    result.accepted = true;
}

void run_to_the_end(asio::io_context& context, outcome& result)
{
    auto const deadline = std::chrono::steady_clock::now() + run_guard;
    context.restart();
    while (!context.stopped() && std::chrono::steady_clock::now() < deadline)
    {
        try
        {
            context.run_until(deadline);
        }
        catch (std::bad_alloc const&)
        {
            result.escaped = true;
        }
    }
}

void start(asio::io_context& context, duet::acceptor& listening, asio::any_io_executor const& executor, outcome& result)
{
    auto on_end = [&](std::exception_ptr thrown) { result.failure = std::move(thrown); };
    asio::co_spawn(context, accept_one(listening, executor, result), on_end);
}

/// Accept once, and let one allocation fail; then accept once more. `waits`: the client comes while the accept waits.
/// `elsewhere`: the session gets another context. False: there were fewer allocations.
bool accept_without_memory(bool waits, bool elsewhere, long before)
{
    no_leaked_descriptors const watched;
    bool all_failed = false;
    asio::io_context context;
    asio::io_context other;
    prepare(context);
    duet::acceptor listening{context, loopback};
    auto const address = raw_address::v4(listening.local_endpoint().port());
    auto const executor =
        elsewhere ? asio::any_io_executor{other.get_executor()} : asio::any_io_executor{context.get_executor()};
    std::optional<raw_socket> client;
    auto connect = [&] { client = raw_socket::connect(address); };
    outcome first;
    if (waits)
        asio::post(context, connect);
    else
        connect();
    start(context, listening, executor, first);
    allocations_before_failure = before;
    allocations_to_fail = 1;
    // One accept may have given up its connection for lack of memory, and wait for the next.
    auto const next = std::chrono::steady_clock::now() + run_guard;
    while (!first.accepted && !first.failure && !first.escaped && std::chrono::steady_clock::now() < next)
    {
        try
        {
            context.restart();
            context.run_one_for(std::chrono::milliseconds{50});
        }
        catch (std::bad_alloc const&)
        {
            first.escaped = true;
        }
        if (listening.counters().resource_failures > 0 && allocations_to_fail == 0 && client)
            connect();
    }
    all_failed = std::exchange(allocations_to_fail, 0) == 0;
    BOOST_TEST((first.accepted || first.failure || first.escaped));
    BOOST_TEST((!first.failure || is_of_memory(first.failure)));
    if (first.failure || first.escaped)
        BOOST_TEST(all_failed);
    outcome second;
    start(context, listening, executor, second);
    auto const later = raw_socket::connect(address);
    run_to_the_end(context, second);
    BOOST_TEST_INFO("it hangs");
    BOOST_TEST(context.stopped());
    BOOST_TEST(second.accepted);
    return all_failed;
}

void accept_without_memory(bool waits, bool elsewhere)
{
    long before = 0;
    for (bool failed = true; failed; ++before)
        BOOST_TEST_CONTEXT("allocation " << before) failed = accept_without_memory(waits, elsewhere, before);
    BOOST_TEST(before > 3);
}

asio::awaitable<void> accept_all(duet::acceptor& listening, std::size_t& count)
{
    for (;; ++count)
        duet::session const session = co_await listening.accept();
}

/// Accept a whole batch while one allocation fails: at most one client is lost. False: there were fewer allocations.
bool accept_batch_without_memory(long before)
{
    constexpr std::size_t clients = 40;
    no_leaked_descriptors const watched;
    asio::io_context context;
    prepare(context);
    duet::acceptor listening{context, loopback};
    std::vector<raw_socket> queued;
    while (queued.size() < clients)
        queued.push_back(raw_socket::connect(raw_address::v4(listening.local_endpoint().port())));
    std::size_t count = 0;
    outcome all;
    asio::co_spawn(
        context, accept_all(listening, count), [&](std::exception_ptr thrown) { all.failure = std::move(thrown); });
    allocations_before_failure = before;
    allocations_to_fail = 1;
    auto const deadline = std::chrono::steady_clock::now() + run_guard;
    while (count + 1 < clients && !all.failure && !all.escaped && std::chrono::steady_clock::now() < deadline)
    {
        try
        {
            context.restart();
            context.run_one_until(deadline);
        }
        catch (std::bad_alloc const&)
        {
            all.escaped = true;
        }
    }
    bool const all_failed = std::exchange(allocations_to_fail, 0) == 0;
    BOOST_TEST((count + 1 >= clients || all_failed));
    BOOST_TEST((!all.failure || is_of_memory(all.failure)));
    return all_failed;
}

}  // namespace

BOOST_AUTO_TEST_CASE(of_many_clients_that_are_there)
{
    long before = 0;
    for (bool failed = true; failed; ++before)
        BOOST_TEST_CONTEXT("allocation " << before) failed = accept_batch_without_memory(before);
    BOOST_TEST(before > 40);
}

BOOST_AUTO_TEST_CASE(of_a_client_that_is_there)
{
    accept_without_memory(false, false);
}

BOOST_AUTO_TEST_CASE(of_a_client_that_comes_later)
{
    accept_without_memory(true, false);
}

BOOST_AUTO_TEST_CASE(of_a_session_for_another_context)
{
    accept_without_memory(false, true);
}

#endif
