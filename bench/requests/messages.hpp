// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef BENCH_REQUESTS_MESSAGES_HPP
#define BENCH_REQUESTS_MESSAGES_HPP

// What the loops written by hand know of a message: four bytes of size, an id of eight, and the body.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace requests {

inline constexpr std::size_t limit = 64 * 1024;
inline constexpr std::size_t head_size = 4;
inline constexpr std::size_t id_size = 8;

inline std::uint64_t number(char const* at, std::size_t size)
{
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < size; ++i)
        result = result << 8 | static_cast<unsigned char>(at[i]);
    return result;
}

inline void append_number(std::string& to, std::uint64_t value, std::size_t size)
{
    for (std::size_t i = size; i-- > 0;)
        to += static_cast<char>(value >> (8 * i) & 0xff);
}

inline void append(std::string& to, std::uint64_t id, std::string_view body)
{
    append_number(to, id_size + body.size(), head_size);
    append_number(to, id, id_size);
    to += body;
}

struct message
{
    std::uint64_t id;
    std::string_view body;
};

/// What was received. Each read is followed by next() until there is no further message.
class input
{
public:
    char* room() { return bytes_.data() + end_; }
    std::size_t room_size() const { return bytes_.size() - end_; }
    void add(std::size_t size) { end_ += size; }

    /// The next message; it lives until the next read. Nothing: more has to be read, or what came is wrong().
    std::optional<message> next()
    {
        auto const* const at = bytes_.data() + begin_;
        if (end_ - begin_ >= head_size)
        {
            auto const size = number(at, head_size);
            wrong_ = size < id_size || size > limit - head_size;
            if (!wrong_ && end_ - begin_ >= head_size + size)
            {
                begin_ += head_size + size;
                return message{number(at + head_size, id_size), {at + head_size + id_size, size - id_size}};
            }
        }
        end_ -= begin_;
        begin_ = 0;
        std::memmove(bytes_.data(), at, end_);
        return {};
    }

    bool wrong() const { return wrong_; }

private:
    std::vector<char> bytes_ = std::vector<char>(limit);
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool wrong_ = false;
};

}  // namespace requests

#endif
