// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Wake-ups, with a timer of their own and with the timer that those of a context share.

#define BOOST_TEST_MODULE time.wakeup
#include "support/failing_allocations.hpp"

#include <duet/detail/completion/plain_context.hpp>
#include <duet/detail/time/wakeup.hpp>
#include <duet/testing/manual_clock.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>

#include <utility>
#include <vector>

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace data = boost::unit_test::data;

using duet::detail::operation_owner;
using duet::detail::wakeup;
using duet::detail::wakeup_queue;
using duet_test::allocations_before_failure;
using duet_test::allocations_to_fail;

namespace {

// Owns a wake-up, and notes when it was woken.
class sleeper final : public operation_owner
{
public:
    sleeper(asio::io_context& context, std::vector<int>& woken, int id)
        : executor_{context.get_executor()}, time_{executor_}, woken_{woken}, id_{id},
          alarm{time_, duet::detail::plain_context_of(executor_), *this}
    {
    }

    bool alive() const { return referenced(); }

    bool set(wakeup::time_point when) { return alarm.set(when, executor_, time_); }

    void abandon() noexcept override
    {
        woken_.push_back(-1);
        if (abandons)
            std::exchange(abandons, {})();
    }

private:
    void on_wakeup() override
    {
        woken_.push_back(id_);
        if (throws)
            throw std::runtime_error{"from a handler"};
        if (again)
            set(*again);
    }

    void dispose() noexcept override
    {
        if (dies)
            delete this;
    }

    asio::any_io_executor executor_;
    duet::detail::context_clock time_;
    std::vector<int>& woken_;
    int id_;

public:
    wakeup alarm;
    bool dies = false;  // with its last reference
    bool throws = false;
    std::optional<wakeup::time_point> again;
    std::function<void()> abandons;  // is called then
};

struct sleepers
{
    explicit sleepers(bool shared)
    {
        if (shared)
            wakeup_queue::use(context);
    }

    sleeper& add()
    {
        all.push_back(std::make_unique<sleeper>(context, woken, static_cast<int>(all.size())));
        return *all.back();
    }

    asio::io_context context{1};
    duet::testing::manual_clock clock{context};
    std::vector<int> woken;
    std::vector<std::unique_ptr<sleeper>> all;
};

auto const both = data::make({false, true});

}  // namespace

BOOST_DATA_TEST_CASE(each_is_woken_at_its_time_and_the_earliest_first, both, shared)
{
    sleepers here{shared};
    auto const start = here.clock.now();
    for (int each = 0; each < 5; ++each)
        here.add();
    int const delays[] = {30, 10, 50, 20, 40};
    for (std::size_t each = 0; each < 5; ++each)
        BOOST_TEST(here.all[each]->set(start + std::chrono::seconds{delays[each]}));
    here.clock.advance(29s);
    BOOST_TEST(here.woken == (std::vector{1, 3}), boost::test_tools::per_element());
    here.clock.advance(1h);
    BOOST_TEST(here.woken == (std::vector{1, 3, 0, 4, 2}), boost::test_tools::per_element());
    for (auto const& each : here.all)
    {
        BOOST_TEST((each->alarm.at() == wakeup::never));
        BOOST_TEST(!each->alive());
    }
}

BOOST_DATA_TEST_CASE(an_earlier_time_replaces_a_later_one_and_not_the_other_way, both, shared)
{
    sleepers here{shared};
    auto const start = here.clock.now();
    auto& one = here.add();
    one.set(start + 20s);
    one.set(start + 10s);
    one.set(start + 30s);
    BOOST_TEST((one.alarm.at() == start + 10s));
    here.clock.advance(10s);
    BOOST_TEST(here.woken.size() == 1U);
    here.clock.advance(1h);
    BOOST_TEST(here.woken.size() == 1U);
}

BOOST_DATA_TEST_CASE(a_cancelled_one_is_not_woken_and_leaves_the_context_without_work, both, shared)
{
    sleepers here{shared};
    auto& one = here.add();
    auto& other = here.add();
    one.set(here.clock.now() + 10s);
    other.set(here.clock.now() + 20s);
    BOOST_TEST(one.alive());
    one.alarm.cancel();
    one.alarm.cancel();
    other.alarm.cancel();
    here.context.run();  // returns, because nothing waits
    BOOST_TEST(!one.alive());
    BOOST_TEST(!other.alive());
    BOOST_TEST(here.woken.empty());
    here.context.restart();
    one.set(here.clock.now() + 5s);
    here.clock.advance(5s);
    BOOST_TEST(here.woken.size() == 1U);
}

BOOST_DATA_TEST_CASE(any_order_of_setting_and_cancelling_ends_as_a_list_would_say, both, shared)
{
    for (unsigned seed = 0; seed < 50; ++seed)
    {
        std::minstd_rand random{seed};
        auto const below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
        sleepers here{shared};
        auto const start = here.clock.now();
        std::vector<int> times(20, -1);  // what is set; -1: nothing
        for (std::size_t each = 0; each < times.size(); ++each)
            here.add();
        for (int step = 0; step < 200; ++step)
        {
            auto const which = static_cast<std::size_t>(below(20));
            if (below(4) == 0)
            {
                here.all[which]->alarm.cancel();
                times[which] = -1;
                continue;
            }
            // Different for each, so that the order is certain.
            int const when = (1 + below(1000)) * 20 + static_cast<int>(which);
            here.all[which]->set(start + std::chrono::milliseconds{when});
            if (times[which] < 0 || when < times[which])
                times[which] = when;
        }
        std::vector<int> expected;
        for (;;)
        {
            int first = -1;
            for (int each = 0; each < 20; ++each)
            {
                int const when = times[static_cast<std::size_t>(each)];
                if (when >= 0 && (first < 0 || when < times[static_cast<std::size_t>(first)]))
                    first = each;
            }
            if (first < 0)
                break;
            times[static_cast<std::size_t>(first)] = -1;
            expected.push_back(first);
        }
        here.clock.advance(1min);
        BOOST_TEST(here.woken == expected, boost::test_tools::per_element());
    }
}

// On the system's clock: the time that they want has passed.
BOOST_DATA_TEST_CASE(one_that_always_wants_to_be_woken_at_once_leaves_the_others_their_turn, both, shared)
{
    asio::io_context context{1};
    if (shared)
        wakeup_queue::use(context);
    std::vector<int> woken;
    sleeper greedy{context, woken, 0};
    sleeper modest{context, woken, 1};
    auto const past = std::chrono::steady_clock::now() - 1s;
    greedy.again = past;
    greedy.set(past);
    modest.set(past);
    while (std::count(woken.begin(), woken.end(), 0) < 5)
        context.run_one();
    BOOST_TEST(std::count(woken.begin(), woken.end(), 1) == 1);
    greedy.again.reset();
    context.run();
}

BOOST_DATA_TEST_CASE(what_one_throws_leaves_the_context_and_the_others_are_woken, both, shared)
{
    sleepers here{shared};
    auto& thrower = here.add();
    auto& other = here.add();
    thrower.throws = true;
    thrower.set(here.clock.now() + 1s);
    other.set(here.clock.now() + 1s);
    BOOST_CHECK_THROW(here.clock.advance(1s), std::runtime_error);
    here.clock.advance(1s);
    BOOST_TEST(here.woken == (std::vector{0, 1}), boost::test_tools::per_element());
    BOOST_TEST(!thrower.alive());
}

BOOST_DATA_TEST_CASE(a_destroyed_context_abandons_those_that_sleep, both, shared)
{
    std::vector<int> woken;
    auto context = std::make_unique<asio::io_context>(1);
    duet::testing::manual_clock const clock{*context};
    if (shared)
        wakeup_queue::use(*context);
    auto* const sleeps = new sleeper{*context, woken, 0};
    sleeps->dies = true;
    sleeps->set(clock.now() + 1s);
    context.reset();
    BOOST_TEST(woken == (std::vector{-1}), boost::test_tools::per_element());  // a leak if it was not destroyed
}

// What is destroyed with the context may set one: in the queue's own turn, and when the queue has ended already.
BOOST_AUTO_TEST_CASE(who_is_set_while_the_context_ends_is_abandoned)
{
    for (bool const late : {false, true})
    {
        std::vector<int> woken;
        auto context = std::make_unique<asio::io_context>(1);
        duet::testing::manual_clock const clock{*context};
        wakeup_queue::use(*context);
        auto* const sets = new sleeper{*context, woken, 0};
        auto* const sleeps = new sleeper{*context, woken, 1};
        sets->dies = sleeps->dies = true;
        auto set = [&, when = clock.now() + 1s] { BOOST_TEST(sleeps->set(when)); };
        if (late)
            asio::post(*context, [_ = std::shared_ptr<void>(nullptr, [set](void*) { set(); })] {});
        else
            sets->abandons = set;
        sets->set(clock.now() + 1s);
        context.reset();
        BOOST_TEST(
            woken == (std::vector{-1, -1}), boost::test_tools::per_element());  // a leak if one was not destroyed
    }
}

// A failed set() leaves nothing behind, and those that were set before are woken nevertheless.
BOOST_DATA_TEST_CASE(each_allocation_that_fails_is_reported_or_not_needed, both, shared)
{
    int failures = 0;
    for (int before = 0; before < 8; ++before)
    {
        asio::io_context context{1};
        if (shared)
            wakeup_queue::use(context);
        std::vector<int> woken;
        woken.reserve(80);
        sleeper first{context, woken, 0};
        sleeper second{context, woken, 1};
        auto const past = std::chrono::steady_clock::now() - 1s;
        BOOST_TEST(first.set(past));
        std::list<sleeper> others;  // with the first one they fill a block of the queue, so the next takes memory
        for (int count = 1; count < 64; ++count)
            BOOST_TEST(others.emplace_back(context, woken, 2).set(past));
        allocations_before_failure = before;
        allocations_to_fail = 1;
        bool const is_set = second.set(past - 1s);
        bool const has_failed = std::exchange(allocations_to_fail, 0) == 0;
        failures += has_failed ? 1 : 0;
        BOOST_TEST(is_set == !has_failed);
        BOOST_TEST((second.alarm.at() == wakeup::never) == has_failed);
        context.run();
        BOOST_TEST(std::count(woken.begin(), woken.end(), 0) == 1);
        BOOST_TEST(std::count(woken.begin(), woken.end(), 1) == (is_set ? 1 : 0));
        BOOST_TEST(second.set(past));
        context.restart();
        context.run();
        BOOST_TEST(woken.back() == 1);
        BOOST_TEST(!second.alive());
    }
    BOOST_TEST(failures > 0);
}
