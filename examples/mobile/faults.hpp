// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MOBILE_FAULTS_HPP
#define EXAMPLES_MOBILE_FAULTS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace example {

/// What a network does to a connection. All of it was seen in real ones.
enum class fault : std::uint8_t
{
    stall,    ///< nothing goes through for a while, then all of it
    reset,    ///< both sides are told at once, by RST
    finish,   ///< both sides see an end that looks like the other's, in the middle of a message
    hole,     ///< nothing goes through any more, and nobody is told
    one_way,  ///< the same in one direction
    garble,   ///< some bytes that nobody sent, then the end
    ghost,    ///< the client is told; the server is not, and gets what the client sent last when it is back elsewhere
};

inline constexpr std::array<std::string_view, 7> fault_names{
    "stall", "reset", "finish", "hole", "one_way", "garble", "ghost"};

/// Where a connection meets its fault, and which.
struct fault_plan
{
    fault kind;
    bool to_server;         ///< the direction whose bytes are counted
    std::size_t after;      ///< so many bytes
    unsigned pause;         ///< of a stall, or of a ghost: in units
    std::uint32_t garbage;  ///< a seed
};

/// The faults of a link: each plan follows from the seed and its number.
class fault_source
{
public:
    fault_source(std::uint32_t seed, std::uint32_t most, std::uint32_t mean_bytes)
        : seed_{seed}, most_{most}, mean_bytes_{mean_bytes}
    {
    }

    fault_plan plan_next();

    /// A fault happens now. False: there were enough.
    bool strike(fault kind);

    std::string report() const;

    bool all_struck() const noexcept { return struck_ == most_; }

private:
    std::uint32_t seed_;
    std::uint32_t most_;
    std::uint32_t mean_bytes_;
    std::uint32_t plans_ = 0;
    std::uint32_t struck_ = 0;
    std::array<std::uint32_t, fault_names.size()> by_kind_{};
};

/// Bytes that nobody sent.
std::string garbage(std::uint32_t seed);

}  // namespace example

#endif
