// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_SERVER_METRICS_HPP
#define DUET_SERVER_METRICS_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <duet/acceptor_options.hpp>
#include <duet/error.hpp>
#include <duet/histogram.hpp>
#include <duet/server_options.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What is known of a server at one moment: what it counts, and what server_metrics has counted of its sessions.
struct server_sample
{
    std::string name{};
    bool ready = false;  ///< server::ready()
    server_counters counters{};
    std::optional<listen_queue> queue{};  ///< nothing if the server does not accept any more, or if it is not TCP

    // Of the sessions that have ended.
    histogram_counts duration{};         ///< seconds
    histogram_counts received{};         ///< bytes of each session
    histogram_counts sent{};             ///< bytes of each session
    histogram_counts round_trip_time{};  ///< seconds; at the end of the handler, of those whose end tells it
    std::uint64_t segments_retransmitted = 0;
};

/// The bounds of the buckets: see histogram.
struct server_metrics_options
{
    /// Seconds: 1 ms to 3 days.
    std::vector<double> duration{0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 21600, 86400, 259200};

    /// Bytes, of each direction: 64 B to 1 GiB.
    std::vector<double> bytes = histogram::exponential(64, 4, 13);

    /// Seconds: 100 us to 3.3 s.
    std::vector<double> round_trip_time = histogram::exponential(0.0001, 2, 16);
};

/// Counts the sessions of a server in histograms: how long each lasted, how many bytes it had, and its round-trip time.
///
/// ```cpp
/// duet::server_metrics const metrics{"shop"};
/// duet::server server{context, metrics.watch(options), handler};
/// ...
/// duet::prometheus_page page;
/// page.add(metrics.sample(server));
/// ```
///
/// Its memory does not depend on the number of sessions. A session costs one system call (TCP_INFO) and eight atomic
/// additions at its end, and nothing before. A restarted program begins at zero, which Prometheus expects.
///
/// Distinct objects: safe. Shared objects: safe; sample() as safe as what it asks of the server.
class server_metrics
{
public:
    /// `name` tells this server from others on the same page. Throws system_error (invalid_argument) for bounds that
    /// are not ascending.
    DUET_DECL explicit server_metrics(std::string name, server_metrics_options const& options = {});

    /// These options, for a server whose sessions are counted here: server_options::report_tcp_info is set, and
    /// on_session_end counts each session, and then calls the function that was set before. The server may outlive this
    /// object.
    DUET_DECL server_options watch(server_options options) const;

    /// Count a session, in a hook of your own.
    DUET_DECL void count(session_end const& end) const noexcept;

    /// What is known now. It asks the kernel for the accept queue. May be called from any thread.
    template <class Server>
    server_sample sample(Server const& of) const
    {
        server_sample result = sessions();
        result.ready = of.ready();
        result.counters = of.counters();
        error_code error;
        if (auto const queue = of.queue(error); !error)
            result.queue = queue;
        return result;
    }

private:
    struct session_counts;

    DUET_DECL server_sample sessions() const;

    std::string name_;
    std::shared_ptr<session_counts> counts_;
};

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/metrics/server_metrics.ipp>
#endif

#endif
