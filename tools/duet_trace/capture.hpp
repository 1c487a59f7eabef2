// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef TOOLS_DUET_TRACE_CAPTURE_HPP
#define TOOLS_DUET_TRACE_CAPTURE_HPP

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include <duet/captured_segment.hpp>
#include <duet/tap.hpp>
#include <duet/trace_log.hpp>

namespace tool {

/// The segments of several conversations, each of which takes its own when it has ended.
class capture
{
public:
    /// Captures from now on. Throws system_error if this process may not.
    explicit capture(std::vector<std::uint16_t> const& ports);

    /// Keep only what comes from these ports or goes there.
    void keep(std::set<std::uint16_t> ports) { ports_ = std::move(ports); }

    /// Add the segments of the sessions in `log` to it.
    void merge_into(duet::trace_log& log);

private:
    void fetch();

    duet::tap tap_;
    std::set<std::uint16_t> ports_{};
    std::vector<duet::captured_segment> kept_{};  // of conversations that go on
    std::uint64_t lost_ = 0;
};

}  // namespace tool

#endif
