// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// When which attempt begins and ends, in virtual time: no socket, no timer, no clock.

#include "duet/detail/connect/connect_schedule.hpp"

#include "duet/detail/connect/connect_plan.hpp"

#define BOOST_TEST_MODULE connect.schedule
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using duet::connector_options;
using duet::detail::connect_schedule;
using duet::detail::connect_step;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::chrono::milliseconds never = 1000h;

// What an address does with an attempt, so long after it began.
struct address
{
    enum what_t
    {
        connects,
        fails,
        hangs
    } what = hangs;
    std::chrono::milliseconds after = never;
};

constexpr address connects_after(std::chrono::milliseconds time)
{
    return {address::connects, time};
}

constexpr address fails_after(std::chrono::milliseconds time)
{
    return {address::fails, time};
}

constexpr address hangs{};

// The kernel, a name server and a clock, for one connect.
class simulation
{
public:
    simulation(connector_options const& options, std::vector<address> addresses)
        : schedule_{options, at(0ms)}, addresses_{std::move(addresses)}, due_(addresses_.size(), never)
    {
    }

    // "0 start 0, 250 start 1, 251 connected 1"
    std::string run(std::chrono::milliseconds resolved_at = 0ms)
    {
        resolve_at_ = resolved_at;
        while (!ended_)
        {
            auto const action = schedule_.next(at(now_));
            if (action.step == connect_step::wait)
                sleep_until(action.at);
            else
                carry_out(action);
        }
        return log_;
    }

private:
    static connect_schedule::time_point at(std::chrono::milliseconds time)
    {
        return connect_schedule::time_point{} + 1h + time;
    }

    void carry_out(duet::detail::connect_action const& action)
    {
        auto const number = action.attempt;
        switch (action.step)
        {
        case connect_step::start:
            due_[number] = addresses_[number].what == address::hangs ? never : now_ + addresses_[number].after;
            return say("start", number);
        case connect_step::expire:
            due_[number] = never;
            return say("expire", number);
        case connect_step::resolve_timed_out:
            return end("resolve timed out");
        case connect_step::timed_out:
            return end("timed out");
        case connect_step::all_failed:
            return end("all failed");
        case connect_step::wait:
            return;
        }
    }

    // Until what comes first: the time asked for, the addresses, or the end of an attempt.
    void sleep_until(connect_schedule::time_point wanted)
    {
        auto const first = std::min_element(due_.begin(), due_.end());
        auto const next_end = first == due_.end() ? never : *first;
        auto const wake = wanted >= at(never) ? never : std::chrono::ceil<std::chrono::milliseconds>(wanted - at(0ms));
        if (resolve_at_ <= std::min(next_end, wake))
        {
            now_ = std::max(now_, resolve_at_);
            resolve_at_ = never + 1ms;
            schedule_.resolved(addresses_.size());
        }
        else if (next_end <= wake && next_end < never)
        {
            auto const number = static_cast<std::size_t>(first - due_.begin());
            now_ = next_end;
            *first = never;
            if (addresses_[number].what == address::connects)
                return say("connected", number), void(ended_ = true);
            say("failed", number);
            schedule_.failed(number);
        }
        else if (wake < never)
        {
            now_ = wake;
        }
        else
        {
            end("waits forever");
        }
    }

    void say(std::string const& what, std::size_t number)
    {
        end(what + ' ' + std::to_string(number));
        ended_ = false;
    }

    void end(std::string const& what)
    {
        log_ += (log_.empty() ? "" : ", ") + std::to_string(now_.count()) + ' ' + what;
        ended_ = true;
    }

    connect_schedule schedule_;
    std::vector<address> addresses_;
    std::vector<std::chrono::milliseconds> due_;
    std::chrono::milliseconds now_{0};
    std::chrono::milliseconds resolve_at_{0};
    bool ended_ = false;
    std::string log_;
};

struct row
{
    char const* name;
    connector_options options;
    std::vector<address> addresses;
    std::string expected;
    std::chrono::milliseconds resolved_at = 0ms;
};

std::ostream& operator<<(std::ostream& out, row const& each)
{
    return out << each.name;
}

connector_options const no_limit{.timeout = 0s};

std::vector<row> const rows{
    // One address.
    {"connects", no_limit, {connects_after(5ms)}, "0 start 0, 5 connected 0"},
    {"fails", no_limit, {fails_after(5ms)}, "0 start 0, 5 failed 0, 5 all failed"},
    {"hangs without a limit", no_limit, {hangs}, "0 start 0, 0 waits forever"},
    {"no address", no_limit, {}, "0 all failed"},

    // The stagger.
    {"the first connects in time: the second is left in peace", no_limit, {connects_after(249ms), connects_after(1ms)},
        "0 start 0, 249 connected 0"},
    {"the first is slow and wins all the same", no_limit, {connects_after(300ms), connects_after(100ms)},
        "0 start 0, 250 start 1, 300 connected 0"},
    {"the first is slow and loses", no_limit, {connects_after(400ms), connects_after(100ms)},
        "0 start 0, 250 start 1, 350 connected 1"},
    {"the first is black-holed", no_limit, {hangs, connects_after(1ms)}, "0 start 0, 250 start 1, 251 connected 1"},
    {"all but the last are black-holed", no_limit, {hangs, hangs, hangs, connects_after(1ms)},
        "0 start 0, 250 start 1, 500 start 2, 750 start 3, 751 connected 3"},
    {"another delay", {.timeout = 0s, .attempt_delay = 40ms}, {hangs, hangs, connects_after(1ms)},
        "0 start 0, 40 start 1, 80 start 2, 81 connected 2"},
    {"never sooner than 10 ms, RFC 8305 5", {.timeout = 0s, .attempt_delay = 1ms}, {hangs, connects_after(1ms)},
        "0 start 0, 10 start 1, 11 connected 1"},
    {"not even with no delay at all", {.timeout = 0s, .attempt_delay = 0ms}, {hangs, connects_after(1ms)},
        "0 start 0, 10 start 1, 11 connected 1"},

    // Failures start the next one at once.
    {"the first fails", no_limit, {fails_after(7ms), connects_after(1ms)},
        "0 start 0, 7 failed 0, 7 start 1, 8 connected 1"},
    {"all fail", no_limit, {fails_after(1ms), fails_after(2ms), fails_after(3ms)},
        "0 start 0, 1 failed 0, 1 start 1, 3 failed 1, 3 start 2, 6 failed 2, 6 all failed"},
    {"a failure in the middle, while an older one runs", no_limit, {hangs, fails_after(20ms), connects_after(5ms)},
        "0 start 0, 250 start 1, 270 failed 1, 270 start 2, 275 connected 2"},
    {"the older one fails: the third joins the second", no_limit, {fails_after(260ms), hangs, connects_after(5ms)},
        "0 start 0, 250 start 1, 260 failed 0, 260 start 2, 265 connected 2"},
    {"the stagger counts from the last start", no_limit, {fails_after(100ms), hangs, connects_after(1ms)},
        "0 start 0, 100 failed 0, 100 start 1, 350 start 2, 351 connected 2"},
    {"the last one fails, an older one still runs and connects", no_limit, {connects_after(400ms), fails_after(1ms)},
        "0 start 0, 250 start 1, 251 failed 1, 400 connected 0"},
    {"the last one fails, an older one still runs and fails", no_limit, {fails_after(400ms), fails_after(1ms)},
        "0 start 0, 250 start 1, 251 failed 1, 400 failed 0, 400 all failed"},

    // Deadlines.
    {"the whole takes too long", {.timeout = 600ms}, {hangs, hangs, hangs, connects_after(1ms)},
        "0 start 0, 250 start 1, 500 start 2, 600 timed out"},
    {"an attempt takes too long", {.timeout = 0s, .attempt_timeout = 100ms}, {hangs, connects_after(1ms)},
        "0 start 0, 100 expire 0, 100 start 1, 101 connected 1"},
    {"every attempt takes too long", {.timeout = 0s, .attempt_timeout = 300ms}, {hangs, hangs},
        "0 start 0, 250 start 1, 300 expire 0, 550 expire 1, 550 all failed"},
    {"an attempt connects just before its deadline", {.timeout = 0s, .attempt_timeout = 100ms}, {connects_after(99ms)},
        "0 start 0, 99 connected 0"},
    {"the whole before the attempt", {.timeout = 50ms, .attempt_timeout = 100ms}, {hangs}, "0 start 0, 50 timed out"},
    {"a failure is not a reason to wait for the deadline", {.timeout = 5s}, {fails_after(1ms)},
        "0 start 0, 1 failed 0, 1 all failed"},

    // Resolving.
    {"the addresses come late", no_limit, {connects_after(1ms)}, "500 start 0, 501 connected 0", 500ms},
    {"the stagger begins with the first attempt", no_limit, {hangs, connects_after(1ms)},
        "500 start 0, 750 start 1, 751 connected 1", 500ms},
    {"the addresses never come", no_limit, {hangs}, "0 waits forever", never + 1ms},
    {"the look-up takes too long", {.timeout = 0s, .resolve_timeout = 80ms}, {hangs}, "80 resolve timed out", 100ms},
    {"the look-up is in time", {.timeout = 0s, .resolve_timeout = 80ms}, {connects_after(100ms)},
        "79 start 0, 179 connected 0", 79ms},
    {"the whole is over while the name is looked up", {.timeout = 70ms, .resolve_timeout = 80ms}, {hangs},
        "70 timed out", 100ms},
    {"the look-up is part of the whole", {.timeout = 300ms}, {hangs}, "200 start 0, 300 timed out", 200ms},

    // Limits out of all reason.
    {"the greatest limits do not overflow",
        {.timeout = connector_options::duration::max(),
            .resolve_timeout = connector_options::duration::max(),
            .attempt_timeout = connector_options::duration::max(),
            .attempt_delay = connector_options::duration::max()},
        {hangs, connects_after(1ms)}, "0 start 0, 0 waits forever"},
    {"negative limits are none", {.timeout = -1s, .resolve_timeout = -1s, .attempt_timeout = -1s, .attempt_delay = -1s},
        {hangs, connects_after(1ms)}, "0 start 0, 10 start 1, 11 connected 1"},
};

}  // namespace

BOOST_DATA_TEST_CASE(in_virtual_time, rows, each)
{
    simulation one{each.options, each.addresses};
    BOOST_TEST(one.run(each.resolved_at) == each.expected);
}

// ---- The order
// ----------------------------------------------------------------------------------------------------------

namespace {

tcp::endpoint endpoint_of(std::string const& name)
{
    return {asio::ip::make_address(name), 80};
}

// "6a 4a" for ::a and 127.0.0.10
std::string planned(std::string const& names)
{
    std::vector<tcp::endpoint> addresses;
    for (std::size_t at = 0; at < names.size(); at += 3)
        addresses.push_back(endpoint_of(
            names[at] == '6' ? std::string{"2001:db8::"} + names[at + 1] : std::string{"10.0.0."} + names[at + 1]));
    std::string text;
    for (auto const& each : duet::detail::plan_attempts(addresses))
    {
        auto const address = each.address().to_string();
        text += (text.empty() ? "" : " ") + std::string{each.address().is_v6() ? "6" : "4"} + address.back();
    }
    return text;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_families_take_turns)  // RFC 8305 4
{
    BOOST_TEST(planned("") == "");
    BOOST_TEST(planned("61") == "61");
    BOOST_TEST(planned("61 62 63") == "61 62 63");
    BOOST_TEST(planned("41 42 43") == "41 42 43");
    BOOST_TEST(planned("61 62 41 42") == "61 41 62 42");
    BOOST_TEST(planned("61 62 63 41") == "61 41 62 63");
    BOOST_TEST(planned("61 41 42 43") == "61 41 42 43");
    // The resolver knows best which family is first (RFC 6724), and in which order within it.
    BOOST_TEST(planned("41 42 61 62") == "41 61 42 62");
    BOOST_TEST(planned("43 69 41 62 42") == "43 69 41 62 42");
    BOOST_TEST(planned("61 41 61 41 42") == "61 41 42");  // twice in /etc/hosts
}

BOOST_AUTO_TEST_CASE(the_most_telling_error)
{
    namespace error = asio::error;
    using attempts = std::vector<duet::connect_attempt<tcp>>;
    auto const telling = [](std::vector<duet::error_code> const& errors)
    {
        attempts list;
        for (auto const& each : errors)
            list.push_back({{}, each});
        return duet::detail::most_telling_error(list);
    };
    auto const no_address = make_error_code(boost::system::errc::address_not_available);
    using duet::error_code;
    BOOST_TEST(telling({error::connection_refused}) == error_code{error::connection_refused});
    BOOST_TEST(telling({error::timed_out, error::timed_out}) == error_code{error::timed_out});
    BOOST_TEST(telling({error::connection_reset, error::connection_refused}) == error_code{error::connection_reset});
    // A host with IPv4 only says the first of these about every IPv6 address, whatever else is wrong.
    BOOST_TEST(
        telling({error::network_unreachable, error::connection_refused}) == error_code{error::connection_refused});
    BOOST_TEST(telling({no_address, error::address_family_not_supported, duet::errc::connect_timed_out}) ==
               error_code{duet::errc::connect_timed_out});
    BOOST_TEST(telling({error::host_unreachable, error::network_unreachable}) == error_code{error::host_unreachable});
    BOOST_TEST(
        telling({duet::errc::no_local_port, error::connection_refused}) == error_code{duet::errc::no_local_port});
    BOOST_TEST(telling({}) == error_code{duet::errc::no_address});
}
