// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_TRACE_RECORD_HPP
#define DUET_DETAIL_RECORDING_TRACE_RECORD_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The states of a session in a byte.
class packed_states
{
public:
    packed_states() = default;

    explicit packed_states(lifecycle const& life) noexcept
        : value_{static_cast<std::uint8_t>(static_cast<unsigned>(life.receive()) |
                                           static_cast<unsigned>(life.send()) << send_at |
                                           static_cast<unsigned>(life.reason()) << reason_at)}
    {
    }

    friend bool operator==(packed_states, packed_states) = default;

    receive_state receive() const noexcept { return static_cast<receive_state>(value_ % 4U); }

    send_state send() const noexcept { return static_cast<send_state>((value_ >> send_at) % 4U); }

    close_reason reason() const noexcept { return static_cast<close_reason>(value_ >> reason_at); }

private:
    static constexpr unsigned send_at = 2;
    static constexpr unsigned reason_at = 4;
    static_assert(static_cast<unsigned>(receive_state::failed) < 4 && static_cast<unsigned>(send_state::failed) < 4 &&
                  static_cast<unsigned>(close_reason::failed) < 16);

    std::uint8_t value_ = 0;
};

/// An event as it is kept until somebody reads it, or the events of an operation that follow each other at once: of a
/// tenth of the size of a trace_event, and without memory of its own. A session under load fills a few of them for each
/// message, and each is a miss of the cache: so it is small.
///
/// What it stands for besides its own event: with a call, the bytes sent and the result; with bytes received, the
/// result. These have the time and the states of the first.
struct trace_record
{
    std::int64_t time = 0;  // in nanoseconds since the trace began
    char const* name = "";  // of static storage
    std::uint64_t bytes = 0;
    std::uint32_t session = 0;
    std::uint32_t back = 0;    // the result's call is so many events before it; 0: it was not recorded
    std::uint32_t sample = 0;  // of the kernel: its place in a list, from 1 on
    std::uint16_t error = 0;   // its place in a list, from 1 on
    packed_states states{};
    trace_kind kind : 4 = trace_kind::note;
    std::uint8_t more : 2 = 0;        // so many events follow
    bool of_result : 1 = false;       // with bytes received: the name is the result's
    bool sample_is_text : 1 = false;  // `sample` is the place of a text instead

    std::uint32_t events() const noexcept { return more + 1U; }

    /// The number of the call of the result that is the last of these events, whose number is `last`. 0: none.
    void set_call(std::uint64_t call, std::uint64_t last) noexcept
    {
        if (call != 0 && call < last && last - call <= std::numeric_limits<std::uint32_t>::max())
            back = static_cast<std::uint32_t>(last - call);
    }

    /// One of the events, from 0 on, without its error, its sample and its text.
    trace_event event(std::uint32_t place, std::uint64_t number) const
    {
        trace_event result;
        result.number = number;
        result.time = std::max(std::chrono::nanoseconds{time}, std::chrono::nanoseconds{});
        result.session = session;
        if (place == 0)
            result.kind = kind;
        else
            result.kind = kind == trace_kind::call && place == 1 ? trace_kind::transfer : trace_kind::result;
        if (kind == trace_kind::call && place == 1)
            result.name = "send";
        else
            result.name = of_result && place == 0 ? "receive" : name;
        if (result.kind == trace_kind::result && back != 0)
            result.call = number - back;
        result.bytes = bytes;
        result.receive = states.receive();
        result.send = states.send();
        result.reason = states.reason();
        return result;
    }
};

static_assert(sizeof(trace_record) == 40 || sizeof(void*) != 8);

/// An error as a trace keeps it.
inline trace_error trace_error_of(error_code const& error)
{
    return error ? trace_error{error.category().name(), error.value(), error.message()} : trace_error{};
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
