// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_MANUAL_CLOCK_HPP
#define DUET_TESTING_MANUAL_CLOCK_HPP

#include <boost/asio/io_context.hpp>

#include <chrono>

#include <duet/detail/time/context_clock.hpp>

namespace duet {
inline namespace v0 {
namespace testing {

/// A clock for tests of deadlines: it stands still until the test moves it, so that a minute of timeouts takes a
/// millisecond, and what happens in it happens in the same order every time.
///
/// All that is made on `context` after this counts its time on this clock: the deadlines of sessions and relays, the
/// timeouts and pauses of connectors, the back-off of acceptors, the drain of servers. Make it before them; there is no
/// way back to the system's clock for this context. Deadlines of sessions pass up to 10 ms late, as on the system's
/// clock, whose coarse tick they allow for.
///
/// The kernel's timers (deadlines::dead_peer) stay on the system's clock, and so do the other threads of a server that
/// has several: each has a context of its own.
///
/// Distinct objects: safe. Shared objects: unsafe. It is used on the thread that runs the context.
class manual_clock
{
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    explicit manual_clock(boost::asio::io_context& context)
        : context_{context}, time_{boost::asio::use_service<detail::manual_time>(context)}
    {
    }

    manual_clock(manual_clock const&) = delete;
    manual_clock& operator=(manual_clock const&) = delete;

    time_point now() const noexcept { return time_.now(); }

    /// Let `by` pass. All that is ready in the context runs first, by io_context::poll(); then the clock goes from one
    /// deadline to the next, and after each runs what it has made ready. What handlers throw leaves this.
    void advance(duration by)
    {
        auto const until = now() + by;
        run_ready();
        while (time_.next() <= until)
        {
            time_.move_to(time_.next());
            run_ready();
        }
        time_.move_to(until);
    }

    /// Run what is ready in the context, while the clock stands still.
    void run_ready()
    {
        context_.restart();
        context_.poll();
    }

private:
    boost::asio::io_context& context_;
    detail::manual_time& time_;
};

}  // namespace testing
}  // namespace v0
}  // namespace duet

#endif
