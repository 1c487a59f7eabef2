// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_SESSION_RECORDER_HPP
#define DUET_DETAIL_RECORDING_SESSION_RECORDER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/connection_observer.hpp>
#include <duet/detail/recording/trace_record.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/tcp_info.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class recording;

/// The last events of one session, and the last samples of the kernel that belong to them. A ring: it takes its memory
/// at the beginning.
class event_ring
{
public:
    explicit event_ring(std::size_t size) : records_(size), samples_(std::min<std::size_t>(size, most_samples)) {}

    /// Returns the number of the event, from 1 on.
    std::uint64_t put(trace_record const& record, tcp_snapshot const* kernel) noexcept
    {
        auto& place = records_[count_ % records_.size()];
        place = record;
        if (kernel)
        {
            samples_[sampled_ % samples_.size()] = *kernel;
            place.sample = static_cast<std::uint32_t>(++sampled_);
        }
        return ++count_;
    }

    std::uint64_t lost() const noexcept { return count_ - kept(); }

    std::uint64_t kept() const noexcept { return std::min<std::uint64_t>(count_, records_.size()); }

    /// Append the events that are left.
    DUET_DECL void append_to(std::vector<trace_event>& events, std::chrono::steady_clock::time_point began) const;

private:
    static constexpr std::size_t most_samples = 16;

    std::vector<trace_record> records_;
    std::vector<tcp_snapshot> samples_;
    std::uint64_t count_ = 0;
    std::uint64_t sampled_ = 0;
};

/// Records one session.
class session_recorder final : public connection_observer, public std::enable_shared_from_this<session_recorder>
{
public:
    DUET_DECL session_recorder(std::shared_ptr<recording> to, connection& of, std::uint32_t number);

    /// The first event.
    void begin(char const* how) noexcept { put(trace_kind::begin, how); }

    DUET_DECL char const* on_operation(char const* name, std::size_t size) noexcept override;
    DUET_DECL bool on_result(char const*& name, error_code const& error, std::size_t size) noexcept override;
    DUET_DECL void on_call(channel_call what, error_code const& result, std::size_t size) noexcept override;
    void on_wait_begun(channel_wait) noexcept override {}
    DUET_DECL void on_wait_ended(channel_wait what, error_code const& result, std::size_t size) noexcept override;
    DUET_DECL void on_state(lifecycle const& now, error_code const& error) noexcept override;

private:
    /// A call that has not returned. Its tag stands for it: see connection_observer::on_operation().
    struct pending_call
    {
        char tag = '\0';             // its address is what counts
        char const* name = nullptr;  // null: this place is free
        std::uint64_t number = 0;
    };

    void received(error_code const& result, std::size_t size) noexcept;
    DUET_DECL std::uint64_t put(trace_kind kind, char const* name, std::uint64_t bytes = 0,
        error_code const& error = {}, std::uint64_t call = 0, std::string const* text = nullptr) noexcept;
    void tell_end(std::string text) noexcept;

    std::shared_ptr<recording> recording_;
    connection* connection_;
    context_clock clock_;
    std::uint32_t number_;
    std::deque<pending_call> calls_;    // their addresses stay
    std::unique_ptr<event_ring> ring_;  // null: the recording keeps the events
    bool ended_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/recording/session_recorder.ipp>
#endif

#endif
