// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TIME_TURN_TIME_HPP
#define DUET_DETAIL_TIME_TURN_TIME_HPP

#include <duet/detail/config.hpp>
#include <duet/detail/time/coarse_clock.hpp>
#include <duet/detail/time/context_clock.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The coarse time of what is done in one go, without a call of the program: the clock is read once for all of it.
class turn_time
{
public:
    using time_point = coarse_clock::time_point;

    /// `clock`: of the context where the turn is.
    time_point now(context_clock const& clock) noexcept
    {
        if (left_ == 0)
        {
            at_ = clock.coarse_now();
            left_ = most;
        }
        --left_;
        return at_;
    }

    /// Time has passed since: read the clock when it is asked for next.
    void forget() noexcept { left_ = 0; }

private:
    static constexpr unsigned most = 32;  // questions with one answer: each message has two

    time_point at_{};
    unsigned left_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
