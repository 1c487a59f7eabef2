// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "acts.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <array>

#include "../lifecycle/network.hpp"
#include "scene.hpp"

namespace asio = boost::asio;
using duet::limit_policy;
using std::chrono::milliseconds;

namespace example {
namespace {

constexpr int short_queue = 4;
constexpr std::size_t few_sessions = 2;
constexpr int longer_queue = 16;
constexpr std::size_t many_sessions = 100;
constexpr unsigned flood_size = 100;

constexpr auto long_patience = std::chrono::seconds{20};  // some repetitions of the SYN: after 1, 3, 7 and 15 s

std::string half_open_handshakes(milliseconds patience)
{
    scene stage{longer_queue, many_sessions, limit_policy::wait, patience};
    return stage.play(
        [](scene& on) -> asio::awaitable<std::string>
        {
            on.show("the server listens");
            co_await on.flood(5);
            on.show("5 SYNs whose senders stay silent");
            co_await on.welcome(1);
            on.show("1 client");
            co_return fmt::format(
                "{} handshakes wait in the SYN queue; accept() has not seen them, and a client passes them by",
                on.look().half_open);
        });
}

/// A server that has as many sessions as it may have, and a full queue.
asio::awaitable<void> fill(scene& on)
{
    co_await on.welcome(few_sessions);
    on.show("2 clients: as many as max_sessions");
    co_await on.welcome(short_queue + 1);
    on.show("5 more");
}

std::string overflow(milliseconds patience)
{
    scene stage{short_queue, few_sessions, limit_policy::wait, patience};
    return stage.play(
        [](scene& on) -> asio::awaitable<std::string>
        {
            co_await fill(on);
            auto const queue = on.look().queue;
            co_await on.welcome(3);
            on.show("3 more");
            auto const overflows = on.look().queue.overflows;
            on.visitors().come(1, long_patience);
            co_await on.until([&] { return on.look().queue.overflows > overflows; });
            on.show("1 that is patient: its SYN is dropped");
            on.visitors().leave();
            co_await on.settle();
            on.show("a session ends");
            co_return fmt::format(
                "a backlog of {} holds {}; then SYNs are dropped, and nobody is told: 3 clients have timed out, "
                "and one has waited {} ms, until its SYN was sent again",
                queue.limit, queue.length, on.visitors().longest(fate::connected).count());
        });
}

std::string lost_ack(milliseconds patience)
{
    scene stage{short_queue, few_sessions, limit_policy::wait, patience};
    return stage.play(
        [](scene& on) -> asio::awaitable<std::string>
        {
            on.visitors().come_deaf();
            co_await on.until([&] { return on.look().half_open == 1; });
            on.show("1 client, whose SYN, ACK is lost");
            co_await fill(on);
            on.visitors().hear();
            co_await on.until([&] { return on.visitors().count(fate::unknown) == 1 && on.look().queue.overflows > 0; });
            on.show("its SYN, ACK comes: its last ACK is dropped");
            set_parameter("net/ipv4/tcp_abort_on_overflow", "1");
            co_await on.until([&] { return on.visitors().count(fate::reset) == 1; });
            on.show("the same with tcp_abort_on_overflow");
            co_return "a client can be connected while the server knows nothing of it: its last ACK met a full accept "
                      "queue. With tcp_abort_on_overflow it is reset instead";
        });
}

asio::awaitable<void> flood_between_clients(scene& on)
{
    co_await on.welcome(1);
    on.show("1 client");
    co_await on.flood(flood_size);
    on.show("100 SYNs from false addresses");
    co_await on.welcome(2);
    on.show("2 clients more");
}

std::string syn_flood(milliseconds patience)
{
    set_parameter("net/ipv4/tcp_syncookies", "0");
    scene stage{longer_queue, many_sessions, limit_policy::wait, patience};
    return stage.play(
        [](scene& on) -> asio::awaitable<std::string>
        {
            co_await flood_between_clients(on);
            co_return fmt::format(
                "without cookies, {} false SYNs fill the SYN queue, and keep it for a minute: {} of 2 clients have "
                "timed out, while the accept queue is empty",
                on.look().half_open, on.visitors().count(fate::timed_out));
        });
}

std::string syn_cookies(milliseconds patience)
{
    set_parameter("net/ipv4/tcp_syncookies", "1");
    scene stage{longer_queue, many_sessions, limit_policy::wait, patience};
    return stage.play(
        [](scene& on) -> asio::awaitable<std::string>
        {
            co_await flood_between_clients(on);
            flood_with_acks(on.address(), 10);
            co_await on.until([&] { return on.look().cookies_failed >= 10; });
            on.show("10 ACKs with a false cookie");
            auto const seen = on.look();
            co_return fmt::format(
                "with cookies, the same flood stops nobody: {} of {} cookies came back, and {} ACKs that carried "
                "none were refused",
                seen.cookies_received, seen.cookies_sent, seen.cookies_failed);
        });
}

std::string shed(milliseconds patience)
{
    set_parameter("net/ipv4/tcp_syncookies", "1");
    scene stage{short_queue, few_sessions, limit_policy::shed, patience};
    return stage.play(
        [](scene& on) -> asio::awaitable<std::string>
        {
            co_await fill(on);
            co_await on.welcome(3);
            on.show("3 more");
            auto const shed = on.counters().shed;
            auto const slowest = on.visitors().longest(fate::reset);
            co_await on.flood(flood_size);
            on.show("100 SYNs from false addresses");
            on.visitors().leave();
            co_await on.settle();
            co_await on.welcome(1);
            on.show("a session ends, and 1 client");
            co_return fmt::format(
                "with shed, all that `overflow` kept waiting know after {} ms at most: {} were reset, and the accept "
                "queue stays empty. The SYN queue is the kernel's affair all the same",
                slowest.count(), shed);
        });
}

constexpr std::array<act, 6> all{{
    {"half_open", "Handshakes that have begun wait in the SYN queue", half_open_handshakes},
    {"overflow", "The program does not accept: the accept queue fills, and overflows (limit_policy::wait)", overflow},
    {"lost_ack", "The accept queue is full when the last ACK of a handshake comes", lost_ack},
    {"syn_flood", "A SYN flood, without SYN cookies", syn_flood},
    {"syn_cookies", "The same flood, with SYN cookies", syn_cookies},
    {"shed", "The clients of `overflow` again, and the server sheds those that are too many (limit_policy::shed)",
        shed},
}};

}  // namespace

std::span<act const> acts()
{
    return all;
}

}  // namespace example
