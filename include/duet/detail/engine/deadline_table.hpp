// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_DEADLINE_TABLE_HPP
#define DUET_DETAIL_ENGINE_DEADLINE_TABLE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>

#include <duet/detail/time/coarse_clock.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace v0 {
namespace detail {

/// The deadlines of a connection, as time points. It reads no clock and no socket: its caller passes the time, the
/// state of both directions and the number of unacknowledged bytes, and it returns the next time to check and what has
/// expired.
///
/// Progress is a byte that is read or written, or a byte that the peer acknowledges. No call reports an
/// acknowledgement, so it is noticed only when somebody asks for the number of unacknowledged bytes: the last bytes and
/// the FIN may wait in the kernel's buffer for a slow reader.
class deadline_table
{
public:
    using time_point = coarse_clock::time_point;
    using duration = coarse_clock::duration;

    static constexpr time_point never = time_point::max();

    deadline_table(deadlines const& limits, time_point now) noexcept
        : limits_{limits}, active_{now}, first_message_by_{coarse_clock::after(now, limits.first_message)}
    {
    }

    deadlines const& limits() const noexcept { return limits_; }

    /// The new limits are counted from `now`. A pending read or write keeps its deadline.
    void set(deadlines const& limits, time_point now) noexcept
    {
        if (limits.first_message != limits_.first_message && !first_message_met_)
            first_message_by_ = coarse_clock::after(now, limits.first_message);
        limits_ = limits;
        active_ = now;
    }

    // ---- What happens ----------------------------------------------------------------------------------------------

    /// A byte was received or sent.
    void note_activity(time_point now) noexcept { active_ = std::max(active_, now); }

    time_point last_activity() const noexcept { return active_; }

    void first_message_received() noexcept
    {
        first_message_met_ = true;
        first_message_by_ = never;
    }

    void half_closed(time_point now) noexcept { half_closed_since_ = looked_at_ = now; }

    void closing(time_point now) noexcept { close_since_ = active_ = looked_at_ = now; }

    /// Remember the number of unacknowledged bytes, to compare with later.
    void set_unacknowledged(std::size_t left) noexcept { unacknowledged_ = left; }

    std::size_t unacknowledged() const noexcept { return unacknowledged_; }

    // ---- Deadlines of the read and the write under way --------------------------------------------------------------

    time_point read_by = never;
    time_point write_by = never;

    // ---- Polling for what no event reports --------------------------------------------------------------------------

    /// Returns the next time to poll: soon after restart_polling(), then at growing intervals (1 ms to 50 ms).
    time_point look_again(time_point now) noexcept
    {
        using std::chrono::milliseconds;
        poll_delay_ = std::clamp<duration>(poll_delay_ * 2, milliseconds{1}, milliseconds{50});
        poll_at_ = now + poll_delay_;
        return poll_at_;
    }

    void restart_polling() noexcept { poll_delay_ = {}; }

    /// True, once, when it is time to poll.
    bool take_poll(time_point now) noexcept
    {
        if (now < poll_at_)
            return false;
        poll_at_ = never;
        return true;
    }

    // ---- What is due -----------------------------------------------------------------------------------------------

    /// The earliest time at which something may be due, in the present state.
    time_point earliest(lifecycle const& life) const noexcept
    {
        auto result = std::min({read_by, write_by, poll_at_});
        if (life.closing())
            return std::min({result, close_by(), close_total_by(), coarse_clock::after(looked_at_, limits_.close / 8)});
        result = std::min({result, first_message_by_, idle_by()});
        return life.half_closed() ? std::min(result, half_closed_by()) : result;
    }

    bool first_message_expired(time_point now) const noexcept { return now >= first_message_by_; }

    /// The error if no byte was transferred for too long: half_closed_timed_out or idle_timed_out. Call acknowledged()
    /// before acting on it, because an acknowledgement may have been progress.
    error_code quiet(lifecycle const& life, time_point now) const noexcept
    {
        if (life.half_closed() && now >= half_closed_by())
            return errc::half_closed_timed_out;
        return now >= idle_by() ? error_code{errc::idle_timed_out} : error_code{};
    }

    /// True if the peer has acknowledged bytes since the last check; `left` bytes are unacknowledged now. That counts
    /// as progress.
    bool acknowledged(std::size_t left, time_point now) noexcept
    {
        auto const before = std::exchange(unacknowledged_, left);
        // Bytes that were written since the last check have no earlier number to compare with, so they get the full
        // time.
        bool const newer = looked_at_ < active_;
        if (left >= before && !(newer && left > 0))
            return false;
        active_ = looked_at_ = now;
        return true;
    }

    /// Count the activity of another connection as activity of this one.
    void join_activity(time_point other) noexcept
    {
        // It must not look like bytes that were written here since the last check, because those get the full time.
        bool const written = looked_at_ < active_;
        active_ = std::max(active_, other);
        if (!written)
            looked_at_ = std::max(looked_at_, active_);
    }

    /// True if close() has to give up while `left` bytes are unacknowledged. This is checked eight times per deadline,
    /// so that progress extends the deadline from about the time when it happened.
    bool close_expired(std::size_t left, time_point now) noexcept
    {
        if (std::exchange(unacknowledged_, left) > left)
            active_ = now;
        looked_at_ = now;
        return now >= close_total_by() || now >= close_by();
    }

private:
    time_point idle_by() const noexcept { return coarse_clock::after(active_, limits_.idle); }

    time_point half_closed_by() const noexcept
    {
        return coarse_clock::after(std::max(half_closed_since_, active_), limits_.half_closed);
    }

    time_point close_by() const noexcept { return coarse_clock::after(std::max(close_since_, active_), limits_.close); }

    time_point close_total_by() const noexcept { return coarse_clock::after(close_since_, limits_.close_total); }

    deadlines limits_;
    time_point active_;  // when the last byte was received, sent or acknowledged, as far as known
    time_point first_message_by_;
    time_point half_closed_since_ = never;
    time_point close_since_ = never;
    time_point looked_at_ = time_point::min();  // when unacknowledged_ was last determined
    time_point poll_at_ = never;
    duration poll_delay_{};
    std::size_t unacknowledged_ = 0;
    bool first_message_met_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
