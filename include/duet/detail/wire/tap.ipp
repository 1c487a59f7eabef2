// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_TAP_IPP
#define DUET_DETAIL_WIRE_TAP_IPP

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <duet/tap.hpp>

#if defined(__linux__)
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#include <duet/detail/socket/all_signals_blocked.hpp>
#include <duet/detail/socket/owned_descriptor.hpp>
#include <duet/detail/time/both_clocks.hpp>
#include <duet/detail/wire/packet_filter.hpp>
#include <duet/detail/wire/packet_ring.hpp>

#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#endif

namespace duet {
inline namespace DUET_ABI {

#if defined(__linux__)

namespace detail {

/// Empties the ring whenever something is in it.
class tap_thread
{
public:
    explicit tap_thread(tap_options const& options)
        : limit_{options.limit}, ring_{filter_of(options).program(), ring_of(options)}, stop_{::eventfd(0, EFD_CLOEXEC),
                                                                                            "tap: eventfd"}
    {
        all_signals_blocked const blocked;
        thread_ = std::thread{[this] { run(); }};
    }

    tap_thread(tap_thread const&) = delete;
    tap_thread& operator=(tap_thread const&) = delete;

    ~tap_thread()
    {
        std::uint64_t const one = 1;
        [[maybe_unused]] auto const written = ::write(stop_.get(), &one, sizeof(one));
        thread_.join();
    }

    tap_capture take()
    {
        std::lock_guard const lock{mutex_};
        drain();
        captured_.lost += ring_.take_lost_count();
        return std::exchange(captured_, {});
    }

private:
    static std::uint32_t snap_length_of(tap_options const& options)
    {
        return static_cast<std::uint32_t>(std::clamp<std::size_t>(options.snap_length, 64, 0xffff));
    }

    static packet_filter filter_of(tap_options const& options)
    {
        return {options.filters, ::if_nametoindex("lo"), snap_length_of(options)};
    }

    static ring_options ring_of(tap_options const& options)
    {
        return {options.interface, snap_length_of(options), options.kernel_memory};
    }

    void run()
    {
        std::array<::pollfd, 2> waiting{{{ring_.descriptor(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
        while (waiting[1].revents == 0)
        {
            if (::poll(waiting.data(), waiting.size(), -1) < 0)
                continue;  // EINTR
            if ((waiting[0].revents & POLLERR) != 0)
                ring_.clear_error();
            std::lock_guard const lock{mutex_};
            drain();
        }
    }

    /// The kernel stamps packets with the time of day. What both clocks are now converts that.
    void drain()
    {
        auto const now = both_clocks<>::now();
        while (auto const packet = ring_.next())
        {
            if (captured_.segments.size() >= limit_)
            {
                ++captured_.lost;
                continue;
            }
            try
            {
                keep(*packet, now.steady - (now.wall - packet->time));
            }
            catch (std::bad_alloc const&)
            {
                ++captured_.lost;
            }
        }
    }

    void keep(ring_packet const& packet, std::chrono::steady_clock::time_point time)
    {
        auto segment = parse_segment(packet.bytes, packet.length);
        if (!segment)
            return;
        segment->time = time;
        segment->wall_time = packet.time;
        captured_.segments.push_back(std::move(*segment));
    }

    std::size_t limit_;
    packet_ring ring_;
    owned_descriptor stop_;
    std::mutex mutex_;  // of the ring and what was captured
    tap_capture captured_;
    std::thread thread_;
};

}  // namespace detail

DUET_DECL tap::tap(tap_options const& options) : thread_{std::make_unique<detail::tap_thread>(options)} {}

DUET_DECL tap_capture tap::take()
{
    return thread_->take();
}

#else

namespace detail {

class tap_thread
{
};

}  // namespace detail

DUET_DECL tap::tap(tap_options const&)
{
    throw boost::system::system_error{boost::asio::error::operation_not_supported, "tap: this is not Linux"};
}

DUET_DECL tap_capture tap::take()
{
    return {};
}

#endif

DUET_DECL tap::~tap() = default;

}  // namespace DUET_ABI
}  // namespace duet

#endif
