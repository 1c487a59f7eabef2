// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// What ends an attempt to connect: the deadlines, and cancellation in each phase (P41); and when it is tried again.

#define BOOST_TEST_MODULE connect.giving_up
#include <duet/connector.hpp>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "support/fd.hpp"
#include "support/started.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <fcntl.h>

using namespace duet_test;
using duet::condition;
using duet::error_code;

namespace {

// Two kinds of name servers that do not answer: one that heeds cancellation, and one that does not.
asio::awaitable<void> never_heeding()
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, for_ever};
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> never_deaf(asio::steady_timer*& alarm)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, for_ever};
    alarm = &timer;
    error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    alarm = nullptr;
}

}  // namespace

BOOST_AUTO_TEST_CASE(resolve_timeout)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            asio::steady_timer* alarm = nullptr;
            auto const resolver = resolver_of({});
            list_connector connector{executor, {.timeout = for_ever, .resolve_timeout = 20ms}, resolver};
            list_connector other{executor, {.timeout = 20ms, .resolve_timeout = for_ever}, resolver};
            resolver.shared->before = [&] { return never_heeding(); };
            auto const error = co_await check_failure(connector.connect("a", "1"), duet::errc::resolve_timed_out);
            BOOST_TEST((error.code() == condition::timed_out));
            BOOST_TEST((error.code() != condition::cancelled));
            co_await check_failure(other.connect("a", "1"), duet::errc::connect_timed_out);
            co_await settle();
            BOOST_TEST(resolver.shared->running == 0U);

            // One that is deaf is not waited for, and what it says later is dropped.
            resolver.shared->before = [&] { return never_deaf(alarm); };
            co_await check_failure(connector.connect("a", "1"), duet::errc::resolve_timed_out);
            BOOST_TEST(resolver.shared->running == 1U);
            alarm->cancel();
            co_await settle();
            BOOST_TEST(resolver.shared->running == 0U);
        });
}

// ---- Deadlines
// ----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(total_timeout)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            black_hole first;
            black_hole second;
            auto connector = make_connector(executor, {nobody.endpoint(), first.endpoint(), second.endpoint()},
                {.timeout = 200ms, .attempt_delay = 10ms});
            auto error = co_await check_failure(connector.connect("a", "1"), duet::errc::connect_timed_out);
            while (error.attempts().size() < 3U)  // a stall took all the time
                error = co_await check_failure(connector.connect("a", "1"), duet::errc::connect_timed_out);
            BOOST_TEST((error.code() == condition::timed_out));
            BOOST_TEST((error.code() != condition::cancelled));
            BOOST_TEST((error.code() != condition::dead_peer));
            BOOST_TEST(error.attempts().front().error == error_code{asio::error::connection_refused});
            BOOST_TEST(error.attempts().back().error == error_code{duet::errc::connect_timed_out});
            BOOST_TEST(first.hanging() + second.hanging() == 0U);
        });
}

BOOST_AUTO_TEST_CASE(attempt_timeout)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            good_address server;
            auto connector = make_connector(executor, {hole.endpoint(), server.endpoint()},
                {.timeout = for_ever, .attempt_timeout = 20ms, .attempt_delay = for_ever});
            std::optional<duet::session> peer;
            for (bool again = true; again;)
            {
                auto const begun = std::chrono::steady_clock::now();
                auto const failed = co_await error_of(keep(connector.connect("a", "1"), peer));
                // A stall may use up the good address's time, too, behind the hole's.
                again = failed == duet::errc::connect_timed_out && std::chrono::steady_clock::now() - begun >= 40ms;
            }
            BOOST_REQUIRE(peer.has_value());
            BOOST_TEST(peer->remote_endpoint() == server.endpoint());

            auto const error =
                co_await check_failure(connector.connect(hole.endpoint()), duet::errc::connect_timed_out);
            BOOST_TEST(attempts_of(error) == "connect deadline passed");
        });
}

// ---- Cancellation (P41)
// -------------------------------------------------------------------------------------------------

namespace {

asio::awaitable<duet::session> heeding_every_type(asio::awaitable<duet::session> connecting)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    duet::session peer = co_await std::move(connecting);
    co_return peer;
}

// A connect that has come to a certain phase.
enum class phase
{
    resolving,
    resolving_deaf,
    first_attempt,
    several_attempts,
    backing_off
};

std::ostream& operator<<(std::ostream& out, phase which)
{
    char const* const names[]{"resolving", "resolving_deaf", "first_attempt", "several_attempts", "backing_off"};
    return out << names[static_cast<int>(which)];
}

auto const phases = boost::unit_test::data::make(
    {phase::resolving, phase::resolving_deaf, phase::first_attempt, phase::several_attempts, phase::backing_off});

class in_phase
{
public:
    in_phase(asio::any_io_executor const& executor, phase which)
        : which_{which}, resolver_{resolver_of({a_.endpoint(), b_.endpoint(), c_.endpoint()})},
          connector_{executor,
              {.timeout = for_ever, .attempt_delay = which == phase::several_attempts ? 10ms : for_ever}, resolver_}
    {
        if (which == phase::resolving)
            resolver_.shared->before = [] { return never_heeding(); };
        if (which == phase::resolving_deaf)
            resolver_.shared->before = [this] { return never_deaf(alarm_); };
        connector_.on_retry([this](auto const&) { backing_off_ = true; });
    }

    asio::awaitable<duet::session> connect()
    {
        if (which_ == phase::backing_off)
            return connector_.connect(nobody_.endpoint(), {.delays = {.initial = for_ever, .maximum = for_ever}});
        return connector_.connect("a", "1");
    }

    bool reached() const
    {
        switch (which_)
        {
        case phase::resolving:
        case phase::resolving_deaf:
            return resolver_.shared->running == 1;
        case phase::first_attempt:
            return a_.hanging() == 1;
        case phase::several_attempts:
            return a_.hanging() == 1 && b_.hanging() == 1 && c_.hanging() == 1;
        case phase::backing_off:
            return backing_off_;
        }
        return false;
    }

    std::size_t hanging() const { return a_.hanging() + b_.hanging() + c_.hanging(); }

    void wake_the_deaf()
    {
        if (alarm_ != nullptr)
            alarm_->cancel();
    }

private:
    phase which_;
    black_hole a_;
    black_hole b_;
    black_hole c_;
    refusing_address nobody_;
    list_resolver resolver_;
    list_connector connector_;
    asio::steady_timer* alarm_ = nullptr;
    bool backing_off_ = false;
};

auto const cancellation_types = boost::unit_test::data::make({1, 2, 4});  // terminal, partial, total

}  // namespace

namespace {

void cancel_in(phase which, int type)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            in_phase scene{executor, which};
            no_leaked_descriptors const descriptors;
            started<duet::session> connecting{executor, heeding_every_type(scene.connect())};
            co_await until([&] { return scene.reached(); }, "the phase");
            connecting.cancel(static_cast<asio::cancellation_type>(type));
            auto const error = co_await check_failure(connecting.result(), condition::cancelled);
            BOOST_TEST((error.code() != condition::timed_out));
            BOOST_TEST(descriptors.leaked() == "");
            BOOST_TEST(scene.hanging() == 0U);
            std::string const told = which == phase::backing_off     ? "Connection refused"
                                     : which == phase::first_attempt ? "Operation canceled"
                                     : which == phase::several_attempts
                                         ? "Operation canceled, Operation canceled, Operation canceled"
                                         : "";
            BOOST_TEST(attempts_of(error) == told);
            scene.wake_the_deaf();
            co_await settle();
            // No work is left: run() would wait for it.
        });
}

}  // namespace

BOOST_DATA_TEST_CASE(p41_cancelled_in_each_phase, phases* cancellation_types, which, type)
{
    cancel_in(which, type);
}

BOOST_DATA_TEST_CASE(the_context_is_destroyed_in_each_phase, phases, which)
{
    no_leaked_descriptors const descriptors;
    auto context = std::make_unique<asio::io_context>();
    prepare(*context);
    bool ended = false;
    std::optional<duet::session> peer;
    {
        in_phase scene{context->get_executor(), which};
        asio::co_spawn(*context, keep(scene.connect(), peer), [&](std::exception_ptr) { ended = true; });
        auto const deadline = guard_clock::now() + run_guard;
        // Asked once: under load the kernel's table of sockets may miss one that was there the time before.
        bool reached = false;
        while (!reached && guard_clock::now() < deadline)
        {
            context->run_one_for(1ms);
            reached = scene.reached();
        }
        BOOST_TEST(reached);
        context.reset();
        BOOST_TEST(scene.hanging() == 0U);
    }
    BOOST_TEST(!ended);
}

BOOST_AUTO_TEST_CASE(cancelled_before_it_begins)
{
    no_leaked_descriptors const descriptors;
    asio::io_context context;
    prepare(context);
    good_address server;
    duet::connector connector{context};
    asio::any_io_executor const executor = context.get_executor();
    auto const body = [&]() -> asio::awaitable<void>
    {
        started<duet::session> connecting{executor, connector.connect(server.endpoint())};
        connecting.cancel();
        co_await expect_error(connecting.result(), condition::cancelled);
    };
    run(context, body());
}

BOOST_AUTO_TEST_CASE(a_coroutine_that_looks_after_its_cancellation_itself_does_not_back_off)
{
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            duet::connector connector{executor};
            std::optional<started<duet::session>> connecting;
            // Cancelled when nothing waits: the try has failed, and the next wait has not begun.
            auto const body = [&]() -> asio::awaitable<duet::session>
            {
                co_await asio::this_coro::throw_if_cancelled(false);
                duet::session peer = co_await connector.connect(
                    nobody.endpoint(), {.delays = {.initial = 1ns, .maximum = 1ns, .jitter = 0}});
                co_return peer;
            };
            int tries = 0;
            connector.on_retry(
                [&](auto const&)
                {
                    if (++tries == 3)
                        connecting->cancel();
                });
            connecting.emplace(executor, body());
            co_await check_failure(connecting->result(), condition::cancelled);
            BOOST_TEST(tries <= 4);
        });
}

// ---- Trying again
// -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_server_is_started_later)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address server;
            auto const resolver = resolver_of({server.endpoint()});
            list_connector connector{executor, {}, resolver};
            std::vector<std::string> seen;
            connector.on_retry(
                [&](duet::connect_retry const& retry)
                {
                    seen.push_back(std::to_string(retry.tries) + ' ' + retry.error.code().message() + ' ' +
                                   std::to_string(retry.next_try_in / 1us));
                    if (retry.tries == 4)
                        server.listen();
                });
            duet::session const peer = co_await connector.connect(
                "host", "1", {.delays = {.initial = 1ms, .maximum = 3ms, .multiplier = 2, .jitter = 0}});
            BOOST_TEST(peer.remote_endpoint() == server.endpoint());
            std::vector<std::string> const expected{"1 Connection refused 1000", "2 Connection refused 2000",
                "3 Connection refused 3000", "4 Connection refused 3000"};
            BOOST_TEST(seen == expected, boost::test_tools::per_element());
            BOOST_TEST(resolver.shared->asked.size() == 5U);  // each try resolves anew
        });
}

BOOST_AUTO_TEST_CASE(the_tries_are_limited)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            refusing_address const nobody;
            auto const resolver = resolver_of({nobody.endpoint()});
            list_connector connector{executor, {}, resolver};
            int failures = 0;
            connector.on_retry([&](auto const&) { ++failures; });
            auto const error =
                co_await check_failure(connector.connect("host", "1", {.delays = {.initial = 1ns}, .max_tries = 3}),
                    asio::error::connection_refused);
            BOOST_TEST(error.attempts().size() == 1U);  // of the last try
            BOOST_TEST(resolver.shared->asked.size() == 3U);
            BOOST_TEST(failures == 2);

            co_await check_failure(connector.connect("host", "1"), asio::error::connection_refused);
            BOOST_TEST(resolver.shared->asked.size() == 4U);
            co_await check_failure(connector.connect("host", "1", {.max_tries = 1}), asio::error::connection_refused);
            BOOST_TEST(resolver.shared->asked.size() == 5U);
        });
}

BOOST_AUTO_TEST_CASE(a_time_out_is_tried_again)
{
    no_leaked_descriptors const descriptors;
    run_on(
        [&](asio::any_io_executor executor) -> asio::awaitable<void>
        {
            black_hole hole;
            duet::connector connector{executor, {.timeout = 20ms}};
            auto const error = co_await check_failure(
                connector.connect(hole.endpoint(), {.delays = {.initial = 1ns}, .max_tries = 3}), condition::timed_out);
            BOOST_TEST(hole.hanging() == 0U);
        });
}
