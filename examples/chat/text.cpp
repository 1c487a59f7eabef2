// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace chat {

namespace {

bool is_name_character(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

struct character
{
    std::size_t size;  ///< 0: the bytes are not UTF-8
    std::uint32_t code;
};

/// The first character of a text that is not empty.
character first_of(std::string_view text) noexcept
{
    auto const lead = static_cast<unsigned char>(text.front());
    std::size_t const size = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
    if (size == 0 || size > text.size())
        return {0, 0};
    constexpr std::array<std::uint32_t, 5> bits_of_lead{0, 0x7f, 0x1f, 0x0f, 0x07};
    constexpr std::array<std::uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};  // no longer form than needed
    std::uint32_t code = lead & bits_of_lead[size];
    for (char const next : text.substr(1, size - 1))
    {
        auto const byte = static_cast<unsigned char>(next);
        if (byte >> 6 != 2)
            return {0, 0};
        code = code << 6 | (byte & 0x3fU);
    }
    bool const surrogate = code >= 0xd800 && code < 0xe000;
    bool const valid = code >= least[size] && code < 0x110000 && !surrogate;
    return {valid ? size : 0, code};
}

bool is_control(std::uint32_t code) noexcept
{
    return (code < 0x20 && code != '\t') || (code >= 0x7f && code < 0xa0);
}

}  // namespace

bool is_name(std::string_view text, std::size_t most) noexcept
{
    return !text.empty() && text.size() <= most && std::ranges::all_of(text, is_name_character);
}

std::string printable(std::string_view text)
{
    std::string result;
    result.reserve(text.size());
    while (!text.empty())
    {
        auto const [size, code] = first_of(text);
        if (size == 0 || is_control(code))
            result += '?';
        else
            result += text.substr(0, size);
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return result;
}

}  // namespace chat
