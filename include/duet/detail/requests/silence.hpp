// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_REQUESTS_SILENCE_HPP
#define DUET_DETAIL_REQUESTS_SILENCE_HPP

#include <duet/detail/time/coarse_clock.hpp>
#include <duet/error.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// A peer that says nothing, where only a part of its silence counts: a client's while requests are under way, a
/// server's while none is answered. deadlines::read and next_message count from the begin of the read that waits, so a
/// read that they have ended is tried again, for as long as is left.
class silence
{
public:
    using duration = deadlines::duration;
    using time_point = coarse_clock::time_point;

    /// The limit of the next wait, for within(). Zero: it has none but the session's own.
    duration left() const noexcept { return left_; }

    /// A message has come.
    void broken() noexcept { *this = {}; }

    /// A wait has ended with `error`. True: the peer still has time, so wait again. `counted_from`: when what counts
    /// has begun; time_point::max(): it has not.
    bool goes_on(error_code const& error, deadlines const& limits, time_point counted_from, time_point now) noexcept
    {
        if (error != errc::call_timed_out)
            met_ = error;
        bool const by_read = met_ == errc::read_timed_out;
        if (!by_read && met_ != errc::next_message_timed_out)
            return false;
        left_ = {};
        if (counted_from == time_point::max())
            return true;
        auto const by = counted_from + (by_read ? limits.read : limits.next_message);
        if (by <= now)
            return false;
        left_ = by - now;
        return true;
    }

    /// Why the last wait has ended: the session's deadline, also if left() has ended it.
    error_code const& error() const noexcept { return met_; }

private:
    duration left_{};
    error_code met_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
