// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// One thread's part of a server, without the server: its loop that accepts, the wait for a place, and how it ends.

#define BOOST_TEST_MODULE serve.server_shard
#include <boost/test/unit_test.hpp>

#include "serve/server_fixture.hpp"
#include "support/failing_allocations.hpp"

#include <duet/testing/manual_clock.hpp>

#include <boost/asio/post.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <new>
#include <utility>

#include <sys/socket.h>

using namespace duet_test;
using namespace std::chrono_literals;

namespace {

using tcp = asio::ip::tcp;
using state_type = duet::detail::server_state<tcp>;
using shard_type = duet::detail::server_shard<tcp>;

/// Waits for its client, and ends.
asio::awaitable<void> listen(duet::session peer)
{
    co_await peer.wait_readable();
}

struct shard_fixture
{
    shard_fixture() = default;
    shard_fixture(shard_fixture const&) = delete;
    shard_fixture& operator=(shard_fixture const&) = delete;

    ~shard_fixture()
    {
        if (!state)
            return;
        for (auto const& each : state->shards())
            each->abort(state);
        context.restart();
        context.poll();
        state->shards().clear();
    }

    /// A state whose shards each listen on a port of their own.
    void make(duet::server_options options = {}, std::size_t shards = 1)
    {
        state = std::make_shared<state_type>(duet::detail::server_place{context}, options,
            state_type::handler_type{.conversation = listen, .message = {}});
        tcp::endpoint const loopback{asio::ip::address_v4::loopback(), 0};
        while (state->shards().size() < shards)
        {
            duet::acceptor listening{context, loopback, duet::detail::acceptor_options_of(options)};
            state->shards().push_back(std::make_shared<shard_type>(std::move(listening)));
        }
    }

    void start(duet::server_options options = {}, std::size_t shards = 1)
    {
        make(std::move(options), shards);
        for (auto const& each : state->shards())
            each->start(state);
        run_ready();
    }

    shard_type& shard(std::size_t index = 0) { return *state->shards()[index]; }

    raw_socket client(std::size_t index = 0)
    {
        return raw_socket::connect(raw_address::v4(shard(index).acceptor().local_endpoint().port()));
    }

    std::size_t queued()
    {
        duet::error_code error;
        return shard().acceptor().queue(error).length;
    }

    void run_ready() { clock.run_ready(); }

    /// Exceptions may leave the context for lack of memory.
    void run_without_memory()
    {
        for (bool ended = false; !ended;)
        {
            try
            {
                run_ready();
                ended = true;
            }
            catch (std::bad_alloc const&)
            {
            }
        }
    }

    template <class Predicate>
    void run_until(Predicate const& predicate)
    {
        serve(context, predicate);
    }

    asio::io_context context;
    duet::testing::manual_clock clock{context};
    std::shared_ptr<state_type> state;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(it_serves_until_it_is_drained_and_tells_that_once, shard_fixture)
{
    start({}, 2);
    auto one = client();
    run_until([&] { return state->active() == 1; });
    BOOST_TEST(!shard().idle());
    int told = 0;
    shard().when_idle([&] { ++told; });
    shard().begin_drain(state);
    shard().begin_drain(state);  // again, harmless
    BOOST_TEST(!shard().acceptor().is_open());
    one.close();
    run_until([&] { return told != 0; });
    BOOST_TEST(shard().idle());
    run_ready();
    BOOST_TEST(told == 1);
    // The other one serves.
    BOOST_TEST(!state->drained());
    auto other = client(1);
    run_until([&] { return state->active() == 1; });
    shard(1).begin_drain(state);
    other.close();
    run_until([&] { return state->drained(); });
    BOOST_TEST(state->counts.accepted == 2U);
}

BOOST_FIXTURE_TEST_CASE(at_the_limit_clients_stay_in_the_kernels_queue_until_a_place_is_free, shard_fixture)
{
    start({.max_sessions = 1});
    auto first = client();
    run_until([&] { return state->active() == 1; });
    auto const second = client();
    auto const third = client();
    run_ready();
    BOOST_TEST(queued() == 2U);
    first.close();
    run_until([&] { return state->counts.accepted == 2U; });
    run_ready();
    BOOST_TEST(queued() == 1U);
    BOOST_TEST(state->active() == 1U);
    BOOST_TEST(state->counts.shed == 0U);
}

// A place is taken on another thread's shard, so that none of this one's sessions will wake it.
BOOST_FIXTURE_TEST_CASE(it_looks_for_a_place_every_second_if_nothing_wakes_it, shard_fixture)
{
    start({.max_sessions = 1});
    BOOST_TEST(state->acquire());
    auto const one = client();
    run_ready();
    clock.advance(10s);
    BOOST_TEST(state->counts.accepted == 0U);
    shard().unpark(state);  // for nothing: somebody else was faster
    run_ready();
    BOOST_TEST(state->counts.accepted == 0U);
    state->release();
    run_until([&] { return state->counts.accepted == 1U; });
}

BOOST_FIXTURE_TEST_CASE(at_the_limit_clients_are_reset_where_that_is_the_policy, shard_fixture)
{
    start({.max_sessions = 1, .at_limit = duet::limit_policy::shed});
    auto const first = client();
    run_until([&] { return state->active() == 1; });
    auto second = client();
    run_until([&] { return state->counts.shed == 1U; });
    BOOST_TEST(second.recv_all().error == ECONNRESET);
    BOOST_TEST(state->active() == 1U);
}

// A drain takes all that are queued, and each is served when its place is free.
BOOST_FIXTURE_TEST_CASE(a_drain_at_the_limit_serves_those_who_are_queued_one_after_the_other, shard_fixture)
{
    start({.max_sessions = 1, .drain_grace = 1h});
    std::list<raw_socket> clients;
    clients.push_back(client());
    run_until([&] { return state->active() == 1; });
    clients.push_back(client());
    clients.push_back(client());
    shard().begin_drain(state);
    for (std::size_t served = 1; served <= 3; ++served)
    {
        run_until([&] { return state->counts.accepted == served; });
        run_ready();
        BOOST_TEST(state->active() == 1U);
        BOOST_TEST(!shard().idle());
        clients.front().close();
        clients.pop_front();
    }
    run_until([&] { return state->drained(); });
    BOOST_TEST(state->counts.drain_finished == 3U);
    BOOST_TEST(shard().idle());
}

// All places are taken on other threads, and none is given back: there is nobody here to wait for.
BOOST_FIXTURE_TEST_CASE(a_drain_ends_the_wait_for_a_place, shard_fixture)
{
    make({.max_sessions = 1});
    BOOST_TEST(state->acquire());
    shard().start(state);
    run_ready();
    BOOST_TEST(!shard().idle());
    shard().begin_drain(state);
    run_ready();
    BOOST_TEST(shard().idle());
    BOOST_TEST(state->drained());
}

BOOST_FIXTURE_TEST_CASE(an_abort_resets_those_who_are_served_and_those_who_are_queued, shard_fixture)
{
    start({.max_sessions = 1});
    auto served = client();
    run_until([&] { return state->active() == 1; });
    auto queued = client();
    shard().abort(state);
    run_until([&] { return state->drained(); });
    BOOST_TEST(served.recv_all().error == ECONNRESET);
    BOOST_TEST(queued.recv_all().error == ECONNRESET);
    BOOST_TEST(shard().idle());
    BOOST_TEST(state->active() == 0U);
    BOOST_TEST(state->counts.drain_aborted >= 1U);
}

BOOST_FIXTURE_TEST_CASE(a_listener_that_fails_ends_the_loop_and_not_the_sessions, shard_fixture)
{
    start();
    auto one = client();
    run_until([&] { return state->active() == 1; });
    int told = 0;
    state->on_listener_failure([&] { ++told; });
    ::shutdown(shard().acceptor().native_handle(), SHUT_RDWR);
    run_until([&] { return told != 0; });
    BOOST_CHECK_THROW(std::rethrow_exception(state->listener_failure()), duet::session_error);
    BOOST_TEST(state->active() == 1U);
    BOOST_TEST(!shard().idle());
    one.close();
    run_until([&] { return shard().idle(); });
    BOOST_TEST(!state->drained());
    shard().begin_drain(state);
    run_until([&] { return state->drained(); });
    BOOST_TEST(told == 1);
}

// Each allocation of the loop's begin fails once. It goes on 100 ms later, and no client is lost.
BOOST_AUTO_TEST_CASE(a_loop_without_memory_begins_again)
{
    int failures = 0;
    for (long successes = 0; successes < 50; ++successes)
    {
        shard_fixture fixture;
        fixture.make();
        asio::post(fixture.context,
            [&]
            {
                allocations_before_failure = successes;
                allocations_to_fail = 1;
                fixture.shard().start(fixture.state);
            });
        fixture.run_without_memory();
        bool const failed = std::exchange(allocations_to_fail, 0) == 0;
        if (!failed)
            break;
        ++failures;
        auto const one = fixture.client();
        fixture.clock.advance(100ms);
        fixture.run_until([&] { return fixture.state->counts.accepted == 1U; });
    }
    BOOST_TEST(failures > 0);
}
