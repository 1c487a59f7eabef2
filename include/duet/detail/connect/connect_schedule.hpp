// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_SCHEDULE_HPP
#define DUET_DETAIL_CONNECT_CONNECT_SCHEDULE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <duet/connector_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The next step of a connect.
enum class connect_step : std::uint8_t
{
    wait,               ///< do nothing before connect_action::at
    start,              ///< begin connect_action::attempt
    expire,             ///< end connect_action::attempt: it took too long
    resolve_timed_out,  ///< give up: no addresses yet
    timed_out,          ///< give up: the whole took too long
    all_failed,         ///< give up: no attempt is left
};

struct connect_action
{
    using time_point = std::chrono::steady_clock::time_point;

    connect_step step = connect_step::wait;
    std::size_t attempt = 0;
    time_point at = time_point::max();

    friend bool operator==(connect_action const&, connect_action const&) = default;
};

/// Decides when attempts begin and end (RFC 8305 5). It has no clock, no timer and no socket: the caller passes in
/// events (resolved, failed) and the time, and next() returns the next step.
class connect_schedule
{
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    DUET_DECL connect_schedule(connector_options const& options, time_point now) noexcept;

    /// The name was resolved to this number of addresses. Attempts are made in the order of their numbers.
    DUET_DECL void resolved(std::size_t attempts);

    /// A started attempt failed, so the next one begins at once.
    DUET_DECL void failed(std::size_t attempt) noexcept;

    /// Returns the next step at `now` and counts it as done. Call it again until the step is `wait` or a reason to give
    /// up.
    DUET_DECL connect_action next(time_point now) noexcept;

private:
    struct attempt
    {
        bool running = false;
        time_point by = time_point::max();
    };

    connect_action next_attempt(time_point now) noexcept;

    duration delay_;
    duration attempt_timeout_;
    time_point by_;
    time_point resolve_by_;
    bool resolving_ = true;
    std::vector<attempt> attempts_;
    std::size_t started_ = 0;  // attempts with a lower number have started
    std::size_t running_ = 0;
    time_point next_start_ = time_point::min();
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/connect/connect_schedule.ipp>
#endif

#endif
