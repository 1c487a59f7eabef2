// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIVE_RECORDING_HPP
#define EXAMPLES_LIVE_RECORDING_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace example {

using milliseconds = std::chrono::duration<double, std::milli>;

/// What became of each frame of one transport.
class recording
{
public:
    using clock = std::chrono::steady_clock;

    struct entry
    {
        milliseconds taken;  ///< since the begin
        bool dropped = false;
        std::optional<milliseconds> latency{};  ///< nothing: dropped, or lost
    };

    explicit recording(std::string name) : name_{std::move(name)} {}

    /// The camera has a frame; returns its number.
    std::uint32_t taken();

    /// The frame that was taken last is not sent.
    void dropped() { entries_.back().dropped = true; }

    /// A frame is complete. What comes twice, or was never taken, does not count.
    void arrived(std::uint32_t number);

    std::string const& name() const noexcept { return name_; }

    std::vector<entry> const& entries() const noexcept { return entries_; }

    /// A line of numbers: what was dropped and lost, and the latency of what arrived.
    std::string summary() const;

private:
    std::string name_;
    clock::time_point begin_ = clock::now();
    std::vector<entry> entries_;
};

/// Something that happens to the link meanwhile.
struct episode
{
    std::string name;
    milliseconds begin;
    milliseconds end;
};

/// Latency over time, a row for each transport: SVG.
std::string picture(std::vector<recording> const& all, std::vector<episode> const& episodes, milliseconds length);

}  // namespace example

#endif
