// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

// A context that is destroyed under sessions on sockets of the kernel: their descriptors go with it.

#define BOOST_TEST_MODULE session.destroyed_context
#include <duet/session.hpp>

#include <boost/test/unit_test.hpp>

#include "session/session_fixture.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace duet_test;
using duet::close_reason;

namespace {

// The two streams that the library brings.
using both = std::tuple<duet::session, duet::unix_session>;

/// Calls a function when it is destroyed.
class at_destruction
{
public:
    explicit at_destruction(std::function<void()> what) : what_{std::move(what)} {}

    at_destruction(at_destruction const&) = delete;
    at_destruction& operator=(at_destruction const&) = delete;

    ~at_destruction() { what_(); }

private:
    std::function<void()> what_;
};

/// A handler that owns something.
auto owning(std::shared_ptr<void const> what)
{
    return [what = std::move(what)](auto&&...) {};
}

// What a session waits for, or what else of its context waits.
enum class place
{
    none,
    read,
    read_all,
    write,
    shutdown,
    close,
    delivered,
    gone,
    finish,
    posted,
    timer,
    newer,  // in a service that is made last: Asio shuts that down first
};

char const* name(place value)
{
    constexpr char const* names[] = {"none", "read", "read_all", "write", "shutdown", "close", "delivered", "gone",
        "finish", "posted", "timer", "newer"};
    return names[static_cast<int>(value)];
}

/// A session and what it needs, owned by its handlers.
template <class Session>
struct guest
{
    guest(asio::io_context& context, raw_socket& end)
        : session{adopt<Session>(end, context.get_executor(), stalling())}, timer{context, std::chrono::hours{1}},
          signals{context}
    {
    }

    /// Wait there, with a handler that owns `what`.
    void wait(place where, std::shared_ptr<void const> what)
    {
        auto handler = owning(std::move(what));
        auto const stall = [&] { session.write(asio::buffer(text))(owning({})); };
        switch (where)
        {
        case place::none:
            break;
        case place::read:
            return session.read_some(asio::buffer(room))(std::move(handler));
        case place::read_all:
            return session.read(asio::buffer(room))(std::move(handler));
        case place::write:
            return session.write(asio::buffer(text))(std::move(handler));
        case place::shutdown:
            stall();
            return session.shutdown_send()(std::move(handler));
        case place::close:
            return session.close()(std::move(handler));
        case place::delivered:
            stall();
            return session.delivered()(std::move(handler));
        case place::gone:
            return session.wait_peer_gone()(std::move(handler));
        case place::finish:
            return session.wait_finish_requested()(std::move(handler));
        case place::posted:
            return asio::post(session.get_executor(), std::move(handler));
        case place::timer:
            return timer.async_wait(std::move(handler));
        case place::newer:
            signals.add(SIGUSR2);
            return signals.async_wait(std::move(handler));
        }
    }

    inline static std::string const text = pattern(long_write);
    std::array<char, 8> room{};
    Session session;
    asio::steady_timer timer;
    asio::signal_set signals;
};

}  // namespace

// An io_context that is destroyed under its coroutines destroys them, and with them their sessions and descriptors.
BOOST_AUTO_TEST_CASE_TEMPLATE(context_destroyed_under_every_kind_of_pending_operation, Session, both)
{
    enum class kind
    {
        read,
        read_until,
        write,
        shutdown,
        close,
        delivered,
        gone,
        all,
    };
    for (auto const each : {kind::read, kind::read_until, kind::write, kind::shutdown, kind::close, kind::delivered,
             kind::gone, kind::all})
    {
        BOOST_TEST_CONTEXT("kind " << static_cast<int>(each))
        {
            no_leaked_descriptors const descriptors;
            auto pair = std::optional<conversation_with<Session>>{std::in_place, small_window};
            auto data = pattern(long_write);
            auto witness = std::make_shared<int>();  // lives as long as the coroutine's frame
            {
                asio::io_context context;
                auto coroutine = [](Session s, kind what, std::string const& text,
                                     std::shared_ptr<int>) -> asio::awaitable<void>
                {
                    auto const executor = co_await asio::this_coro::executor;
                    bool const all = what == kind::all;
                    std::string line;
                    std::optional<started<std::size_t>> writing;
                    std::optional<started<void>> finishing;
                    std::optional<started<void>> delivering;
                    std::optional<started<close_reason>> gone;
                    if (all || what == kind::write || what == kind::shutdown || what == kind::delivered)
                        writing.emplace(executor, duet_test::write(s, text));
                    if (all || what == kind::shutdown)
                        finishing.emplace(executor, shutdown_send(s));
                    if (all || what == kind::delivered)
                        delivering.emplace(executor, awaited<void>(s.delivered()));
                    if (all || what == kind::gone)
                        gone.emplace(executor, awaited<close_reason>(s.wait_peer_gone()));
                    co_await settle();
                    if (what == kind::close)
                        co_await s.close();
                    else if (what == kind::write)
                        co_await s.write(asio::buffer(text));
                    else if (what == kind::gone)
                        co_await gone->result();
                    else if (what == kind::shutdown)
                        co_await s.shutdown_send();
                    else if (what == kind::delivered)
                        co_await s.delivered();
                    else if (what == kind::read_until)
                        co_await s.read_until(line, "\n", 100);
                    else
                        co_await duet_test::read(s);
                };
                asio::co_spawn(context,
                    coroutine(
                        adopt<Session>(pair->pair.server, context.get_executor(), stalling()), each, data, witness),
                    [](std::exception_ptr) { BOOST_ERROR("the coroutine has ended"); });
                for (int turn = 0; turn < 100; ++turn)
                    context.poll_one();
            }
            BOOST_TEST(witness.use_count() == 1);
            pair.reset();
            BOOST_TEST(descriptors.leaked() == "");
        }
    }
}

// Handlers own their sessions, and one that is destroyed with the context ends another one's session, or begins
// something on it: before that one's own handlers are destroyed, and after. Nothing may be left that nobody ends any
// more.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_session_is_ended_while_its_context_ends, Session, both)
{
    struct act
    {
        char const* name;
        std::function<void(guest<Session>&, std::shared_ptr<void const>)> on;
    };
    std::vector<act> const acts{
        {"abort", [](auto& other, auto) { other.session.abort(); }},
        {"destroy", [](auto& other, auto) { other.session = {}; }},
        {"cancel", [](auto& other, auto) { other.session.cancel(); }},
        {"drain", [](auto& other, auto) { other.session.request_finish(); }},
        {"close", [](auto& other, auto what) { other.wait(place::close, what); }},
        {"read", [](auto& other, auto what) { other.wait(place::read, what); }},
        {"write", [](auto& other, auto what) { other.wait(place::write, what); }},
        {"delivered", [](auto& other, auto what) { other.wait(place::delivered, what); }},
        {"wait_peer_gone", [](auto& other, auto what) { other.wait(place::gone, what); }},
    };
    constexpr place own[]{place::read, place::write, place::close, place::delivered, place::gone, place::posted,
        place::timer, place::newer};
    constexpr place others[]{place::none, place::read, place::read_all, place::write, place::shutdown, place::close,
        place::delivered, place::gone};
    for (auto const mine : own)
        for (auto const waits : others)
            for (auto const& each : acts)
                for (bool const first : {true, false})
                    BOOST_TEST_CONTEXT("a handler of " << name(mine) << " that calls " << each.name << " on one with "
                                                       << name(waits) << (first ? ", the first" : ", the second"))
                    {
                        conversation_with<Session> first_ends{small_window};
                        conversation_with<Session> second_ends{small_window};
                        std::weak_ptr<guest<Session>> one;
                        std::weak_ptr<guest<Session>> two;
                        {
                            asio::io_context context;
                            auto a = std::make_shared<guest<Session>>(context, first_ends.pair.server);
                            auto b = std::make_shared<guest<Session>>(context, second_ends.pair.server);
                            if (!first)
                                std::swap(a, b);
                            one = a;
                            two = b;
                            auto const kills = std::make_shared<at_destruction>([b, &each] { each.on(*b, b); });
                            b->wait(waits, b);
                            context.poll();
                            using owned = std::pair<std::shared_ptr<void const>, std::shared_ptr<void const>>;
                            a->wait(mine, std::make_shared<owned>(a, kills));
                            if (mine != place::posted)
                                context.poll();
                        }
                        BOOST_TEST(one.expired());
                        BOOST_TEST(two.expired());
                    }
}
