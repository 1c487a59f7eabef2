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
    /// Any `longest` bytes of the stream lie in one piece. `framed`: it consists of messages of this size, which begin
    /// with the size of what follows in four bytes, the highest first; 0: it does not.
    explicit pattern(std::size_t longest, std::size_t framed = 0)
        : period_{framed == 0 ? prime : prime * framed}, bytes_(longest + period_)
    {
        for (std::size_t i = 0; i < bytes_.size(); ++i)
            bytes_[i] = static_cast<char>(i % prime);
        for (std::size_t begin = 0; framed != 0 && begin + 4 <= bytes_.size(); begin += framed)
            for (std::size_t i = 0; i < 4; ++i)
                bytes_[begin + i] = static_cast<char>((framed - 4) >> (24 - 8 * i));
    }

    char const* at(std::size_t offset) const { return bytes_.data() + offset % period_; }
    bool matches(std::size_t offset, char const* data, std::size_t size) const
    {
        return std::memcmp(at(offset), data, size) == 0;
    }

private:
    static constexpr std::size_t prime = 251;

    std::size_t period_;
    std::vector<char> bytes_;
};

}  // namespace load

#endif
