// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_RECORDING_HPP
#define DUET_DETAIL_RECORDING_RECORDING_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <duet/detail/recording/trace_record.hpp>
#include <duet/trace_file.hpp>
#include <duet/trace_log.hpp>
#include <duet/trace_options.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The implementation of a trace: what has been recorded, in memory or in a file. It lives as long as the trace or
/// something that records into it. All functions may be called from any thread.
class recording
{
public:
    using time_point = std::chrono::steady_clock::time_point;

    /// Throws boost::system::system_error if the file cannot be written.
    DUET_DECL explicit recording(trace_options options);

    trace_options const& options() const noexcept { return options_; }

    time_point began() const noexcept { return began_; }

    recording(recording const&) = delete;
    recording& operator=(recording const&) = delete;

    /// One more session, which is told its number; 0: there is no room for it. Throws std::bad_alloc.
    DUET_DECL std::uint32_t add(trace_session described);

    /// What was not known before of a session, is now. Throws std::bad_alloc.
    DUET_DECL void update(trace_session const& described);

    /// Keep an event, and tell trace_options::on_event. Returns its number; 0 if it was not kept.
    DUET_DECL std::uint64_t put(trace_record record, tcp_snapshot const* kernel, std::string const* text) noexcept;

    /// A flight recorder keeps the events itself, and counts them here.
    void count(std::uint64_t kept, std::uint64_t lost) noexcept
    {
        recorded_ += kept;
        lost_ += lost;
    }

    /// Nothing more will be recorded of this session, whose own recorder has its events.
    DUET_DECL std::optional<trace_session> forget(std::uint32_t session) noexcept;

    /// An event of now that belongs to no session, or to one that has no recorder yet.
    DUET_DECL std::uint64_t put_now(trace_kind kind, char const* name, std::string const& text = {},
        std::uint32_t session = 0, std::uint64_t call = 0, error_code const& error = {}) noexcept;

    /// One event is not kept, for lack of memory.
    void lose() noexcept { ++lost_; }

    /// True if the kernel may be asked once more in this second.
    DUET_DECL bool may_ask_kernel(time_point now) noexcept;

    /// The trace is gone.
    DUET_DECL void end() noexcept;

    bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }

    /// With the events whose numbers are above `after`.
    DUET_DECL trace_log log(std::uint64_t after = 0) const;

    /// A log without events.
    DUET_DECL trace_log empty_log() const;

    std::uint64_t recorded() const noexcept { return recorded_; }

    std::uint64_t lost() const noexcept { return lost_; }

private:
    struct output
    {
        std::ofstream file;
        std::optional<trace_writer> writer;
        time_point flushed{};
    };

    std::uint64_t keep(trace_record record, tcp_snapshot const* kernel, std::string const* text);
    trace_session* find(std::uint32_t session) noexcept;
    trace_event event_of(trace_record const& record, std::uint64_t number) const;

    trace_options const options_;
    time_point const began_ = std::chrono::steady_clock::now();
    std::chrono::system_clock::time_point const began_at_ = std::chrono::system_clock::now();
    std::atomic<std::uint64_t> recorded_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<std::int64_t> next_query_{0};  // in nanoseconds of the steady clock
    std::atomic<bool> ended_{false};

    mutable std::mutex mutex_;  // of all that follows
    std::uint64_t last_number_ = 0;
    std::uint32_t last_session_ = 0;
    std::deque<trace_record> records_;
    std::deque<tcp_snapshot> samples_;
    std::deque<std::string> texts_;
    std::vector<trace_session> sessions_;
    std::unique_ptr<output> output_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/recording/recording.ipp>
#endif

#endif
