// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "scene.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <utility>

#include <duet/error.hpp>
#include <duet/session.hpp>
#include <duet/tasks.hpp>

#include "../for_strangers.hpp"
#include "../lifecycle/network.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace example {
namespace {

constexpr std::size_t input_limit = 1000;
constexpr auto row = "{:43}  {:>8}  {:>6}  {:>9}  {:>5}  {:>6}  {:>8}  {}\n";

duet::server_options options_of(int backlog, std::size_t max_sessions, duet::limit_policy at_limit)
{
    auto result = for_strangers(0);
    result.address = "127.0.0.1";
    result.backlog = backlog;
    result.max_sessions = max_sessions;
    result.at_limit = at_limit;
    return result;
}

asio::awaitable<void> greet(duet::session peer)
{
    co_await peer.write("hello\n");
    std::string input;
    co_await peer.read_all(input, input_limit);
}

}  // namespace

scene::scene(int backlog, std::size_t max_sessions, duet::limit_policy at_limit, milliseconds patience)
    : patience_{patience}, server_{context_, options_of(backlog, max_sessions, at_limit), greet}
{
}

std::string scene::play(std::function<asio::awaitable<std::string>(scene&)> const& act)
{
    auto const body = [&](duet::tasks& tasks)
    {
        visitors_.emplace(context_.get_executor(), tasks, address());
        return act(*this);
    };
    std::string result;
    std::exception_ptr failure;
    auto const end = [&](std::exception_ptr thrown, std::string shown)
    {
        failure = std::move(thrown);
        result = std::move(shown);
        server_.abort();  // so that the context has nothing to do any more
    };
    asio::co_spawn(context_, duet::with_tasks(body, duet::tasks_end::cancel), end);
    context_.run();
    if (failure)
        std::rethrow_exception(failure);
    return result;
}

kernel_view scene::look() const
{
    duet::error_code error;
    auto const queue = server_.queue(error);
    if (error)
        throw boost::system::system_error{error, "the listener's queue"};
    return {half_open(address()), queue, counter("ListenDrops"), counter("TCPReqQFullDrop"),
        counter("TCPReqQFullDoCookies"), counter("SyncookiesSent"), counter("SyncookiesRecv"),
        counter("SyncookiesFailed")};
}

asio::awaitable<void> scene::welcome(unsigned count)
{
    visitors().come(count, patience_);
    co_await settle();
}

asio::awaitable<void> scene::flood(unsigned count)
{
    flood_with_syns(address(), count);
    co_await until(
        [this, count]
        {
            auto const seen = look();
            return seen.half_open + seen.full_drops + seen.full_cookies >= count;
        });
}

bool scene::is_settled() const
{
    if (visitors_->count(fate::connecting) > 0 || visitors_->count(fate::leaving) > 0)
        return false;
    duet::error_code error;
    auto const waiting = server_.queue(error).length;
    bool const may_accept = waiting > 0 && server_.counters().active < server_.options().max_sessions;
    return !may_accept && visitors_->count(fate::connected) == waiting;
}

asio::awaitable<void> scene::settle()
{
    co_await until([this] { return is_settled(); });
}

asio::awaitable<void> scene::until(std::function<bool()> condition)
{
    auto const end = std::chrono::steady_clock::now() + 30s;
    auto const executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor};
    while (!condition())
    {
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error{"a step does not end: " + visitors_->in_words()};
        timer.expires_after(2ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

void scene::show(std::string_view step) const
{
    auto const seen = look();
    fmt::print(row, step, seen.half_open, fmt::format("{}/{}", seen.queue.length, seen.queue.limit),
        seen.queue.overflows, seen.drops, fmt::format("{}/{}", seen.full_drops, seen.full_cookies),
        fmt::format("{}/{}/{}", seen.cookies_sent, seen.cookies_received, seen.cookies_failed), visitors_->in_words());
    std::fflush(stdout);
}

void print_legend()
{
    fmt::print(
        "SYN_RECV   handshakes that have begun and are not complete: the SYN queue (/proc/net/tcp)\n"
        "queue      the accept queue: its length and its limit (server.queue())\n"
        "overflows  how often the accept queue was full (ListenOverflows)\n"
        "drops      SYNs and last ACKs that the listener threw away (ListenDrops)\n"
        "full       the SYN queue was full: SYNs dropped, and answered with a cookie (TCPReqQFullDrop/DoCookies)\n"
        "cookies    SYN cookies sent, come back, and false (SyncookiesSent/Recv/Failed)\n"
        "clients    what honest clients have seen; in brackets, how long it took the slowest of them\n");
}

void print_head()
{
    fmt::print(row, "", "SYN_RECV", "queue", "overflows", "drops", "full", "cookies", "clients");
}

}  // namespace example
