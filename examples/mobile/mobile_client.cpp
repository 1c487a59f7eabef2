// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A client that survives its network. It says numbered messages and prints the answers; when the network stalls, cuts,
// garbles, or changes its address, it connects again and goes on where it was: no message is lost, and none comes
// twice. Try: mobile_server & unstable_link & mobile_client --port 7778 --count 1000

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include <duet/kept_connection.hpp>
#include <duet/tasks.hpp>

#include "../options.hpp"
#include "exchange.hpp"

namespace asio = boost::asio;
using namespace example;
using namespace std::chrono_literals;

namespace {

std::string random_id()
{
    std::random_device random;
    std::string id;
    while (id.size() < id_size)
        id += static_cast<char>(random() & 0xff);
    return id;
}

class mobile_client
{
public:
    mobile_client(asio::io_context& context, rhythm pace, std::uint64_t count, std::chrono::milliseconds interval)
        : pace_{pace}, count_{count}, interval_{interval}, words_{context.get_executor()}, room_{context.get_executor()}
    {
    }

    /// Until every message is acknowledged and answered.
    asio::awaitable<void> run(duet::kept_connection& server)
    {
        auto const body = [&](duet::tasks& tasks) -> asio::awaitable<void>
        {
            tasks.begin(talk());
            auto const one = [this](duet::session& peer, duet::kept_trial& trial) { return connected(peer, trial); };
            co_await server.run(one);
        };
        co_await duet::with_tasks(body, duet::tasks_end::cancel);
        if (forgotten_)
            throw std::runtime_error{"the server has forgotten this conversation"};
    }

private:
    /// What the program has to say. It knows of no connection, and waits when the window is full.
    asio::awaitable<void> talk()
    {
        for (std::uint64_t number = 1; number <= count_; ++number)
        {
            while (!conversation_.has_room())
                co_await room_.wait_until(std::chrono::steady_clock::time_point::max());
            conversation_.say(fmt::format("message {}", number));
            words_.ring();
            if (interval_ > 0ms)
            {
                auto const executor = co_await asio::this_coro::executor;
                asio::steady_timer timer{executor, interval_};
                co_await timer.async_wait(asio::use_awaitable);
            }
        }
    }

    /// One connection; returns whether another one is wanted.
    asio::awaitable<bool> connected(duet::session& peer, duet::kept_trial& trial)
    {
        frame_pipe server{peer, pace_};
        conversation_.forget_arrived();
        frame const hello{known_ ? frame_kind::resume : frame_kind::begin, ++attempt_, conversation_.heard(), id_};
        co_await server.send(hello);
        auto const answer = co_await server.receive();
        if (!answer)
            co_return true;
        if (answer->kind == frame_kind::refused)
            co_return was_refused(answer->text);
        if (answer->kind != frame_kind::welcome || !conversation_.acknowledge(answer->acknowledged))
            throw std::runtime_error{"this is no welcome"};
        known_ = true;
        room_.ring();
        exchange messages{server, conversation_, words_, [&] { return hear(trial); }};
        co_await messages.run();
        if (!finished())
            co_return true;
        co_await server.send({.kind = frame_kind::bye, .acknowledged = conversation_.heard()});
        co_return false;
    }

    /// Print what has come. False: that was all.
    bool hear(duet::kept_trial& trial)
    {
        for (auto text = conversation_.hear(); text; text = conversation_.hear())
        {
            fmt::print("{}\n", *text);
            trial.succeeded();  // not at the welcome: a network that carries no message is no success
        }
        room_.ring();
        return !finished();
    }

    bool was_refused(std::string_view why)
    {
        fmt::print(stderr, "refused: {}\n", why);
        // A server that has seen our bye does not know us any more; that is in order. Else it has lost messages.
        forgotten_ = why == "unknown" && !finished();
        return why != "unknown";
    }

    bool finished() const { return conversation_.heard() == count_ && conversation_.all_acknowledged(); }

    rhythm const pace_;
    std::uint64_t const count_;
    std::chrono::milliseconds const interval_;
    std::string const id_ = random_id();
    std::uint64_t attempt_ = 0;
    bool known_ = false;  // the server knows the conversation
    bool forgotten_ = false;
    conversation conversation_;
    bell words_;
    bell room_;
};

}  // namespace

int main(int argc, char** argv)
try
{
    options const options{argc, argv, "Says messages, prints the answers, and survives its network.",
        {{"host", "localhost", "the server, or the link to it"}, {"port", "7777", "its port"},
            {"count", "1000000", "the number of messages"}, {"interval", "0", "milliseconds between two messages"},
            {"unit", "1000", "milliseconds: the unit of all times"}}};
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a pipe or a file gets each line at once, too
    std::chrono::milliseconds const unit{options.number("unit")};
    rhythm const pace = rhythm_of(unit);
    asio::io_context context;
    duet::connector connector{context, {.timeout = pace.silence, .session = {.deadlines = {.close = pace.silence}}}};
    duet::kept_connection server{
        std::move(connector), options.text("host"), options.text("port"), {.initial = unit / 4, .maximum = 10 * unit}};
    server.on_lost(
        [](duet::lost_connection const& loss)
        {
            fmt::print(stderr, "{}; next try in {} ms\n", loss.failure ? loss.what() : "the connection has ended",
                loss.next_try_in / 1ms);
        });
    mobile_client client{context, pace, options.number("count"), std::chrono::milliseconds{options.number("interval")}};
    auto ended = asio::co_spawn(context, client.run(server), asio::use_future);
    context.run();
    ended.get();  // throws what it has thrown
}
catch (std::exception const& error)
{
    fmt::print(stderr, "mobile_client: {}\n", error.what());
    return 1;
}
