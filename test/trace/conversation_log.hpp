// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.
#ifndef DUET_TEST_CONVERSATION_LOG_HPP
#define DUET_TEST_CONVERSATION_LOG_HPP

// A small trace, as a program would record it, with the segments that follow from it.

#include <duet/trace_log.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace duet_test {

// A client connects, asks with 200,000 bytes, finishes, and gets an answer of 5.
struct conversation_log
{
    explicit conversation_log(
        std::string const& local = "127.0.0.1:40000", std::string const& remote = "127.0.0.1:7777")
    {
        using duet::tcp_flags;
        using duet::trace_kind;
        log.program = "test";
        log.began = std::chrono::system_clock::time_point{std::chrono::seconds{1764400000}};
        log.sessions = {{1, true, local, remote, "asker"}};
        auto const connecting = event(trace_kind::call, "connect");
        auto const connected = event(trace_kind::result, "connect");
        auto const asking = event(trace_kind::call, "write", 200000);
        auto const finishing = event(trace_kind::call, "shutdown_send");
        auto const answered = event(trace_kind::result, "read_some", 5);
        auto const ended = event(trace_kind::result, "read_some");

        auto const ack = tcp_flags::ack;
        add(true, tcp_flags::syn, 0, 0, 0).cause = connecting;
        add(false, tcp_flags::syn | ack, 0, 1, 0, 65535).told = connected;
        add(true, ack, 1, 1, 0);
        add(true, tcp_flags::psh | ack, 1, 1, 200000, 131072).cause = asking;
        add(false, ack, 1, 200001, 0, 0);
        add(true, tcp_flags::fin | ack, 200001, 1, 0).cause = finishing;
        add(false, tcp_flags::psh | ack, 1, 200002, 5).told = answered;
        add(false, tcp_flags::fin | ack, 6, 200002, 0).told = ended;
        add(true, ack, 200002, 7, 0);
    }

    duet::trace_session const& session() const { return log.sessions.front(); }

    std::uint64_t event(duet::trace_kind kind, char const* name, std::uint64_t bytes = 0)
    {
        duet::trace_event one;
        one.number = log.events.size() + 1;
        one.time = std::chrono::microseconds{100} * log.events.size();
        one.session = 1;
        one.kind = kind;
        one.name = name;
        one.bytes = bytes;
        log.events.push_back(one);
        return one.number;
    }

    duet::trace_segment& add(bool from_client, duet::tcp_flags flags, std::uint32_t sequence,
        std::uint32_t acknowledgement, std::uint64_t bytes, std::optional<std::uint32_t> window = std::nullopt)
    {
        duet::trace_segment one;
        one.from_client = from_client;
        one.flags = flags;
        one.sequence = sequence;
        one.acknowledgement = acknowledgement;
        one.bytes = bytes;
        one.window = window;
        one.sent = std::chrono::nanoseconds{1001} * segments.size();
        segments.push_back(one);
        return segments.back();
    }

    duet::trace_log log;
    std::vector<duet::trace_segment> segments;
};

}  // namespace duet_test

#endif
