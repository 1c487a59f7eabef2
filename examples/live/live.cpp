// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// Sends the frames of a camera through a slow link that loses packets: over TCP, over TCP with a bound for what waits,
// and over UDP; prints the latency of each frame, and draws it. It needs a network namespace of its own, and a TUN
// device. Try: live --out live.svg

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <duet/tasks.hpp>

#include "../lifecycle/network.hpp"
#include "../options.hpp"
#include "recording.hpp"
#include "slow_link.hpp"
#include "transports.hpp"

namespace asio = boost::asio;
using namespace example;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t media_port = 5004;

struct plan
{
    show media;
    link_options link;
    std::chrono::milliseconds length;
    bool steady;  // no episodes

    // The same for each transport: first all is well, then nothing arrives, and later half as much.
    std::chrono::milliseconds outage_begin() const { return length / 4; }
    std::chrono::milliseconds outage_end() const { return length / 4 + length / 16; }
    std::chrono::milliseconds narrow_begin() const { return length / 2; }
    std::chrono::milliseconds narrow_end() const { return length * 3 / 4; }
};

asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point when)
{
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, when};
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> play_episodes(slow_link& link, plan const& how)
{
    auto const begin = std::chrono::steady_clock::now();
    co_await wait_until(begin + how.outage_begin());
    link.set_loss(1);
    co_await wait_until(begin + how.outage_end());
    link.set_loss(how.link.loss);
    co_await wait_until(begin + how.narrow_begin());
    link.set_rate(how.link.rate / 2);
    co_await wait_until(begin + how.narrow_end());
    link.set_rate(how.link.rate);
}

asio::awaitable<void> send_by(std::string_view transport, plan const& how, recording& result)
{
    if (transport == "udp")
        co_await send_by_udp(how.media, result);
    else
        co_await send_by_tcp(how.media, transport == "tcp" ? when_late::queue : when_late::drop, result);
}

/// Each transport has a link of its own, with the same seed.
recording run(std::string const& transport, plan const& how)
{
    asio::io_context context;
    slow_link link{context.get_executor(), media_port, how.link};
    recording result{transport};
    auto const all = [&]() -> asio::awaitable<void>
    {
        auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
        {
            tasks.begin(link.run());
            if (!how.steady)
                tasks.begin(play_episodes(link, how));
            co_await send_by(transport, how, result);
        };
        co_await duet::with_tasks(body, duet::tasks_end::cancel);
    };
    auto ended = asio::co_spawn(context, all(), asio::use_future);
    context.run();
    ended.get();  // throws what it has thrown
    return result;
}

void print(recording const& result)
{
    std::size_t number = 0;
    for (auto const& entry : result.entries())
    {
        fmt::print("{} {} ", result.name(), number++);
        if (entry.latency)
            fmt::print("{:.1f} ms\n", entry.latency->count());
        else
            fmt::print("{}\n", entry.dropped ? "dropped" : "lost");
    }
}

std::vector<episode> episodes_of(plan const& how)
{
    if (how.steady)
        return {};
    return {{"nothing arrives", how.outage_begin(), how.outage_end()},
        {"half the rate", how.narrow_begin(), how.narrow_end()}};
}

plan plan_of(options const& given)
{
    auto const fps = std::max<std::uint32_t>(1, given.number("fps"));
    std::chrono::seconds const length{given.number("seconds")};
    show const media{static_cast<std::uint32_t>(length.count()) * fps, 1000ms / fps,
        std::max<std::size_t>(16, given.number("frame")), media_port, asio::ip::make_address(slow_link::near),
        asio::ip::make_address(slow_link::far)};
    link_options const link{std::max<std::uint32_t>(2, given.number("rate")),
        std::chrono::milliseconds{given.number("delay")}, given.number("queue"), given.number("loss") / 1000.0,
        given.number("seed")};
    return {media, link, length, given.flag("steady")};
}

}  // namespace

int main(int argc, char** argv)
try
{
    options const options{argc, argv, "Sends frames through a slow link, and draws their latency over TCP and UDP.",
        {{"seconds", "12", "how long, for each transport"}, {"fps", "25", "frames a second"},
            {"frame", "4000", "the size of a frame, in bytes"}, {"rate", "160000", "of the link, in bytes a second"},
            {"delay", "30", "of the link, in each direction, in milliseconds"},
            {"queue", "16000", "bytes that wait for the link; what does not fit is lost"},
            {"loss", "10", "packets of a thousand that are lost"}, {"seed", "1", "of the losses"},
            {"steady", "", "nothing happens to the link meanwhile"}, {"out", "live.svg", "the picture"},
            {"quiet", "", "print the summaries alone"}}};
    plan const how = plan_of(options);
    enter_own_network();
    std::vector<recording> all;
    for (std::string const transport : {"tcp", "tcp-drop", "udp"})
    {
        all.push_back(run(transport, how));
        if (!options.flag("quiet"))
            print(all.back());
        fmt::print("{}\n", all.back().summary());
        std::fflush(stdout);
    }
    std::ofstream file{options.text("out")};
    file << picture(all, episodes_of(how), how.length);
    if (!file.flush())
        throw std::runtime_error{"cannot write " + options.text("out")};
}
catch (not_permitted const& error)
{
    fmt::print(stderr, "live: {}\n", error.what());
    return 77;
}
catch (std::exception const& error)
{
    fmt::print(stderr, "live: {}\n", error.what());
    return 1;
}
