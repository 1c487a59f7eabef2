// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_CONNECT_CONNECT_SCHEDULE_IPP
#define DUET_DETAIL_CONNECT_CONNECT_SCHEDULE_IPP

#include <algorithm>

#include <duet/detail/connect/connect_schedule.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The least time between the starts of two attempts: a subsequent attempt MUST NOT begin sooner (RFC 8305 5).
inline constexpr connect_schedule::duration minimum_attempt_delay = std::chrono::milliseconds{10};

/// `now` plus `limit`. A limit of zero means no deadline.
inline connect_schedule::time_point deadline_after(
    connect_schedule::time_point now, connect_schedule::duration limit) noexcept
{
    auto const never = connect_schedule::time_point::max();
    return limit <= limit.zero() || limit > never - now ? never : now + limit;
}

DUET_DECL connect_schedule::connect_schedule(connector_options const& options, time_point now) noexcept
    : delay_{std::max(options.attempt_delay, minimum_attempt_delay)}, attempt_timeout_{options.attempt_timeout},
      by_{deadline_after(now, options.timeout)}, resolve_by_{deadline_after(now, options.resolve_timeout)}
{
}

DUET_DECL void connect_schedule::resolved(std::size_t attempts)
{
    attempts_.resize(attempts);
    resolving_ = false;
}

DUET_DECL void connect_schedule::failed(std::size_t number) noexcept
{
    attempts_[number].running = false;
    --running_;
    next_start_ = time_point::min();
}

DUET_DECL connect_action connect_schedule::next(time_point now) noexcept
{
    if (now >= by_)
        return {.step = connect_step::timed_out};
    if (!resolving_)
        return next_attempt(now);
    if (now >= resolve_by_)
        return {.step = connect_step::resolve_timed_out};
    return {.at = std::min(by_, resolve_by_)};
}

inline connect_action connect_schedule::next_attempt(time_point now) noexcept
{
    auto until = by_;
    for (std::size_t number = 0; number < started_; ++number)
    {
        auto const& one = attempts_[number];
        if (!one.running)
            continue;
        if (now >= one.by)
        {
            failed(number);
            return {connect_step::expire, number, now};
        }
        until = std::min(until, one.by);
    }
    if (started_ < attempts_.size())
    {
        if (now >= next_start_)
        {
            attempts_[started_] = {true, deadline_after(now, attempt_timeout_)};
            ++running_;
            next_start_ = deadline_after(now, delay_);
            return {connect_step::start, started_++, now};
        }
        until = std::min(until, next_start_);
    }
    else if (running_ == 0)
    {
        return {.step = connect_step::all_failed};
    }
    return {.at = until};
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
