// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The timeouts and pauses of a connector on a clock that the test moves: each passes at its time and not before.

#define BOOST_TEST_MODULE connect.time
#include <duet/connector.hpp>
#include <duet/kept_connection.hpp>
#include <duet/testing/manual_clock.hpp>

#include "connect/connector_support.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using duet::errc;
using duet::error_code;

namespace {

using duet_test::for_ever;
using answer = std::vector<tcp::endpoint>;

/// Never answers, unless it is cancelled.
struct silent_resolver
{
    asio::awaitable<answer> resolve(std::string, std::string) { return wait(); }

    static asio::awaitable<answer> wait()
    {
        auto const executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor, asio::steady_timer::time_point::max()};
        co_await timer.async_wait(asio::use_awaitable);
        co_return answer{};
    }
};

/// Knows no name.
struct ignorant_resolver
{
    asio::awaitable<answer> resolve(std::string, std::string) { return fail(); }

    static asio::awaitable<answer> fail()
    {
        throw boost::system::system_error{asio::error::host_not_found_try_again};
        co_return answer{};
    }
};

template <class Resolver>
using connector_with = duet::basic_connector<tcp, asio::any_io_executor, Resolver>;

struct fixture
{
    template <class Resolver>
    void start(connector_with<Resolver>& connector, std::optional<duet::retry_options> retry = {})
    {
        auto body = attempt(connector, std::move(retry));
        asio::co_spawn(context, std::move(body), asio::bind_cancellation_slot(signal.slot(), asio::detached));
        clock.run_ready();
    }

    template <class Resolver>
    asio::awaitable<void> attempt(connector_with<Resolver>& connector, std::optional<duet::retry_options> retry)
    {
        co_await asio::this_coro::throw_if_cancelled(throws);
        try
        {
            if (retry)
                co_await connector.connect("host", "1", *retry);
            else
                co_await connector.connect("host", "1");
            end.emplace();
        }
        catch (duet::connect_error const& error)
        {
            end = error.code();
        }
    }

    /// Cancel the connect when the wait for its next deadline has ended, and before it goes on.
    void cancel_between_two_waits()
    {
        auto& times = asio::use_service<duet::detail::manual_time>(context);
        asio::post(context, [this] { signal.emit(asio::cancellation_type::terminal); });
        times.move_to(times.next());  // the coroutine is behind that in the queue
        clock.run_ready();
    }

    asio::io_context context;
    duet::testing::manual_clock clock{context};
    asio::cancellation_signal signal;
    bool throws = true;  // co_await in the coroutine that connects, if that was cancelled
    std::optional<error_code> end;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_time_to_resolve_passes, fixture)
{
    connector_with<silent_resolver> connector{
        context.get_executor(), {.timeout = for_ever, .resolve_timeout = 40s}, silent_resolver{}};
    start(connector);
    clock.advance(40s - 1ns);
    BOOST_TEST(!end.has_value());
    clock.advance(1ns);
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST(*end == error_code{errc::resolve_timed_out});
}

BOOST_FIXTURE_TEST_CASE(the_total_time_passes, fixture)
{
    connector_with<silent_resolver> connector{
        context.get_executor(), {.timeout = 90s, .resolve_timeout = for_ever}, silent_resolver{}};
    start(connector);
    clock.advance(90s - 1ns);
    BOOST_TEST(!end.has_value());
    clock.advance(1ns);
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST(*end == error_code{errc::connect_timed_out});
}

BOOST_FIXTURE_TEST_CASE(the_pauses_between_tries_grow_and_are_kept, fixture)
{
    connector_with<ignorant_resolver> connector{context.get_executor(), {}, ignorant_resolver{}};
    std::vector<std::chrono::steady_clock::time_point> tries;
    connector.on_retry([&](duet::connect_retry const&) { tries.push_back(clock.now()); });
    auto const begun = clock.now();
    start(connector, duet::retry_options{
                         .delays = {.initial = 1min, .maximum = 3min, .multiplier = 2, .jitter = 0}, .max_tries = 5});
    clock.advance(9min - 1ns);
    BOOST_TEST(!end.has_value());
    BOOST_TEST(tries.size() == 4U);
    clock.advance(1ns);
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST(*end == error_code{asio::error::host_not_found_try_again});
    BOOST_TEST((tries == std::vector{begun, begun + 1min, begun + 3min, begun + 6min}));
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_pause_ends_at_once, fixture)
{
    connector_with<ignorant_resolver> connector{context.get_executor(), {}, ignorant_resolver{}};
    start(connector, duet::retry_options{.delays = {.initial = 1h, .jitter = 0}});
    clock.advance(59min);
    BOOST_TEST(!end.has_value());
    signal.emit(asio::cancellation_type::terminal);
    clock.run_ready();
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST(*end == error_code{asio::error::operation_aborted});
    clock.advance(2h);  // nothing waits any more
}

BOOST_AUTO_TEST_CASE(a_cancellation_between_a_pause_and_the_next_try_ends_the_connect)
{
    for (bool const throws : {true, false})
    {
        fixture here;
        here.throws = throws;
        connector_with<ignorant_resolver> connector{here.context.get_executor(), {}, ignorant_resolver{}};
        here.start(connector, duet::retry_options{.delays = {.initial = 1h, .jitter = 0}});
        here.cancel_between_two_waits();
        BOOST_REQUIRE(here.end.has_value());
        BOOST_TEST(*here.end == error_code{asio::error::operation_aborted});
    }
}

BOOST_AUTO_TEST_CASE(a_cancellation_between_two_attempts_ends_the_connect)
{
    for (bool const throws : {true, false})
    {
        duet_test::black_hole const first;
        duet_test::black_hole const second;
        fixture here;
        here.throws = throws;
        connector_with<duet_test::list_resolver> connector{here.context.get_executor(),
            {.timeout = for_ever, .attempt_delay = 1min},
            duet_test::resolver_of({first.endpoint(), second.endpoint()})};
        here.start(connector);
        BOOST_TEST(!here.end.has_value());
        here.cancel_between_two_waits();
        BOOST_REQUIRE(here.end.has_value());
        BOOST_TEST(*here.end == error_code{asio::error::operation_aborted});
    }
}

// Its first bytes, or its handshake, would take until their deadline.
BOOST_AUTO_TEST_CASE(a_cancellation_between_the_connect_and_the_first_bytes_ends_it)
{
    duet_test::good_address const server;
    fixture here;
    here.throws = false;
    connector_with<duet_test::list_resolver> connector{
        here.context.get_executor(), {}, duet_test::resolver_of({server.endpoint()})};
    connector.send_first("hello");
    asio::co_spawn(
        here.context, here.attempt(connector, {}), asio::bind_cancellation_slot(here.signal.slot(), asio::detached));
    while (server.queued() == 0)
        here.context.poll_one();
    here.signal.emit(asio::cancellation_type::terminal);
    here.clock.run_ready();
    BOOST_REQUIRE(here.end.has_value());
    BOOST_TEST(*here.end == error_code{asio::error::operation_aborted});
}

BOOST_AUTO_TEST_CASE(a_cancellation_between_a_pause_and_the_next_connect_ends_a_kept_connection)
{
    fixture here;
    auto const names = duet_test::resolver_of({});
    duet::basic_kept_connection kept{connector_with<duet_test::list_resolver>{here.context.get_executor(), {}, names},
        "host", "1", {.initial = 1h, .jitter = 0}};
    auto const serve = [](duet::session&, duet::kept_trial&) -> asio::awaitable<bool> { co_return false; };
    auto const runs = [&]() -> asio::awaitable<void>
    {
        co_await asio::this_coro::throw_if_cancelled(false);
        try
        {
            co_await kept.run(serve);
        }
        catch (boost::system::system_error const& error)
        {
            here.end = error.code();
        }
    };
    asio::co_spawn(here.context, runs(), asio::bind_cancellation_slot(here.signal.slot(), asio::detached));
    here.clock.run_ready();
    here.cancel_between_two_waits();
    BOOST_REQUIRE(here.end.has_value());
    BOOST_TEST(*here.end == error_code{asio::error::operation_aborted});
    BOOST_TEST(names.shared->asked.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_in_a_pause_takes_the_coroutine_along)
{
    std::optional<error_code> end;
    {
        fixture waiting;
        connector_with<ignorant_resolver> connector{waiting.context.get_executor(), {}, ignorant_resolver{}};
        waiting.start(connector, duet::retry_options{.delays = {.initial = 1h, .jitter = 0}});
        end = waiting.end;
    }
    BOOST_TEST(!end.has_value());
}

BOOST_FIXTURE_TEST_CASE(delays_without_a_meaning_are_refused_before_the_first_try, fixture)
{
    connector_with<silent_resolver> connector{context.get_executor(), {}, silent_resolver{}};
    start(connector, duet::retry_options{.delays = {.jitter = 2}});
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST(*end == error_code{asio::error::invalid_argument});
}

BOOST_FIXTURE_TEST_CASE(the_longest_pause_of_all_ends_by_cancellation, fixture)
{
    using duration = std::chrono::steady_clock::duration;
    connector_with<ignorant_resolver> connector{context.get_executor(), {}, ignorant_resolver{}};
    start(connector,
        duet::retry_options{.delays = {.initial = duration::max(), .maximum = duration::max(), .jitter = 0}});
    clock.advance(24h * 365);
    BOOST_TEST(!end.has_value());
    signal.emit(asio::cancellation_type::terminal);
    clock.run_ready();
    BOOST_REQUIRE(end.has_value());
    BOOST_TEST(*end == error_code{asio::error::operation_aborted});
}
