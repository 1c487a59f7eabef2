// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_LOAD_PATTERN_HPP
#define BENCH_LOAD_PATTERN_HPP

#include <cstddef>
#include <cstring>
#include <vector>

namespace load {

/// The bytes of a stream: its period is no message's size, so bytes that are lost, doubled or swapped are seen.
class pattern
{
public:
    static constexpr std::size_t period = 251;

    /// Any `longest` bytes of the stream lie in one piece.
    explicit pattern(std::size_t longest) : bytes_(longest + period)
    {
        for (std::size_t i = 0; i < bytes_.size(); ++i)
            bytes_[i] = static_cast<char>(i % period);
    }

    std::size_t longest() const { return bytes_.size() - period; }
    char const* at(std::size_t offset) const { return bytes_.data() + offset % period; }
    bool matches(std::size_t offset, char const* data, std::size_t size) const
    {
        return std::memcmp(at(offset), data, size) == 0;
    }

private:
    std::vector<char> bytes_;
};

}  // namespace load

#endif
