// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_RECORDING_HPP
#define DUET_DETAIL_RECORDING_RECORDING_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <duet/detail/recording/record_list.hpp>
#include <duet/detail/recording/trace_record.hpp>
#include <duet/detail/time/both_clocks.hpp>
#include <duet/error.hpp>
#include <duet/tcp_info.hpp>
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

    /// In nanoseconds since the trace began.
    std::int64_t time_of(time_point when) const noexcept
    {
        return std::chrono::nanoseconds{when - began_.steady}.count();
    }

    recording(recording const&) = delete;
    recording& operator=(recording const&) = delete;

    /// One more session, which is told its number; 0: there is no room for it. Throws std::bad_alloc.
    DUET_DECL std::uint32_t add(trace_session described);

    /// What was not known before of a session, is now. Throws std::bad_alloc.
    DUET_DECL void update(trace_session const& described);

    /// Keep the events of a record, and tell trace_options::on_event. `call`: see trace_record::set_call(). Returns the
    /// number of the first; 0 if it was not kept.
    DUET_DECL std::uint64_t put(trace_record record, std::uint64_t call = 0, tcp_snapshot const* kernel = nullptr,
        std::string const* text = nullptr) noexcept;

    /// Where an error is in a list, for trace_record::error. Throws std::bad_alloc, also if there are too many.
    DUET_DECL std::uint16_t place_of(error_code const& error);

    DUET_DECL trace_error error_at(std::uint16_t place) const;

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

    /// So many events are not kept, for lack of memory.
    void lose(std::uint64_t events = 1) noexcept { lost_ += events; }

    /// True if the kernel may be asked once more in this second, and now is.
    bool may_ask_kernel(std::int64_t now) noexcept { return kernel_may_be_asked(now) && take_query(now); }

    bool kernel_may_be_asked(std::int64_t now) const noexcept
    {
        return next_query_.load(std::memory_order_relaxed) <= now + query_room_;
    }

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
    static constexpr std::int64_t second = 1'000'000'000;

    struct output
    {
        std::ofstream file;
        std::optional<trace_writer> writer;
        std::int64_t flushed = std::numeric_limits<std::int64_t>::min() / 2;
    };

    std::uint64_t keep(trace_record record, std::uint64_t call, tcp_snapshot const* kernel, std::string const* text);
    trace_session* find(std::uint32_t session) noexcept;
    std::uint64_t write(trace_record const& record, tcp_snapshot const* kernel, std::string const* text);

    trace_error error_of(std::uint16_t place) const
    {
        return place == 0 ? trace_error{} : trace_error_of(errors_[place - 1U]);
    }

    DUET_DECL bool take_query(std::int64_t now) noexcept;

    trace_options const options_;
    both_clocks<> const began_ = both_clocks<>::now();
    std::int64_t const query_step_;  // between two queries
    std::int64_t const query_room_;  // how far ahead of now the next one may be
    std::atomic<std::int64_t> next_query_{0};
    std::atomic<std::uint64_t> recorded_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<bool> ended_{false};

    mutable std::mutex mutex_;  // of all that follows
    std::uint64_t last_number_ = 0;
    record_list records_;
    std::uint32_t last_session_ = 0;
    std::vector<error_code> errors_;
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
