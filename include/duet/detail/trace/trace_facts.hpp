// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TRACE_FACTS_HPP
#define DUET_DETAIL_TRACE_TRACE_FACTS_HPP

#include <chrono>
#include <cstdint>
#include <vector>

#include <duet/trace_log.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What one end of a connection did to TCP, or learned from it.
enum class fact_kind : std::uint8_t
{
    connected,      ///< from `begun` to `time`
    accepted,       ///< the connection was taken from the accept queue
    attached,       ///< the trace begins in the middle of the connection
    refused,        ///< connect() was answered with RST
    unanswered,     ///< connect() ended without an answer, or has not ended
    sent,           ///< the kernel took `bytes`
    received,       ///< the kernel gave `bytes`
    acknowledged,   ///< the kernel says that the peer's TCP has everything that was sent before
    finished,       ///< FIN was handed to the kernel
    fin_arrived,    ///< the kernel says that the peer's FIN is there
    peer_finished,  ///< a read met the peer's FIN
    reset,          ///< the descriptor was closed with RST
    peer_reset,     ///< an error told that the peer's RST had come
    vanished,       ///< the peer no longer answers
    closed,         ///< the descriptor was closed
};

struct trace_fact
{
    fact_kind kind{};
    std::chrono::nanoseconds time{};
    std::uint64_t cause = 0;  ///< the event that made this end act: a call where there is one
    std::uint64_t told = 0;   ///< the event that told the program: a result where there is one
    std::uint64_t bytes = 0;
    std::chrono::nanoseconds begun{};
};

/// The facts of one end, in the order of its events: from its transfers if it has any, else from its results.
DUET_DECL std::vector<trace_fact> facts_of(trace_log const& log, trace_session const& one);

/// The first of that kind, or null.
DUET_DECL trace_fact const* find_fact(std::vector<trace_fact> const& facts, fact_kind kind) noexcept;

/// An operation whose name says that it reads, or writes, or ends our direction.
DUET_DECL bool is_read(std::string_view operation) noexcept;
DUET_DECL bool is_write(std::string_view operation) noexcept;

/// True for ECONNRESET and its kin, which tell that the peer's RST has come.
DUET_DECL bool tells_reset(trace_error const& error) noexcept;

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/trace_facts.ipp>
#endif

#endif
