// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_PEER_WATCH_HPP
#define DUET_DETAIL_ENGINE_PEER_WATCH_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <duet/detail/time/coarse_clock.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Decides by evidence whether the peer's host has vanished while bytes are unacknowledged: nothing at all has come
/// from its TCP for the whole of deadlines::dead_peer, although it was asked at least twice (retransmissions, probes of
/// a closed window). A peer with a closed window that answers probes is alive. While nothing is unacknowledged, the
/// kernel's keepalive decides instead.
///
/// It reads no clock and no socket.
class peer_watch
{
public:
    using time_point = coarse_clock::time_point;
    using duration = coarse_clock::duration;

    /// True if bytes were sent that were not seen acknowledged, and nobody has started a watch for them.
    bool wanted(std::uint64_t sent) const noexcept { return !under_way() && sent != acknowledged_; }

    /// Returns when to look first.
    time_point begin(duration limit, time_point now) noexcept
    {
        since_ = now;
        return later(now, limit / 4);
    }

    bool under_way() const noexcept { return since_ != never; }

    /// Watch no more until wanted() starts it again.
    void end() noexcept { since_ = never; }

    /// Everything sent so far was acknowledged.
    void all_acknowledged(std::uint64_t sent) noexcept
    {
        since_ = never;
        acknowledged_ = sent;
    }

    /// The next wait starts a watch, although nothing was sent.
    void start_anyway() noexcept { acknowledged_ = UINT64_MAX; }

    /// A FIN was sent, which `sent` does not count.
    void fin_sent() noexcept { acknowledged_ = UINT64_MAX; }

    struct verdict
    {
        bool dead;
        time_point look_again;
    };

    /// Something is still unacknowledged.
    verdict look(tcp_snapshot const& info, duration limit, time_point now) const noexcept
    {
        auto const heard = std::max(since_, now - std::chrono::duration_cast<duration>(info.last_received));
        auto const silence = now - heard;
        if (silence < limit)
            return {false, later(now, limit - silence)};
        // A single one may have been sent just now, and its answer be on the way.
        if (info.retransmits_in_a_row + info.probes_in_a_row >= 2)
            return {true, now};
        return {false, later(now, limit / 8)};
    }

private:
    static time_point later(time_point now, duration pause) noexcept
    {
        pause = std::max<duration>(pause, std::chrono::milliseconds{100});
        return pause < time_point::max() - now ? now + pause : time_point::max();
    }

    static constexpr time_point never = time_point::max();

    time_point since_ = never;  // when the watch began
    std::uint64_t acknowledged_ = 0;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
