// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// The reactor alone: which object is told of an event, and which is told that events are near.

#define BOOST_TEST_MODULE channel.watched
#include <duet/detail/channel/reactor.hpp>

#include "channel/reactor_fixture.hpp"
#include "support/kernel.hpp"

#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <poll.h>
#include <unistd.h>

using namespace duet_test;

namespace {

/// Counts the events that it is told of.
struct probe final : duet::detail::watched
{
    void on_events(std::uint32_t) override
    {
        ++events;
        if (then)
            then();
    }

    void on_turn() override {}
    void on_shutdown() noexcept override
    {
        ++ends;
        if (then)
            then();
    }
    void on_near(unsigned distance) noexcept override { near += static_cast<char>('0' + distance); }

    int events = 0;
    int ends = 0;
    std::string near;  // the distances that it was told of
    std::function<void()> then;
};

duet::detail::reactor& reactor_of(asio::io_context& context)
{
    duet::detail::reactor::use(context);
    return *duet::detail::reactor::of(&context);
}

}  // namespace

// P40: the socket lives on in a copy of its descriptor, and so does its place in the epoll.
BOOST_AUTO_TEST_CASE(p40_an_event_of_an_earlier_registration_does_not_reach_the_next_one_in_its_place)
{
    asio::io_context context;
    auto& home = reactor_of(context);
    auto first = connected_pair(raw_address::v4(0));
    auto second = connected_pair(raw_address::v4(0));
    probe earlier;
    probe later;
    probe other;
    BOOST_REQUIRE(home.add(earlier, first.server.fd()));
    descriptor const copy{::dup(first.server.fd())};
    home.remove(earlier);
    first.server.close();
    BOOST_REQUIRE(home.add(later, second.server.fd()));
    home.begin(later);
    auto third = connected_pair(raw_address::v4(0));
    BOOST_REQUIRE(home.add(other, third.server.fd()));
    first.client.send_all("x");
    third.client.send_all("x");
    run_until(context, [&] { return other.events == 1; });
    BOOST_TEST(earlier.events == 0);
    BOOST_TEST(later.events == 0);
    second.client.send_all("x");
    run_until(context, [&] { return later.events == 1; });
    home.end(later);
    home.remove(later);
    home.remove(other);
}

// P40: the epoll has told of it, and before it is its turn its place belongs to somebody else.
BOOST_AUTO_TEST_CASE(p40_an_event_does_not_reach_who_takes_its_place_within_the_same_wait)
{
    asio::io_context context;
    auto& home = reactor_of(context);
    raw_pair pairs[] = {
        connected_pair(raw_address::v4(0)), connected_pair(raw_address::v4(0)), connected_pair(raw_address::v4(0))};
    probe one;
    probe two;
    probe three;
    auto const replace = [&](probe& gone)
    {
        home.remove(gone, pairs[&gone == &one ? 0 : 1].server.fd());
        BOOST_REQUIRE(home.add(three, pairs[2].server.fd()));
    };
    one.then = [&] { replace(two); };
    two.then = [&] { replace(one); };
    BOOST_REQUIRE(home.add(one, pairs[0].server.fd()));
    BOOST_REQUIRE(home.add(two, pairs[1].server.fd()));
    home.begin(one);
    pairs[0].client.send_all("x");
    pairs[1].client.send_all("x");
    run_until(context, [&] { return one.events + two.events > 0; });
    BOOST_TEST(one.events + two.events == 1);
    BOOST_TEST(three.events == 0);
    home.end(one);
    home.remove(one);
    home.remove(two);
    home.remove(three);
}

BOOST_AUTO_TEST_CASE(who_has_left_the_epoll_and_waits_for_its_turn_is_told_of_the_end)
{
    probe in_epoll;
    probe in_line;
    {
        asio::io_context context;
        auto& home = reactor_of(context);
        auto first = connected_pair(raw_address::v4(0));
        auto second = connected_pair(raw_address::v4(0));
        BOOST_REQUIRE(home.add(in_epoll, first.server.fd()));
        BOOST_REQUIRE(home.add(in_line, second.server.fd()));
        home.begin(in_epoll);
        home.begin(in_line);
        home.turn(in_epoll);
        home.turn(in_line);
        home.remove(in_line, second.server.fd());
    }
    BOOST_TEST(in_epoll.ends == 1);
    BOOST_TEST(in_line.ends == 1);
}

// What is destroyed with the context may begin a wait: in the reactor's own turn, for a place that was passed already,
// and when the reactor has ended.
BOOST_AUTO_TEST_CASE(who_begins_to_wait_while_the_context_ends_is_told_of_the_end)
{
    for (bool const late : {false, true})
        for (bool const in_epoll : {true, false})
            BOOST_TEST_CONTEXT((late ? "after the reactor" : "in the reactor's turn") << (in_epoll ? ", in it" : ""))
            {
                probe waits;
                probe begins;
                probe other;
                auto first = connected_pair(raw_address::v4(0));
                auto second = connected_pair(raw_address::v4(0));
                auto third = connected_pair(raw_address::v4(0));
                {
                    asio::io_context context;
                    auto& home = reactor_of(context);
                    BOOST_REQUIRE(home.add(waits, first.server.fd()));
                    BOOST_REQUIRE(home.add(begins, second.server.fd()));
                    BOOST_REQUIRE(home.add(other, third.server.fd()));
                    auto const begin = [&]
                    {
                        home.begin(waits);
                        if (in_epoll)
                            return;
                        home.turn(waits);
                        home.remove(waits, first.server.fd());
                    };
                    if (late)
                        asio::post(context, [_ = std::shared_ptr<void>(nullptr, [begin](void*) { begin(); })] {});
                    else
                        begins.then = begin;
                    home.begin(begins);
                    home.begin(other);  // so that the wait that is begun is not the only one
                }
                BOOST_TEST(begins.ends == 1);
                BOOST_TEST(other.ends == 1);
                BOOST_TEST(waits.ends == 1);
            }
}

// Of many sessions none is in the cache, so those whose events come next are told.
BOOST_AUTO_TEST_CASE(who_has_events_soon_may_prefetch_unless_there_are_few_sessions)
{
    asio::io_context context;
    auto& home = reactor_of(context);
    std::vector<raw_pair> pairs;
    std::vector<std::unique_ptr<probe>> probes;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i != 8; ++i)
    {
        pairs.push_back(connected_pair(raw_address::v4(0)));
        probes.push_back(std::make_unique<probe>());
        probes[i]->then = [&, i] { order.push_back(i); };
        BOOST_REQUIRE(home.add(*probes[i], pairs[i].server.fd()));
    }
    auto const waits = std::make_unique<probe>();  // keeps the context busy
    auto const silent = connected_pair(raw_address::v4(0));
    BOOST_REQUIRE(home.add(*waits, silent.server.fd()));
    home.begin(*waits);
    auto const all_at_once = [&](std::size_t served)
    {
        order.clear();
        for (auto& each : pairs)
            each.client.send_all("x");
        for (auto& each : pairs)
        {
            ::pollfd arrived{each.server.fd(), POLLIN, 0};
            BOOST_REQUIRE(::poll(&arrived, 1, -1) == 1);
        }
        run_until(context, [&] { return order.size() == served; });
    };

    all_at_once(8);
    for (auto const& each : probes)
        BOOST_TEST(each->near == "");

    home.count(1000);
    auto const gone = order.back();
    for (std::size_t i = 0; i != 8; ++i)
        probes[i]->then = [&, i]
        {
            order.push_back(i);
            auto const other = i == gone ? (i + 1) % 8 : gone;
            if (order.size() > 1)
                return;
            home.remove(*probes[other], pairs[other].server.fd());
            probes[other].reset();  // who is gone is not told, and not touched
        };
    all_at_once(7);
    BOOST_TEST(probes[order.front()]->near == "");
    for (std::size_t i = 3; i != 7; ++i)
        BOOST_TEST(probes[order[i]]->near == "321");

    home.count(-1000);
    home.end(*waits);
    home.remove(*waits);
    for (auto const& each : probes)
        if (each)
            home.remove(*each);
}
