// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// How a server on strands ends: destruction at any moment and on any thread; failures of a handler and of a listener;
// the limit on sessions; and where its listeners come from.

#include <duet/server.hpp>

#define BOOST_TEST_MODULE serve.executors_end
#include <boost/test/unit_test.hpp>

#include "serve/executors_fixture.hpp"
#include "support/forked.hpp"

#include <duet/detail/serve/shard_strand.hpp>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

asio::ip::tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};

/// Answers a line, until the client ends.
void require_service(duet::server const& serving)
{
    auto clients = clients_of(serving, 2);
    exchange(clients, 2);
    leave(clients);
}

std::exception_ptr failure_of(auto const& call)
{
    try
    {
        call();
    }
    catch (...)
    {
        return std::current_exception();
    }
    return nullptr;
}

duet::error_code code_of(std::exception_ptr const& failure)
{
    BOOST_REQUIRE((failure != nullptr));
    try
    {
        std::rethrow_exception(failure);
    }
    catch (duet::session_error const& error)
    {
        return error.code();
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_strand_stands_still_for_another_thread)
{
    asio::thread_pool pool{2};
    duet::detail::shard_strand const strand{pool.get_executor()};
    std::latch busy{1};
    std::latch go_on{1};
    int shared = 0;
    asio::post(strand.executor(),
        [&]
        {
            ++shared;
            busy.count_down();
            go_on.wait();
            ++shared;
        });
    busy.wait();
    auto const change = [&] { ++shared; };
    BOOST_TEST(!strand.stop_for(change, std::chrono::steady_clock::now()));
    go_on.count_down();
    BOOST_TEST(strand.stop_for(change, std::chrono::steady_clock::now() + run_guard));
    bool stopped = false;
    bool overlapped = false;
    auto const post_and_go_on = [&]
    {
        stopped = true;
        asio::post(strand.executor(), [&] { overlapped = overlapped || stopped; });
        for (int i = 0; i < 100; ++i)  // the pool's other thread has a hundred turns meanwhile
        {
            std::latch turn{1};
            asio::post(pool, [&] { turn.count_down(); });
            turn.wait();
        }
        stopped = false;
    };
    BOOST_TEST(strand.stop_for(post_and_go_on, std::chrono::steady_clock::now() + run_guard));
    asio::post(strand.executor(), [&] { strand.stop_for(change, {}); });  // it runs here
    pool.join();
    BOOST_TEST(shared == 2 + 1 + 1);
    BOOST_TEST(!overlapped);
}

BOOST_AUTO_TEST_CASE(destruction_in_the_middle_of_traffic_resets_every_session_and_ends_every_handler)
{
    no_leaked_descriptors const watched;
    for (std::size_t const count : {1U, 4U})
    {
        asio::thread_pool pool{4};
        counted_handlers handlers;
        std::optional<duet::server> serving{std::in_place, pool, strands(count), handlers.handler()};
        traffic talking{*serving};
        BOOST_TEST(handlers.running == 8);
        serving.reset();
        BOOST_TEST(handlers.running == 0);
        require_resets(talking.errors());
    }
}

BOOST_AUTO_TEST_CASE(destruction_cancels_what_a_handler_waits_for)
{
    no_leaked_descriptors const watched;
    asio::thread_pool pool{2};
    std::atomic<int> cancelled = 0;
    auto const waits = [&](duet::session peer) -> asio::awaitable<void>
    {
        asio::use_awaitable_t<> const token;
        asio::steady_timer timer{peer.get_executor(), 1h};
        duet::error_code error;
        co_await timer.async_wait(asio::redirect_error(token, error));
        if (error == asio::error::operation_aborted)
            ++cancelled;
    };
    std::optional<duet::server> serving{std::in_place, pool, strands(2), waits};
    auto const clients = clients_of(*serving, 4);
    eventually([&] { return serving->counters().active == 4; }, "all are served");
    serving.reset();
    BOOST_TEST(cancelled == 4);
}

BOOST_AUTO_TEST_CASE(a_server_may_be_destroyed_on_a_strand_of_its_own)
{
    no_leaked_descriptors const watched;
    for (std::size_t const count : {1U, 4U})
    {
        asio::thread_pool pool{4};
        counted_handlers handlers;
        std::optional<duet::server> serving;
        std::promise<asio::any_io_executor> inside;
        std::atomic<bool> told = false;
        auto inner = handlers.handler();
        auto const handler = [&](duet::session peer) -> asio::awaitable<void>
        {
            if (!told.exchange(true))
                inside.set_value(peer.get_executor());
            co_await inner(std::move(peer));
        };
        serving.emplace(pool, strands(count), handler);
        auto clients = clients_of(*serving, 8);
        exchange(clients, 1);
        auto const executor = inside.get_future().get();
        asio::post(executor, [&] { serving.reset(); });
        for (auto& each : clients)
            BOOST_TEST(each.recv_all().error == ECONNRESET);
        pool.join();
        BOOST_TEST(handlers.running == 0);
        clients.clear();
    }
}

// Where nothing of the server can run before the destructor has returned.
BOOST_AUTO_TEST_CASE(a_server_may_be_destroyed_on_the_strand_that_it_was_given)
{
    no_leaked_descriptors const watched;
    asio::thread_pool pool{4};
    counted_handlers handlers;
    auto const strand = asio::make_strand(pool);
    std::optional<duet::server> serving{std::in_place, strand, strands(2), handlers.handler()};
    auto clients = clients_of(*serving, 4);
    exchange(clients, 1);
    asio::post(strand, [&] { serving.reset(); });
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().error == ECONNRESET);
    pool.join();
    BOOST_TEST(handlers.running == 0);
    clients.clear();
}

// Its strands never run again, and nobody waits for them.
BOOST_AUTO_TEST_CASE(a_server_whose_pool_has_ended_resets_its_sessions_at_once)
{
    no_leaked_descriptors const watched;
    counted_handlers handlers;
    std::deque<raw_socket> clients;
    {
        asio::thread_pool pool{2};
        duet::server serving{pool, strands(2), handlers.handler()};
        clients = clients_of(serving, 4);
        exchange(clients, 1);
        pool.stop();
        pool.join();
        std::optional<duet::server> other{std::in_place, pool, strands(1), echo};
        other.reset();
        BOOST_TEST(handlers.running == 4);
    }
    BOOST_TEST(handlers.running == 0);
    for (auto& each : clients)
        BOOST_TEST(each.recv_all().error == ECONNRESET);
    clients.clear();
}

BOOST_AUTO_TEST_CASE(a_server_whose_context_was_never_run_may_be_destroyed)
{
    no_leaked_descriptors const watched;
    asio::io_context context;
    int calls = 0;
    auto const handler = [&](duet::session) -> asio::awaitable<void>
    {
        ++calls;
        co_return;
    };
    {
        duet::server const serving{context.get_executor(), strands(2), handler};
        auto const client = client_of(serving);
    }
    context.run_for(run_guard);
    BOOST_TEST(context.stopped());
    BOOST_TEST(calls == 0);
}

// The others are reset without waiting for it. It ends when it lets its thread go.
BOOST_AUTO_TEST_CASE(a_handler_that_keeps_its_thread_delays_its_own_strand_alone)
{
    no_leaked_descriptors const watched;
    asio::thread_pool pool{2};
    std::latch go_on{1};
    std::latch busy{1};
    std::atomic<int> ended = 0;
    std::optional<duet::server> keeper;
    auto const keeps = [&](duet::session peer) -> asio::awaitable<void>
    {
        busy.count_down();
        go_on.wait();
        co_await read(peer);
        ++ended;
    };
    keeper.emplace(pool, strands(1), keeps);
    auto client = client_of(*keeper);
    busy.wait();
    keeper.reset();  // a second later
    BOOST_TEST(ended == 0);
    go_on.count_down();
    BOOST_TEST(client.recv_all().error == ECONNRESET);
    pool.join();
    client.close();
}

BOOST_AUTO_TEST_CASE(an_exception_ends_its_own_session)
{
    asio::thread_pool pool{4};
    std::atomic<int> told = 0;
    auto options = strands(4);
    options.on_session_end = [&](duet::session_end const& end)
    {
        if (end.failure && end.what() == "no")
            ++told;
    };
    auto const handler = [](duet::session peer) -> asio::awaitable<void>
    {
        auto const line = co_await read(peer);
        if (line == "throw")
            throw std::runtime_error{"no"};
        co_await write(peer, line);
        co_await echo(std::move(peer));
    };
    duet::server serving{pool, options, handler};
    auto failing = clients_of(serving, 8);
    for (auto& each : failing)
        each.send_all("throw");
    for (auto& each : failing)
        BOOST_TEST(each.recv_all().error == ECONNRESET);
    require_service(serving);
    eventually([&] { return serving.counters().active == 0; }, "all have ended");
    BOOST_TEST(serving.counters().handler_failures == 8U);
    BOOST_TEST(serving.counters().completed == 2U);
    BOOST_TEST(told == 8);
}

BOOST_AUTO_TEST_CASE(the_limit_on_sessions_holds_over_all_strands)
{
    asio::thread_pool pool{4};
    duet::server_options options;
    options.max_sessions = 3;
    duet::server serving{pool, strands(4, options), echo};
    auto clients = clients_of(serving, 12);
    for (auto& each : clients)
        each.send_all("hello");
    eventually([&] { return serving.counters().active == 3; }, "the places are taken");
    for (int ended = 0; ended < 12; ++ended)  // whoever is answered makes room for another
    {
        BOOST_TEST(serving.counters().active <= 3U);
        auto const answered = [](raw_socket& each)
        { return each.is_open() && ::recv(each.fd(), nullptr, 0, MSG_PEEK | MSG_DONTWAIT) == 0; };
        eventually([&] { return std::any_of(clients.begin(), clients.end(), answered); }, "one is answered");
        auto const one = std::find_if(clients.begin(), clients.end(), answered);
        BOOST_TEST(one->recv_exactly(5) == "hello");
        one->shutdown_write();
        BOOST_TEST(one->recv_all().error == 0);
        one->close();
    }
    BOOST_TEST(serving.counters().accepted == 12U);
}

BOOST_AUTO_TEST_CASE(clients_beyond_the_limit_are_shed_by_all_strands)
{
    asio::thread_pool pool{4};
    duet::server_options options;
    options.max_sessions = 2;
    options.at_limit = duet::limit_policy::shed;
    duet::server serving{pool, strands(4, options), echo};
    auto served = clients_of(serving, 2);
    exchange(served, 1);
    for (auto& each : clients_of(serving, 10))
        BOOST_TEST(each.recv_all().error == ECONNRESET);
    BOOST_TEST(serving.counters().shed == 10U);
    leave(served);
}

BOOST_AUTO_TEST_CASE(a_listener_that_fails_is_told_on_the_first_strand)
{
    asio::thread_pool pool{4};
    duet::acceptor listening{pool, loopback};
    int const listener = listening.native_handle();
    duet::server serving{pool, std::move(listening), strands(1), echo};
    auto clients = clients_of(serving, 1);
    exchange(clients, 1);
    std::promise<void> told;
    serving.on_listener_failure([&] { told.set_value(); });
    ::shutdown(listener, SHUT_RDWR);
    told.get_future().get();
    BOOST_TEST((serving.listener_failure() != nullptr));
    exchange(clients, 1);
    leave(clients);
    std::promise<void> again;
    serving.on_listener_failure([&] { again.set_value(); });
    again.get_future().get();
}

// Its hook is not called after that, and may itself destroy it.
BOOST_AUTO_TEST_CASE(a_failure_hook_may_destroy_its_server)
{
    no_leaked_descriptors const watched;
    asio::thread_pool pool{2};
    duet::acceptor listening{pool, loopback};
    int const listener = listening.native_handle();
    std::optional<duet::server> serving{std::in_place, pool, std::move(listening), strands(2), echo};
    std::atomic<int> calls = 0;
    serving->on_listener_failure(
        [&]
        {
            ++calls;
            serving.reset();
        });
    ::shutdown(listener, SHUT_RDWR);  // both listeners: they are one socket
    pool.join();
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE(threads_of_the_program_are_not_pinned)
{
    no_leaked_descriptors const watched;
    asio::thread_pool pool{1};
    duet::server_options options;
    options.pin_threads = true;
    auto const make = [&] { duet::server const serving{pool, strands(2, options), echo}; };
    BOOST_TEST(code_of(failure_of(make)) == asio::error::invalid_argument);
}

// Whose context is never run. Each strand has a listener with a queue of its own; the early client is in the
// acceptor's.
BOOST_AUTO_TEST_CASE(an_acceptor_moves_to_the_servers_strand)
{
    no_leaked_descriptors const watched;
    asio::io_context other;
    duet::acceptor_options accepts;
    accepts.reuse_port = true;
    accepts.session.no_delay = false;
    duet::acceptor listening{other, loopback, accepts};
    auto early = raw_socket::connect(raw_address::v4(listening.local_endpoint().port()));
    asio::thread_pool pool{4};
    std::atomic<int> as_opted = 0;
    auto const handler = [&](duet::session peer) -> asio::awaitable<void>
    {
        asio::ip::tcp::no_delay value;
        peer.lowest_layer().get_option(value);
        if (!value.value())
            ++as_opted;
        co_await echo(std::move(peer));
    };
    duet::server serving{pool, std::move(listening), strands(3), handler};
    auto clients = clients_of(serving);
    clients.push_back(std::move(early));
    exchange(clients, 1);
    leave(clients);
    BOOST_TEST(as_opted == client_count + 1);
}

BOOST_AUTO_TEST_CASE(inherited_listeners_have_a_strand_each)
{
    no_leaked_descriptors const watched;
    asio::io_context before;
    duet::acceptor const one{before, loopback};
    duet::acceptor const two{before, loopback};
    auto const copy = [](duet::acceptor const& of)
    {
        return duet::inherited_descriptor{
            ::fcntl(const_cast<duet::acceptor&>(of).native_handle(), F_DUPFD_CLOEXEC, 0), {}};
    };
    std::vector<duet::inherited_descriptor> const inherited{copy(one), copy(two)};
    asio::thread_pool pool{4};
    watched_executors watched_by;
    duet::server const serving{pool, inherited, strands(1), watched_echo{watched_by}};
    std::deque<raw_socket> clients;
    for (auto const* const each : {&one, &two})
        clients.push_back(raw_socket::connect(raw_address::v4(each->local_endpoint().port())));
    exchange(clients, 2);
    leave(clients);
    BOOST_TEST(watched_by.executors() == 2U);
}

BOOST_AUTO_TEST_CASE(a_unix_server_runs_on_strands)
{
    no_leaked_descriptors const watched;
    auto const path =
        (std::filesystem::temp_directory_path() / ("duet-executors-" + std::to_string(::getpid()))).string();
    asio::thread_pool pool{2};
    watched_executors watched_by;
    {
        duet::unix_server serving{pool, duet::unix_acceptor{pool, asio::local::stream_protocol::endpoint{path}},
            strands(2), watched_echo{watched_by}};
        std::deque<raw_socket> clients;
        for (int i = 0; i < 8; ++i)
            clients.push_back(raw_socket::connect(raw_address::local(path)));
        exchange(clients, 5);
        leave(clients);
        drain_elsewhere(serving, 20s);
    }
    BOOST_TEST(!watched_by.overlapped);
    BOOST_TEST(::access(path.c_str(), F_OK) != 0);
}

#if !defined(__SANITIZE_THREAD__)
BOOST_AUTO_TEST_CASE(a_child_that_destroys_its_copy_changes_nothing_for_the_parent)
{
    asio::thread_pool pool{2};
    std::optional<duet::server> serving{std::in_place, pool, strands(2), echo};
    auto clients = clients_of(*serving, 4);
    exchange(clients, 1);
    BOOST_TEST(in_child([&] { serving.reset(); }) == 0);
    exchange(clients, 1);
    require_service(*serving);
    leave(clients);
}
#endif
