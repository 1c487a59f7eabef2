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

/// The deadlines of a connection, as time points. It asks no clock and no socket: the time, the state of both
/// directions and what is unacknowledged are told to it, and it tells the next time to look and what has expired.
///
/// It counts progress: a byte that is read or written, and a byte that the peer acknowledges. The latter is seen only
/// when somebody looks, because no call of ours tells it: the last bytes and the FIN may wait in the kernel's buffer
/// for a slow reader.
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

    /// New limits count from now on. A read or write under way keeps the deadline that it has.
    void set(deadlines const& limits, time_point now) noexcept
    {
        if (limits.first_message != limits_.first_message && !first_message_met_)
            first_message_by_ = coarse_clock::after(now, limits.first_message);
        limits_ = limits;
        active_ = now;
    }

    // ---- What happens ----------------------------------------------------------------------------------------------

    /// A byte came or went.
    void note_activity(time_point now) noexcept { active_ = std::max(active_, now); }

    time_point last_activity() const noexcept { return active_; }

    void first_message_received() noexcept
    {
        first_message_met_ = true;
        first_message_by_ = never;
    }

    void half_closed(time_point now) noexcept { half_closed_since_ = looked_at_ = now; }

    void closing(time_point now) noexcept { close_since_ = active_ = looked_at_ = now; }

    /// What is unacknowledged, as a figure to compare with later.
    void set_unacknowledged(std::size_t left) noexcept { unacknowledged_ = left; }

    std::size_t unacknowledged() const noexcept { return unacknowledged_; }

    // ---- Deadlines of the read and the write under way
    // ---------------------------------------------------------------

    time_point read_by = never;
    time_point write_by = never;

    // ---- Polling: what no event tells ------------------------------------------------------------------------------

    /// Look again soon: at once after restart_polling(), and then ever more rarely.
    time_point look_again(time_point now) noexcept
    {
        using std::chrono::milliseconds;
        poll_delay_ = std::clamp<duration>(poll_delay_ * 2, milliseconds{1}, milliseconds{50});
        poll_at_ = now + poll_delay_;
        return poll_at_;
    }

    void restart_polling() noexcept { poll_delay_ = {}; }

    /// It is time to look; asked for once.
    bool take_poll(time_point now) noexcept
    {
        if (now < poll_at_)
            return false;
        poll_at_ = never;
        return true;
    }

    // ---- What is due -----------------------------------------------------------------------------------------------

    /// The earliest time at which something could be due, as things stand.
    time_point earliest(lifecycle const& life) const noexcept
    {
        auto result = std::min({read_by, write_by, poll_at_});
        if (life.closing())
            return std::min({result, close_by(), close_total_by(), coarse_clock::after(looked_at_, limits_.close / 8)});
        result = std::min({result, first_message_by_, idle_by()});
        return life.half_closed() ? std::min(result, half_closed_by()) : result;
    }

    bool first_message_expired(time_point now) const noexcept { return now >= first_message_by_; }

    /// No byte has come or gone for too long: half_closed_timed_out or idle_timed_out. Ask acknowledged() before you
    /// believe it.
    error_code quiet(lifecycle const& life, time_point now) const noexcept
    {
        if (life.half_closed() && now >= half_closed_by())
            return errc::half_closed_timed_out;
        return now >= idle_by() ? error_code{errc::idle_timed_out} : error_code{};
    }

    /// Whether bytes left the kernel's buffer since the last look, of which `left` are there now. That is progress.
    bool acknowledged(std::size_t left, time_point now) noexcept
    {
        auto const before = std::exchange(unacknowledged_, left);
        // Bytes that were written since the last look have no figure to compare with: they get their time.
        bool const newer = looked_at_ < active_;
        if (left >= before && !(newer && left > 0))
            return false;
        active_ = looked_at_ = now;
        return true;
    }

    /// A byte of another connection counts as one of this.
    void join_activity(time_point other) noexcept
    {
        // It is not one that was written here since the last look, and still has its time.
        bool const written = looked_at_ < active_;
        active_ = std::max(active_, other);
        if (!written)
            looked_at_ = std::max(looked_at_, active_);
    }

    /// Whether close() has to give up, while `left` bytes are unacknowledged. It is asked in eighths of the deadline,
    /// so that progress stretches the deadline by what it is, and no more.
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
    time_point active_;  // when the last byte came, went or was acknowledged, as far as known
    time_point first_message_by_;
    time_point half_closed_since_ = never;
    time_point close_since_ = never;
    time_point looked_at_ = time_point::min();  // when unacknowledged_ was asked for
    time_point poll_at_ = never;
    duration poll_delay_{};
    std::size_t unacknowledged_ = 0;
    bool first_message_met_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
