// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_BALANCER_HEALTH_HPP
#define EXAMPLES_BALANCER_HEALTH_HPP

#include <cstdint>

namespace example {

/// How many results in a row change the state of a backend. At least 1 each.
struct thresholds
{
    std::uint32_t rise = 2;  ///< successes, until one that is down is up again
    std::uint32_t fall = 3;  ///< failures, until one that is up is down
};

/// Whether a backend is up, judged by the connections to it. One of which nothing is known yet counts as up, so that
/// clients need not wait for the first check; but its first result alone decides.
class health
{
public:
    explicit health(thresholds limits) noexcept : limits_{limits} {}

    bool up() const noexcept { return up_; }

    /// Returns true if this has changed the state.
    bool succeeded() noexcept { return count(true, limits_.rise); }

    /// Returns true if this has changed the state.
    bool failed() noexcept { return count(false, known_ ? limits_.fall : 1); }

private:
    bool count(bool success, std::uint32_t needed) noexcept
    {
        known_ = true;
        against_ = success == up_ ? 0 : against_ + 1;
        if (against_ < needed)
            return false;
        against_ = 0;
        up_ = success;
        return true;
    }

    thresholds limits_;
    bool up_ = true;
    bool known_ = false;
    std::uint32_t against_ = 0;  // results in a row that contradict the state
};

}  // namespace example

#endif
