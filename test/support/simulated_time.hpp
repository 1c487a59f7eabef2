// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_SIMULATED_TIME_HPP
#define DUET_TEST_SIMULATED_TIME_HPP

#include "support/coro.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <duet/detail/time/context_clock.hpp>
#include <duet/detail/time/timer.hpp>
#include <duet/testing/manual_clock.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace duet_test {

// One tick of the coarse clock: a deadline of a session passes so much later.
inline constexpr auto tick = duet::detail::coarse_clock::tick();

// An io_context whose clock moves by itself: when nothing is ready to run, to the next deadline at once. Coroutines
// that wait for time are written as for the system's clock, need none of it, and see each deadline pass at its time
// exactly.
class simulated_time
{
    struct watch
    {
        std::function<bool()> holds;
        asio::steady_timer told;  // never expires: cancelled when it holds
    };

    std::list<watch> watches_;  // first: coroutines that the context destroys take theirs away

public:
    using duration = std::chrono::steady_clock::duration;
    using time_point = std::chrono::steady_clock::time_point;

    // No test needs more: what has not come by then hangs.
    static constexpr duration longest = std::chrono::hours{24};

    simulated_time() = default;
    simulated_time(simulated_time const&) = delete;
    simulated_time& operator=(simulated_time const&) = delete;

    time_point now() const noexcept { return clock.now(); }

    // The next deadline of anything on the context, or time_point::max().
    time_point next() const noexcept { return times_.next(); }

    // Asked only when nothing is ready: then time passes until it is true.
    template <class Predicate>
    void run_until(Predicate const& ended, std::string_view const what)
    {
        auto const last = now() + longest;
        for (;;)
        {
            clock.run_ready();
            if (ended())
                return;
            if (tell_one())
                continue;
            if (next() > last)
                throw hang{"can no longer come: " + std::string{what}};
            clock.advance(next() - now());
        }
    }

    // Run a coroutine to its end, and return its result or throw its exception. Nothing may be left on the context.
    template <class T>
    T run(asio::awaitable<T> body)
    {
        duet_test::detail::result_slot<T> slot;
        std::exception_ptr failure;
        bool ended = false;
        asio::co_spawn(context, duet_test::detail::store_result(std::move(body), slot),
            [&](std::exception_ptr const& thrown)
            {
                failure = thrown;
                ended = true;
            });
        run_until([&] { return ended; }, "the end of the test's coroutine");
        if (failure)
            std::rethrow_exception(failure);
        run_leftover();
        return slot.take();
    }

    // Run one handler, or move to the next deadline if none is ready. False: nothing is left that could happen.
    bool step()
    {
        context.restart();
        if (context.poll_one() > 0)
            return true;
        if (next() == time_point::max())
            return false;
        times_.move_to(next());
        return true;
    }

    void run_leftover()
    {
        run_until([&] { return next() == time_point::max(); }, "the end of all timers");
        if (!context.stopped())
            throw hang{"the test's body has ended, but work is left on its io_context"};
    }

    asio::awaitable<void> pause(duration time)
    {
        auto const executor = co_await asio::this_coro::executor;
        duet::detail::timer timer{executor};
        timer.expires_after(time);
        co_await timer.async_wait(asio::use_awaitable);
    }

    // Waits until it is true. It is asked whenever nothing is ready, so it ends at the very time of the event.
    template <class Predicate>
    asio::awaitable<void> until(Predicate predicate)
    {
        auto const executor = co_await asio::this_coro::executor;
        watches_.push_back({predicate, asio::steady_timer{executor, time_point::max()}});
        entry const own{watches_, std::prev(watches_.end())};
        boost::system::error_code ignored;
        co_await own.at->told.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        if (!predicate())
            throw boost::system::system_error{asio::error::operation_aborted};
    }

    asio::io_context context;
    duet::testing::manual_clock clock{context};

private:
    struct entry
    {
        entry(std::list<watch>& all, std::list<watch>::iterator own) : list{all}, at{own} {}

        entry(entry const&) = delete;
        entry& operator=(entry const&) = delete;

        ~entry() { list.erase(at); }

        std::list<watch>& list;
        std::list<watch>::iterator at;
    };

    // The first that holds, as it may change what the others wait for.
    bool tell_one()
    {
        for (auto& each : watches_)
            if (each.holds() && each.told.cancel() > 0)
                return true;
        return false;
    }

    duet::detail::manual_time& times_ = boost::asio::use_service<duet::detail::manual_time>(context);
};

}  // namespace duet_test

#endif
