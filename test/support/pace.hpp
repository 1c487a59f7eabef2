// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_PACE_HPP
#define DUET_TEST_PACE_HPP

#include "support/wait.hpp"

#include <algorithm>

namespace duet_test {

// For a limit that must not run out while a peer is busy. When the machine holds that peer up for as long as the limit,
// it does run out, and rightly: such a play shows nothing, and is played again.
//
//     for (pace peer{limit}; peer.is_to_play();)
//     {
//         ...  peer.step() wherever the peer does something; what fails is noted
//         if (peer.kept())
//             ...  what was noted is checked
//     }
class pace
{
public:
    explicit pace(guard_clock::duration limit) : most_{limit / 2}, guard_{guard_clock::now() + run_guard + 4 * limit} {}

    // True for the first play, and while the last one was not in time.
    bool is_to_play()
    {
        if (played_ && kept())
            return false;
        auto const now = guard_clock::now();
        if (now >= guard_)
            throw hang{"the machine is too slow to keep pace"};
        played_ = true;
        last_ = now;
        longest_ = {};
        return true;
    }

    // The peer does something, on whichever thread it is.
    void step() noexcept
    {
        auto const now = guard_clock::now();
        longest_ = std::max(longest_, now - last_);
        last_ = now;
    }

    // From the beginning of the play to the last step.
    bool kept() const noexcept { return longest_ <= most_; }

private:
    guard_clock::duration most_;
    guard_clock::time_point guard_;
    guard_clock::time_point last_{};
    guard_clock::duration longest_{};
    bool played_ = false;
};

}  // namespace duet_test

#endif
