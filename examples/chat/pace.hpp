// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_PACE_HPP
#define EXAMPLES_CHAT_PACE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace chat {

/// How fast one member may speak. Without it, one that sends as fast as it can would fill the queues of all who hear
/// it, and the honest among them would be let go for reading too slowly.
class pace
{
public:
    using clock = std::chrono::steady_clock;

    pace(std::chrono::nanoseconds interval, std::size_t burst)
        : interval_{interval}, credit_{interval * static_cast<std::chrono::nanoseconds::rep>(burst)}
    {
    }

    /// It has said something. How long to leave the next line unread: TCP's window then holds the sender back.
    clock::duration pause_after(clock::time_point now)
    {
        due_ = std::max(due_, now) + interval_;
        return std::max(due_ - now - credit_, clock::duration::zero());
    }

private:
    clock::duration interval_;
    clock::duration credit_;
    clock::time_point due_{};
};

}  // namespace chat

#endif
