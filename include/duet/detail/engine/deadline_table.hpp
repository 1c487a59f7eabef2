// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_DEADLINE_TABLE_HPP
#define DUET_DETAIL_ENGINE_DEADLINE_TABLE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <duet/detail/time/coarse_clock.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/session_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The operations of a connection that wait for the peer. The deadlines of the peer count only meanwhile, and not while
/// the program itself works.
struct pending_operations
{
    bool read = false;      ///< a read, or a wait for readability
    bool other = false;     ///< a write, or delivered()
    bool finishes = false;  ///< the read is to end at finish_by, because nothing of a message has arrived

    bool any() const noexcept { return read || other; }
};

/// The deadlines of a connection, as time points. It reads no clock and no socket: its caller passes the time, the
/// state of both directions and what the system knows about acknowledged bytes. It returns the next time to check and
/// what has expired.
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

    /// `limits` must outlive the table, or its set().
    deadline_table(deadlines const& limits, time_point now) noexcept
        : limits_{&limits}, active_{now}, first_message_by_{coarse_clock::after(now, limits.first_message)},
          limits_open_{has_limit_of_open(limits)}, limits_reads_{has_limit_of_reads(limits)}
    {
    }

    deadlines const& limits() const noexcept { return *limits_; }

    /// True if a deadline of a session that is open in both directions may be due some time, besides those of single
    /// calls.
    bool limits_open_sessions() const noexcept { return limits_open_; }

    /// True if a deadline may count from the begin of each read, or of each message.
    bool limits_reads() const noexcept { return limits_reads_; }

    /// The new limits are counted from `now`. A pending read or write keeps its deadline. The old ones must still be
    /// there.
    void set(deadlines const& limits, time_point now) noexcept
    {
        if (limits.first_message != limits_->first_message && !first_message_met_)
            first_message_by_ = coarse_clock::after(now, limits.first_message);
        limits_ = &limits;
        limits_open_ = has_limit_of_open(limits);
        limits_reads_ = has_limit_of_reads(limits);
        active_ = now;
    }

    // ---- What happens ----------------------------------------------------------------------------------------------

    /// A byte was received or sent, or an operation begins to wait for the peer.
    void note_activity(time_point now) noexcept { active_ = std::max(active_, now); }

    time_point last_activity() const noexcept { return active_; }

    void first_message_received() noexcept
    {
        first_message_met_ = true;
        first_message_by_ = never;
    }

    /// A read begins to wait. `begun`: a part of a message has arrived.
    void read_begins(bool begun, time_point now) noexcept { read_since_ = begun ? never : now; }

    /// The first byte of a message has arrived.
    void message_begins(time_point now) noexcept { message_since_ = now; }

    void message_ended() noexcept { message_since_ = never; }

    /// The first write of the queue begins to wait for the peer, or has made progress: its deadline counts from now.
    void write_waits(time_point now) noexcept
    {
        write_since_ = now;
        write_limit_ = limits_->write;
    }

    void no_write_waits() noexcept { write_since_ = never; }

    void half_closed(time_point now) noexcept { half_closed_since_ = looked_at_ = now; }

    void closing(time_point now) noexcept { close_since_ = active_ = looked_at_ = now; }

    /// close() is in a hurry, because the program is about to end: once the peer has acknowledged everything and sends
    /// nothing any more, it has only a short time to finish. Then the kernel waits for its FIN.
    void hurry_close(time_point now) noexcept { hurried_since_ = now; }

    /// close() has discarded input. What the peer still sends has to be discarded first: a close with unread input
    /// would reset it.
    void input_discarded(time_point now) noexcept
    {
        note_activity(now);
        if (hurried_since_ != never)
            hurried_since_ = now;
    }

    /// Remember the number of unacknowledged bytes, to compare with later.
    void set_unacknowledged(std::size_t left) noexcept { unacknowledged_ = count_of(left); }

    std::size_t unacknowledged() const noexcept { return unacknowledged_; }

    /// Of `sent` bytes, `left` are unacknowledged. True if bytes have been acknowledged since the last look: that is
    /// progress. `heard`: when the peer's TCP was last heard of, if the system tells.
    bool acknowledged(
        std::uint64_t sent, std::size_t left, time_point now, std::optional<time_point> const& heard) noexcept
    {
        auto const before = std::exchange(unacknowledged_, count_of(left));
        auto const in_all = static_cast<std::int64_t>(sent) - static_cast<std::int64_t>(left);
        auto const in_all_before = std::exchange(acknowledged_, in_all);
        // Without `heard`, bytes that were written since the last look have no earlier number to compare with, so they
        // get the full time.
        bool const newer = std::exchange(looked_at_, now) < active_;
        if (heard ? in_all <= in_all_before : left >= before && !(newer && left > 0))
            return false;
        auto const when = heard ? std::min(*heard, now) : now;
        active_ = std::max(active_, when);
        if (write_since_ != never)
            write_since_ = std::max(write_since_, when);
        return true;
    }

    /// Count the activity of another connection as activity of this one.
    void join_activity(time_point other) noexcept
    {
        // It must not look like bytes that were written here since the last look, because those get the full time.
        bool const written = looked_at_ < active_;
        active_ = std::max(active_, other);
        if (!written)
            looked_at_ = std::max(looked_at_, active_);
    }

    // ---- Deadlines that others set ----------------------------------------------------------------------------------

    time_point read_by = never;        ///< of the pending read: the session's deadline
    time_point read_call_by = never;   ///< of the pending read: its own
    time_point call_by = never;        ///< the earliest that within() gives to another pending call
    time_point finish_by = never;      ///< when a read with nothing begun is told to finish
    time_point watch_peer_at = never;  ///< see peer_watch

    // ---- Polling for what no event reports --------------------------------------------------------------------------

    /// Returns the next time to poll: soon after restart_polling(), then at growing intervals (1 ms to 50 ms).
    time_point look_again(time_point now) noexcept
    {
        using std::chrono::milliseconds;
        poll_delay_ = static_cast<std::uint8_t>(std::clamp(poll_delay_ * 2, 1, 50));
        poll_at_ = now + milliseconds{poll_delay_};
        return poll_at_;
    }

    void restart_polling() noexcept { poll_delay_ = 0; }

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
    time_point earliest(lifecycle const& life, pending_operations const& pending) const noexcept
    {
        auto result = std::min({read_by, read_call_by, call_by, poll_at_, watch_peer_at});
        if (write_since_ != never)
            result = std::min({result, write_by(), look_at(write_since_, write_limit_)});
        if (life.closing())
            return std::min({result, close_by(), leave_at(life), look_at(close_since_, limits_->close)});
        if (pending.read)
            result = std::min({result, first_message_by_, next_message_by(), message_by()});
        if (pending.finishes)
            result = std::min(result, finish_by);
        if (pending.any())
            result = std::min({result, idle_by(), life.half_closed() ? half_closed_by() : never});
        return result;
    }

    bool write_expired(time_point now) const noexcept { return write_since_ != never && now >= write_by(); }

    /// The acknowledged bytes are looked at eight times per deadline of a write, so that progress extends it from about
    /// the time when it happened.
    bool write_look_due(time_point now) const noexcept
    {
        return write_since_ != never && now >= look_at(write_since_, write_limit_);
    }

    bool first_message_expired(time_point now) const noexcept { return now >= first_message_by_; }

    /// The pending read has waited too long for the first byte of a message.
    bool next_message_expired(time_point now) const noexcept { return now >= next_message_by(); }

    bool message_expired(time_point now) const noexcept { return now >= message_by(); }

    /// The error if no byte was transferred for too long: half_closed_timed_out or idle_timed_out. Call acknowledged()
    /// and ask again before acting on it, because an acknowledgement may have been progress.
    error_code quiet(lifecycle const& life, time_point now) const noexcept
    {
        if (life.half_closed() && now >= half_closed_by())
            return errc::half_closed_timed_out;
        return now >= idle_by() ? error_code{errc::idle_timed_out} : error_code{};
    }

    enum class close_verdict : std::uint8_t
    {
        wait,
        give_up,  ///< there was no progress for too long
        leave,    ///< there is progress, but it takes too long: the kernel can do the rest
    };

    /// As write_look_due(), for close().
    bool close_look_due(lifecycle const& life, time_point now) const noexcept
    {
        return now >= std::min({look_at(close_since_, limits_->close), close_by(), leave_at(life)});
    }

    /// Call acknowledged() before.
    close_verdict verdict_on_close(lifecycle const& life, time_point now) const noexcept
    {
        if (now >= close_by())
            return close_verdict::give_up;
        return now >= leave_at(life) ? close_verdict::leave : close_verdict::wait;
    }

private:
    static constexpr bool has_limit_of_open(deadlines const& limits) noexcept
    {
        return std::max({limits.idle, limits.first_message, limits.next_message, limits.message}) > duration::zero();
    }

    static constexpr bool has_limit_of_reads(deadlines const& limits) noexcept
    {
        return std::max({limits.read, limits.next_message, limits.message}) > duration::zero();
    }

    static constexpr time_point after(time_point from, duration limit) noexcept
    {
        return from == never ? never : coarse_clock::after(from, limit);
    }

    time_point look_at(time_point since, duration limit) const noexcept
    {
        return coarse_clock::after(std::max(looked_at_, since), limit / 8);
    }

    time_point write_by() const noexcept { return coarse_clock::after(write_since_, write_limit_); }

    time_point idle_by() const noexcept { return coarse_clock::after(active_, limits_->idle); }

    time_point next_message_by() const noexcept { return after(read_since_, limits_->next_message); }

    time_point message_by() const noexcept { return after(message_since_, limits_->message); }

    time_point half_closed_by() const noexcept
    {
        return coarse_clock::after(std::max(half_closed_since_, active_), limits_->half_closed);
    }

    time_point close_by() const noexcept
    {
        return coarse_clock::after(std::max(close_since_, active_), limits_->close);
    }

    /// When close() leaves the rest to the kernel. Writes that the kernel has not accepted yet cannot be left to it:
    /// they may go on as long as there is progress.
    time_point leave_at(lifecycle const& life) const noexcept
    {
        if (life.send() != send_state::finished)
            return never;
        auto const total = coarse_clock::after(close_since_, limits_->close_total);
        if (unacknowledged_ != 0 || hurried_since_ == never)
            return total;
        return std::min(total, hurried_since_ + std::chrono::milliseconds{400});
    }

    /// The kernel counts them in an int.
    static std::uint32_t count_of(std::size_t bytes) noexcept
    {
        return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
    }

    deadlines const* limits_;
    time_point active_;  // when the last byte was received, sent or acknowledged, or the last wait began
    time_point first_message_by_;
    time_point read_since_ = never;     // when the pending read began, if nothing of a message had arrived
    time_point message_since_ = never;  // when the first byte of the present message arrived
    time_point write_since_ = never;    // the last progress of the writes that wait
    time_point half_closed_since_ = never;
    time_point close_since_ = never;
    time_point hurried_since_ = never;
    time_point looked_at_ = time_point::min();  // the last call of acknowledged()
    time_point poll_at_ = never;
    duration write_limit_{};
    std::int64_t acknowledged_ = 0;  // bytes acknowledged in all; on a Unix-domain socket only an estimate
    std::uint32_t unacknowledged_ = 0;
    std::uint8_t poll_delay_ = 0;  // in milliseconds
    bool first_message_met_ = false;
    bool limits_open_;
    bool limits_reads_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
