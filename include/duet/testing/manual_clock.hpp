// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TESTING_MANUAL_CLOCK_HPP
#define DUET_TESTING_MANUAL_CLOCK_HPP

#include <boost/asio/io_context.hpp>

#include <chrono>

#include <duet/detail/time/context_clock.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace testing {

/// A clock for tests of deadlines. Its time only advances when the test says so: a minute of timeouts takes a
/// millisecond, and events happen in the same order every time.
///
/// All objects created on `context` after this one use this clock: for the deadlines of sessions and relays, the
/// timeouts and pauses of connectors, the back-off of acceptors, and the drain of servers. Create it before them; the
/// context cannot go back to the system's clock. Deadlines of sessions pass up to 10 ms late, as on the system's clock,
/// because they allow for its coarse tick.
///
/// The kernel's timers (deadlines::dead_peer) still use the system's clock. So do the additional threads of a server,
/// because each has its own context.
///
/// Distinct objects: safe. Shared objects: unsafe. Use it on the thread that runs the context.
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

    /// Advance the clock by `by`. First runs the handlers that are ready, by io_context::poll(). Then moves the clock
    /// from deadline to deadline, and after each one runs the handlers that have become ready. Exceptions from handlers
    /// leave this function.
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

    /// Run the handlers that are ready, without advancing the clock.
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
}  // namespace DUET_ABI
}  // namespace duet

#endif
