// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_TRACE_LOG_HPP
#define DUET_TRACE_LOG_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <duet/lifecycle.hpp>
#include <duet/tcp_info.hpp>

namespace duet {
inline namespace DUET_ABI {

/// How a fact of a trace is known.
enum class evidence : std::uint8_t
{
    observed,  ///< a call returned it, the kernel reported it, or it was captured on the wire
    inferred,  ///< it follows from what was observed: connect() has succeeded, so a SYN was sent and acknowledged
};

/// What an event of a trace tells.
enum class trace_kind : std::uint8_t
{
    begin,     ///< a session is known from here on: `name` tells how: connect, accept, attach
    call,      ///< the program has called the operation `name`
    result,    ///< the operation `name` has completed
    transfer,  ///< duet's own use of the socket: `name` is send, receive, discard, fin, peer_fin, reset or close
    state,     ///< the state of a direction has changed
    segment,   ///< a TCP segment, see trace_event::segment
    end,       ///< the descriptor of the session is closed; `text` is the post-mortem
    lost,      ///< `bytes` events of this session, or of all if it is 0, were not kept
    note,      ///< `text` is what the program, or duet, has to say
};

/// An error as a trace keeps it.
struct trace_error
{
    friend bool operator==(trace_error const&, trace_error const&) = default;

    std::string category{};  ///< error_code::category().name(): "system", "asio.misc", "duet"; empty: no error
    int value = 0;
    std::string text{};  ///< error_code::message()

    explicit operator bool() const noexcept { return !category.empty(); }
};

/// The flags of a TCP segment, as in byte 13 of its header (RFC 9293 3.1).
enum class tcp_flags : std::uint8_t
{
    none = 0,
    fin = 1,
    syn = 2,
    rst = 4,
    psh = 8,
    ack = 16,
    urg = 32,
    ece = 64,
    cwr = 128,
};

constexpr tcp_flags operator|(tcp_flags a, tcp_flags b) noexcept
{
    return static_cast<tcp_flags>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}

constexpr bool contains(tcp_flags set, tcp_flags one) noexcept
{
    return (static_cast<std::uint8_t>(set) & static_cast<std::uint8_t>(one)) != 0;
}

/// What a segment is beside what its flags say.
enum class segment_label : std::uint8_t
{
    none,
    retransmission,             ///< its sequence numbers were sent before
    out_of_order,               ///< it comes after one that followed it
    keep_alive_probe,           ///< asks whether the peer is still there
    keep_alive_answer,          ///< the peer is
    zero_window,                ///< its sender has no room for more
    zero_window_probe,          ///< asks a peer without room whether it has some now
    zero_window_answer,         ///< answers that
    window_update,              ///< tells of more room, or less, and of nothing else
    duplicate_acknowledgement,  ///< tells nothing new: something came that was not expected
};

/// A TCP segment between the two ends of a connection. Times count from the beginning of the trace.
struct trace_segment
{
    friend bool operator==(trace_segment const&, trace_segment const&) = default;

    using time = std::chrono::nanoseconds;

    bool from_client = true;  ///< from the end that connected to the end that accepted
    tcp_flags flags = tcp_flags::none;
    std::uint32_t sequence = 0;             ///< inferred segments count from 0, like Wireshark's relative numbers
    std::uint32_t acknowledgement = 0;      ///< 0 without tcp_flags::ack
    std::uint64_t bytes = 0;                ///< of payload; an inferred segment may stand for several of the wire
    std::optional<std::uint32_t> window{};  ///< in bytes, scaled; nullopt if it is not known

    /// When it left one end and reached the other. An observed one has been seen once, so they are equal. nullopt: it
    /// is not known that it did; with `lost`, it did not.
    std::optional<time> sent{};
    std::optional<time> received{};
    bool lost = false;  ///< it was sent, and never arrived

    duet::evidence evidence = duet::evidence::inferred;

    /// segments_of() finds it. A file does not have it.
    segment_label label = segment_label::none;

    std::uint64_t cause = 0;  ///< the number of the event that caused it: a call; 0: TCP itself, or not known
    std::uint64_t told = 0;   ///< the number of the event that told the receiving program of it; 0: none did
};

/// One event of a trace. Which members are set depends on the kind.
struct trace_event
{
    friend bool operator==(trace_event const&, trace_event const&) = default;

    std::uint64_t number = 0;         ///< the place in the trace, from 1 on
    std::chrono::nanoseconds time{};  ///< since the beginning of the trace, by a steady clock
    std::uint32_t session = 0;  ///< the number of a trace_session; 0: an acceptor, a connector, or the whole trace
    trace_kind kind = trace_kind::note;
    duet::evidence evidence = duet::evidence::observed;
    std::string name{};       ///< of the operation: "read_some", "write", "close", "connect", ... See trace_kind
    std::uint64_t call = 0;   ///< a result has the number of its call event; 0: the call was not recorded
    std::uint64_t bytes = 0;  ///< call: room for a read, length of a write; result and transfer: what was transferred
    trace_error error{};

    // The states after the event, in every event of a session.
    receive_state receive = receive_state::open;
    send_state send = send_state::open;
    close_reason reason = close_reason::none;

    /// What the kernel said at this time. Not every event has it: a query is a system call.
    std::optional<tcp_snapshot> kernel{};

    std::optional<trace_segment> segment{};
    std::string text{};
};

/// One end of a connection, as its program saw it. A connection between two programs that are traced together, or
/// within one, has two: their endpoints mirror each other.
struct trace_session
{
    friend bool operator==(trace_session const&, trace_session const&) = default;

    std::uint32_t number = 0;  ///< from 1 on
    bool client = false;       ///< this end connected; otherwise it accepted
    std::string local{};       ///< "127.0.0.1:7777", "[::1]:7777", a path, or empty
    std::string remote{};
    std::string name{};  ///< what the program calls it; may be empty
};

/// A trace that has been recorded, in memory. Plain data.
struct trace_log
{
    friend bool operator==(trace_log const&, trace_log const&) = default;

    std::string program{};                          ///< what was traced; may be empty
    std::chrono::system_clock::time_point began{};  ///< when event time 0 was
    std::vector<trace_session> sessions{};          ///< ordered by number
    std::vector<trace_event> events{};              ///< ordered by time
    std::uint64_t lost = 0;                         ///< events that were not kept, of all sessions

    /// The session of that number, or null.
    trace_session const* find(std::uint32_t number) const noexcept
    {
        for (auto const& each : sessions)
            if (each.number == number)
                return &each;
        return nullptr;
    }

    /// The session at the other end of this one, if it is traced, too; null otherwise.
    trace_session const* other_end(trace_session const& one) const noexcept
    {
        for (auto const& each : sessions)
            if (each.number != one.number && each.client != one.client && !one.local.empty() &&
                each.local == one.remote && each.remote == one.local)
                return &each;
        return nullptr;
    }
};

DUET_DECL std::string_view to_string(evidence value) noexcept;
DUET_DECL std::string_view to_string(trace_kind value) noexcept;

/// "retransmission", "keep-alive probe", "answer to a zero-window probe"; "" for none.
DUET_DECL std::string_view to_string(segment_label value) noexcept;

/// As tcpdump and Wireshark abbreviate them: "SYN", "SYN, ACK", "FIN, ACK", "RST", "PSH, ACK".
DUET_DECL std::string to_string(tcp_flags value);

}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/trace_log.ipp>
#endif

#endif
