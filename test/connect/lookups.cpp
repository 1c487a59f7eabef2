// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Many look-ups at once: few threads, one look-up for equal names, and a queue that nobody stays in without need.

#define BOOST_TEST_MODULE connect.lookups
#include <duet/connector.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/test/unit_test.hpp>

#include "connect/connector_fixture.hpp"
#include "connect/lookup_gate.hpp"
#include "support/fd.hpp"
#include "support/forked.hpp"
#include "support/started.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <fstream>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>

#if defined(__GLIBC__)
#include <pthread.h>
#endif

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DUET_TEST_THREAD_SANITIZER  // a child may start no thread
#endif
#endif

using namespace duet_test;
using duet::condition;
using duet::errc;
using duet::system_resolver;

namespace {

int const most = static_cast<int>(system_resolver::maximum_threads);

std::string name(int number)
{
    return "host" + std::to_string(number);
}

std::size_t queued()
{
    return system_resolver::lookups().queued;
}

std::size_t running()
{
    return system_resolver::lookups().running;
}

/// The threads of this process.
int threads()
{
    std::ifstream status{"/proc/self/status"};
    std::string word;
    int count = -1;
    while (status >> word)
        if (word == "Threads:")
            status >> count;
    return count;
}

#if defined(__GLIBC__)

/// RAII: the system has no thread to give, because none may have a stack as large as this.
class no_new_threads
{
public:
    no_new_threads()
    {
        ::pthread_attr_init(&before_);
        ::pthread_getattr_default_np(&before_);
        ::pthread_attr_t huge;
        ::pthread_attr_init(&huge);
        ::pthread_attr_setstacksize(&huge, std::size_t{1} << 47U);
        BOOST_REQUIRE(::pthread_setattr_default_np(&huge) == 0);
        ::pthread_attr_destroy(&huge);
    }

    no_new_threads(no_new_threads const&) = delete;
    no_new_threads& operator=(no_new_threads const&) = delete;

    ~no_new_threads()
    {
        ::pthread_setattr_default_np(&before_);
        ::pthread_attr_destroy(&before_);
    }

private:
    ::pthread_attr_t before_;
};

/// The failure of a look-up when none has a thread: those of the test before have ended, too.
asio::awaitable<duet::error_code> look_up_without_threads(system_resolver& resolver)
{
    no_new_threads const now;
    duet::error_code error;
    while (!error)
        error = co_await error_of(resolver.resolve("a", "80"));
    co_return error;
}

#endif

/// Every test begins without look-ups: those of another test have ended.
struct fixture
{
    fixture()
    {
        eventually([] { return queued() + running() == 0; }, "the look-ups before have ended");
    }

    ~fixture() { system_resolver::set_max_queued_lookups(1024); }

    /// So many look-ups, and all that may run do.
    asio::awaitable<void> occupy(int count)
    {
        auto const executor = co_await asio::this_coro::executor;
        for (int each = 0; each < count; ++each)
            under_way.emplace_back(executor, resolver.resolve(name(each), "80"));
        co_await until([&] { return entry.inside() >= std::min(count, most); }, "look-ups have begun");
        co_await settle();
    }

    gate entry;
    system_resolver resolver{entry.lookup()};
    system_resolver quick{[](std::string const&, std::string const&) { return looked_up; }};
    std::deque<started<endpoints>> under_way;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(few_run_and_the_others_wait_in_a_queue, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            entry.open();
            co_await resolver.resolve("first", "80");  // a sanitizer starts a thread of its own with the first one
            int const before = threads();
            int const count = 200;
            co_await occupy(count);
            BOOST_TEST(entry.begun() == 1 + most);
            BOOST_TEST(running() == static_cast<std::size_t>(most));
            BOOST_TEST(queued() == static_cast<std::size_t>(count - most));
            BOOST_TEST(threads() <= before + most);
            entry.open(count);
            for (auto& each : under_way)
            {
                auto const found = co_await each.result();
                BOOST_TEST(found == looked_up, boost::test_tools::per_element());
            }
            BOOST_TEST(entry.begun() == 1 + count);
            co_await until([&] { return queued() + running() == 0 && threads() <= before; }, "the threads have ended");
        });
}

BOOST_FIXTURE_TEST_CASE(equal_names_under_way_share_one, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            auto copy = resolver;
            system_resolver other{entry.lookup()};
            for (int each = 0; each < 30; ++each)
                under_way.emplace_back(executor, (each % 2 == 0 ? resolver : copy).resolve("same", "80"));
            co_await until([&] { return entry.inside() == 1; }, "it has begun");
            co_await settle();
            BOOST_TEST(entry.begun() == 1);
            started<endpoints> const service{executor, resolver.resolve("same", "81")};
            started<endpoints> const source{executor, other.resolve("same", "80")};
            co_await until([&] { return entry.inside() == 3; }, "others have begun");
            entry.open(3);
            for (auto& each : under_way)
            {
                auto const found = co_await each.result();
                BOOST_TEST(found == looked_up, boost::test_tools::per_element());
            }
            BOOST_TEST(entry.begun() == 3);

            // What has ended is not kept.
            entry.open();
            auto const again = co_await resolver.resolve("same", "80");
            BOOST_TEST(entry.begun() == 4);
            co_await until([&] { return service.done() && source.done(); }, "the others have ended");
        });
}

BOOST_FIXTURE_TEST_CASE(a_failure_is_shared_too, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            std::binary_semaphore go{0};
            std::atomic<int> count{0};
            system_resolver failing{[&](std::string const&, std::string const&) -> endpoints
                {
                    ++count;
                    go.acquire();
                    throw duet::system_error{asio::error::host_not_found_try_again};
                }};
            for (int each = 0; each < 5; ++each)
                under_way.emplace_back(executor, failing.resolve("same", "80"));
            co_await settle();
            go.release();
            for (auto& each : under_way)
                co_await expect_error(each.result(), asio::error::host_not_found_try_again);
            BOOST_TEST(count == 1);
        });
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_one_leaves_the_queue, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await occupy(most);
            started<endpoints> alone{executor, resolver.resolve("alone", "80")};
            started<endpoints> first{executor, resolver.resolve("shared", "80")};
            started<endpoints> second{executor, resolver.resolve("shared", "80")};
            co_await settle();
            BOOST_TEST(queued() == 2U);
            alone.cancel();
            co_await expect_error(alone.result(), condition::cancelled);
            BOOST_TEST(queued() == 1U);
            first.cancel();
            co_await expect_error(first.result(), condition::cancelled);
            BOOST_TEST(queued() == 1U);
            entry.open(most + 1);
            auto const found = co_await second.result();
            BOOST_TEST(found == looked_up, boost::test_tools::per_element());
            BOOST_TEST(entry.begun() == most + 1);
        });
}

BOOST_FIXTURE_TEST_CASE(one_that_runs_for_nobody_serves_the_next_who_asks, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await occupy(1);
            under_way.front().cancel();
            co_await expect_error(under_way.front().result(), condition::cancelled);
            started<endpoints> next{executor, resolver.resolve(name(0), "80")};
            co_await settle();
            BOOST_TEST(entry.begun() == 1);
            entry.open();
            auto const found = co_await next.result();
            BOOST_TEST(found == looked_up, boost::test_tools::per_element());
        });
}

BOOST_FIXTURE_TEST_CASE(one_that_waits_ends_by_the_connectors_deadline, fixture)
{
    asio::io_context context;
    duet::testing::manual_clock clock{context};
    std::deque<std::optional<duet::error_code>> ends;
    auto const connect = [&](duet::connector& connector, int number) -> asio::awaitable<void>
    {
        auto& end = ends.emplace_back();
        auto const failed = co_await failure_of(connector.connect(name(number), "80"));
        end = failed.code();
    };
    duet::connector patient{context, {.timeout = for_ever}, resolver};
    duet::connector impatient{context, {.timeout = for_ever, .resolve_timeout = 40s}, resolver};
    duet::connector hasty{context, {.timeout = 20s}, resolver};
    asio::cancellation_signal all[4];
    for (int each = 0; each < most; ++each)
        asio::co_spawn(
            context, connect(patient, each), asio::bind_cancellation_slot(all[each].slot(), [](std::exception_ptr) {}));
    clock.run_ready();
    eventually([&] { return entry.inside() == most; }, "all that may run do");
    asio::co_spawn(context, connect(impatient, most), [](std::exception_ptr) {});
    asio::co_spawn(context, connect(hasty, most + 1), [](std::exception_ptr) {});
    clock.run_ready();
    BOOST_TEST(queued() == 2U);
    clock.advance(20s);
    BOOST_TEST(queued() == 1U);
    BOOST_TEST((ends.back() == duet::error_code{errc::connect_timed_out}));
    clock.advance(20s);
    BOOST_TEST(queued() == 0U);
    BOOST_TEST((ends[ends.size() - 2] == duet::error_code{errc::resolve_timed_out}));
    BOOST_TEST(entry.begun() == most);
    for (auto& each : all)
        each.emit(asio::cancellation_type::terminal);
    clock.run_ready();
    for (auto const& end : ends)
        BOOST_TEST(end.has_value());
}

BOOST_FIXTURE_TEST_CASE(the_context_is_destroyed_while_look_ups_wait, fixture)
{
    no_leaked_descriptors const descriptors;
    {
        asio::io_context context;
        endpoints found;
        for (int each = 0; each < most + 20; ++each)
            asio::co_spawn(context, keep(resolver.resolve(name(each), "80"), found), [](std::exception_ptr) {});
        context.poll();
        eventually([&] { return entry.inside() == most; }, "all that may run do");
        BOOST_TEST(queued() == 20U);
    }  // waits for none
    BOOST_TEST(queued() == 0U);
    BOOST_TEST(entry.inside() == most);
}

BOOST_FIXTURE_TEST_CASE(the_queue_is_bounded, fixture)
{
    BOOST_TEST(system_resolver::max_queued_lookups() == 1024U);
    system_resolver::set_max_queued_lookups(3);
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const executor = co_await asio::this_coro::executor;
            co_await occupy(most + 3);
            BOOST_TEST(queued() == 3U);
            co_await expect_error(resolver.resolve("another", "80"), errc::too_many_lookups);
            duet::connector connector{executor, {}, resolver};
            auto const failure = co_await failure_of(connector.connect("another", "80"));
            BOOST_TEST((failure.code() == errc::too_many_lookups));
            BOOST_TEST(queued() == 3U);

            // One that waits, or runs, already is shared.
            under_way.emplace_back(executor, resolver.resolve(name(most), "80"));
            under_way.emplace_back(executor, resolver.resolve(name(0), "80"));
            co_await settle();
            BOOST_TEST(queued() == 3U);

            // A place that is free again is taken.
            under_way[most + 2].cancel();
            co_await expect_error(under_way[most + 2].result(), condition::cancelled);
            under_way.emplace_back(executor, resolver.resolve("another", "80"));
            co_await settle();
            BOOST_TEST(queued() == 3U);

            // Those that wait stay.
            system_resolver::set_max_queued_lookups(0);
            co_await expect_error(resolver.resolve("one more", "80"), errc::too_many_lookups);
            BOOST_TEST(queued() == 3U);
            under_way.erase(under_way.begin() + most + 2);
            entry.open(most + 3);
            for (auto& each : under_way)
            {
                auto const found = co_await each.result();
                BOOST_TEST(found == looked_up, boost::test_tools::per_element());
            }
            BOOST_TEST(entry.begun() == most + 3);
        });
}

BOOST_FIXTURE_TEST_CASE(with_a_bound_of_zero_as_many_as_may_run_do, fixture)
{
    system_resolver::set_max_queued_lookups(0);
    run(
        [&]() -> asio::awaitable<void>
        {
            co_await occupy(most);
            co_await expect_error(resolver.resolve("another", "80"), errc::too_many_lookups);
            entry.open(most);
            for (auto& each : under_way)
                co_await each.result();
            BOOST_TEST(entry.begun() == most);
        });
}

#if defined(__GLIBC__)

BOOST_FIXTURE_TEST_CASE(without_any_thread_a_look_up_fails_at_once, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            auto const error = co_await look_up_without_threads(quick);
            BOOST_TEST(error == asio::error::try_again);
            BOOST_TEST(queued() + running() == 0U);
            auto const found = co_await quick.resolve("a", "80");
            BOOST_TEST(found == looked_up, boost::test_tools::per_element());
        });
}

BOOST_FIXTURE_TEST_CASE(without_another_thread_the_one_that_runs_does_the_rest, fixture)
{
    run(
        [&]() -> asio::awaitable<void>
        {
            co_await look_up_without_threads(quick);
            co_await occupy(1);
            auto const executor = co_await asio::this_coro::executor;
            {
                no_new_threads const now;
                for (int each = 1; each < 4; ++each)
                    under_way.emplace_back(executor, resolver.resolve(name(each), "80"));
                co_await settle();
            }
            BOOST_TEST(running() == 1U);
            BOOST_TEST(queued() == 3U);
            entry.open(4);
            for (auto& each : under_way)
            {
                auto const found = co_await each.result();
                BOOST_TEST(found == looked_up, boost::test_tools::per_element());
            }
        });
}

#endif

#if !defined(DUET_TEST_THREAD_SANITIZER)

BOOST_FIXTURE_TEST_CASE(a_forked_child_has_threads_of_its_own, fixture)
{
    asio::io_context context;
    asio::cancellation_signal signal;
    std::optional<bool> failed;
    endpoints found;
    asio::co_spawn(context, keep(resolver.resolve("waits", "80"), found),
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr thrown) { failed = thrown != nullptr; }));
    for (int each = 0; each < most; ++each)
        asio::co_spawn(context, keep(resolver.resolve(name(each), "80"), found), [](std::exception_ptr) {});
    context.poll();
    eventually([&] { return entry.inside() == most; }, "all that may run do");
    system_resolver::set_max_queued_lookups(7);
    BOOST_TEST(in_child(
                   [&]
                   {
                       asio::io_context own;
                       if (run(own, quick.resolve("a", "80")) != looked_up)
                           throw std::runtime_error{"no answer"};
                       signal.emit(asio::cancellation_type::terminal);
                       context.notify_fork(asio::execution_context::fork_child);
                       context.poll();
                       if (system_resolver::max_queued_lookups() != 7)
                           throw std::runtime_error{"the bound is not the parent's"};
                       if (failed != true)
                           throw std::runtime_error{"the parent's look-up was not cancelled"};
                   }) == 0);
    entry.open(most + 1);
    context.restart();
    context.run_for(run_guard);
    BOOST_TEST((failed == false));
}

#endif
