// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_SESSION_RECORDER_HPP
#define DUET_DETAIL_RECORDING_SESSION_RECORDER_HPP

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include <duet/detail/engine/connection.hpp>
#include <duet/detail/engine/connection_observer.hpp>
#include <duet/detail/recording/event_ring.hpp>
#include <duet/detail/recording/trace_record.hpp>
#include <duet/detail/time/context_clock.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

class recording;

/// Records one session.
///
/// What a call, its use of the socket and its result tell at once becomes one record: the first of them is held until
/// it is known that the next does not follow. on_leave() says so before the program goes on, so nobody sees a trace
/// without it. One reading of the clock is for all of them.
class alignas(64) session_recorder final : public connection_observer
{
public:
    /// Throws std::bad_alloc.
    DUET_DECL static std::shared_ptr<session_recorder> make(
        std::shared_ptr<recording> to, connection& of, std::uint32_t number);

    DUET_DECL session_recorder(std::shared_ptr<recording> to, connection& of, std::uint32_t number);

    /// The first event.
    void begin(char const* how) noexcept { put(trace_kind::begin, how); }

    DUET_DECL char const* on_operation(char const* name, std::size_t size) noexcept override;
    DUET_DECL bool on_result(char const*& name, error_code const& error, std::size_t size) noexcept override;
    DUET_DECL void on_call(channel_call what, error_code const& result, std::size_t size) noexcept override;
    void on_wait_begun(channel_wait) noexcept override {}
    DUET_DECL void on_wait_ended(channel_wait what, error_code const& result, std::size_t size) noexcept override;
    DUET_DECL void on_state(lifecycle const& now, error_code const& error) noexcept override;
    void on_leave() noexcept override { release(); }
    void on_near() noexcept override { ring_.prefetch(); }

private:
    /// A call that has not returned. Its address stands for it: see connection_observer::on_operation().
    struct pending_call
    {
        char const* name = nullptr;  // null: this place is free
        std::uint64_t number = 0;

        char const* tag() const noexcept { return reinterpret_cast<char const*>(this); }
    };

    std::int64_t now() const noexcept;
    trace_record event(trace_kind kind, char const* name, std::uint64_t bytes) const noexcept;
    void hold(trace_record const& one, pending_call* call) noexcept;
    bool follows(bool is_next, std::size_t size) noexcept;
    std::uint64_t keep(trace_record const& one, std::uint64_t call) noexcept;

    void release() noexcept
    {
        if (held_.more != nothing)
            release_held();
    }

    // What an event under load does not need is not inlined, so that the rest is few lines of code: the kernel has had
    // the cache for itself since the last event.
    DUET_DECL void release_held() noexcept;
    [[gnu::cold]] DUET_DECL pending_call* another_place() noexcept;
    [[gnu::cold]] DUET_DECL pending_call* find_another(char const* tag) noexcept;
    [[gnu::cold]] DUET_DECL void put_failed_read(error_code const& result) noexcept;
    [[gnu::cold]] DUET_DECL void put_call(channel_call what, error_code const& result, std::size_t size) noexcept;
    void received(error_code const& result, std::size_t size) noexcept;
    [[gnu::cold]] DUET_DECL std::uint64_t put(trace_kind kind, char const* name, std::uint64_t bytes = 0,
        error_code const& error = {}, std::uint64_t call = 0, std::string const* text = nullptr) noexcept;
    void tell_end(std::string text) noexcept;

    static constexpr std::uint8_t nothing = 3;

    // What each event needs, in two lines of the cache: of a thousand sessions, none of them is there.
    recording* to_;
    connection* connection_;
    context_clock clock_;
    pending_call* held_call_ = nullptr;  // what is held is this call
    pending_call call_;                  // mostly there is one
    event_ring ring_;                    // empty: the recording keeps the events
    trace_record held_{.more = nothing};

    std::uint32_t number_;
    bool ended_ = false;
    std::deque<pending_call> more_calls_;  // their addresses stay
    std::shared_ptr<recording> recording_;
    std::weak_ptr<session_recorder> self_;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/recording/session_recorder.ipp>
#endif

#endif
