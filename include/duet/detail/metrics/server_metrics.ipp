// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_METRICS_SERVER_METRICS_IPP
#define DUET_DETAIL_METRICS_SERVER_METRICS_IPP

#include <atomic>
#include <chrono>
#include <functional>
#include <utility>

#include <duet/server_metrics.hpp>

namespace duet {
inline namespace DUET_ABI {

struct server_metrics::session_counts
{
    explicit session_counts(server_metrics_options const& options)
        : duration{options.duration}, received{options.bytes}, sent{options.bytes}, round_trip_time{
                                                                                        options.round_trip_time}
    {
    }

    void count(session_end const& end) noexcept
    {
        using seconds = std::chrono::duration<double>;
        duration.observe(seconds{end.duration}.count());
        received.observe(static_cast<double>(end.report.bytes_received));
        sent.observe(static_cast<double>(end.report.bytes_sent));
        if (!end.tcp)
            return;
        round_trip_time.observe(seconds{end.tcp->round_trip_time}.count());
        retransmitted.fetch_add(end.tcp->segments_retransmitted, std::memory_order_relaxed);
    }

    histogram duration;
    histogram received;
    histogram sent;
    histogram round_trip_time;
    std::atomic<std::uint64_t> retransmitted{};
};

DUET_DECL server_metrics::server_metrics(std::string name, server_metrics_options const& options)
    : name_{std::move(name)}, counts_{std::make_shared<session_counts>(options)}
{
}

DUET_DECL server_options server_metrics::watch(server_options options) const
{
    options.report_tcp_info = true;
    options.on_session_end = [counts = counts_, next = std::move(options.on_session_end)](session_end const& end)
    {
        counts->count(end);
        if (next)
            next(end);
    };
    return options;
}

DUET_DECL void server_metrics::count(session_end const& end) const noexcept
{
    counts_->count(end);
}

DUET_DECL server_sample server_metrics::sessions() const
{
    server_sample result;
    result.name = name_;
    result.duration = counts_->duration.counts();
    result.received = counts_->received.counts();
    result.sent = counts_->sent.counts();
    result.round_trip_time = counts_->round_trip_time.counts();
    result.segments_retransmitted = counts_->retransmitted.load(std::memory_order_relaxed);
    return result;
}

}  // namespace DUET_ABI
}  // namespace duet

#endif
