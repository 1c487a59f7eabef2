// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_RECORDING_TRACE_RECORD_HPP
#define DUET_DETAIL_RECORDING_TRACE_RECORD_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <duet/error.hpp>
#include <duet/lifecycle.hpp>
#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An event as it is kept until somebody reads it: of a third of the size of a trace_event, and without memory of its
/// own.
struct trace_record
{
    std::chrono::steady_clock::time_point time{};
    std::uint64_t bytes = 0;
    std::uint64_t call = 0;
    char const* name = "";  // of static storage
    error_code error{};
    std::uint32_t session = 0;
    std::uint32_t sample = 0;  // of the kernel: its place in a list, from 1 on
    std::uint32_t text = 0;    // its place in a list, from 1 on
    trace_kind kind = trace_kind::note;
    receive_state receive = receive_state::open;
    send_state send = send_state::open;
    close_reason reason = close_reason::none;

    /// Without its number, its sample and its text.
    trace_event event(std::chrono::steady_clock::time_point began) const
    {
        trace_event result;
        result.time = std::max(std::chrono::nanoseconds{time - began}, std::chrono::nanoseconds{});
        result.session = session;
        result.kind = kind;
        result.name = name;
        result.call = call;
        result.bytes = bytes;
        if (error)
            result.error = {error.category().name(), error.value(), error.message()};
        result.receive = receive;
        result.send = send;
        result.reason = reason;
        return result;
    }
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
