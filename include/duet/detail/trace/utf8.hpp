// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_UTF8_HPP
#define DUET_DETAIL_TRACE_UTF8_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The number of bytes of the character at the begin of `text`, which is not empty; 0 if there is none in UTF-8 (RFC
/// 3629: neither longer than need be, nor a surrogate, nor above U+10FFFF).
inline std::size_t utf8_size(std::string_view text) noexcept
{
    auto const byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    auto const first = byte(0);
    if (first < 0x80)
        return 1;
    std::size_t const size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || text.size() < size)
        return 0;
    unsigned const lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned const highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < lowest || byte(1) > highest)
        return 0;
    for (std::size_t at = 2; at < size; ++at)
        if ((byte(at) & 0xc0U) != 0x80)
            return 0;
    return size;
}

inline bool is_utf8(std::string_view text) noexcept
{
    while (!text.empty())
    {
        auto const size = utf8_size(text);
        if (size == 0)
            return false;
        text.remove_prefix(size);
    }
    return true;
}

/// Appends the character of that number, which is below 0x800.
inline void append_utf8(std::string& out, unsigned number)
{
    if (number >= 0x80)
        (out += static_cast<char>(0xc0U | number >> 6U)) += static_cast<char>(0x80U | (number & 0x3fU));
    else
        out += static_cast<char>(number);
}

/// The text, with U+FFFD for each byte that is no UTF-8, cut to at most `most` bytes between two characters.
inline std::string displayable(std::string_view text, std::size_t most)
{
    std::string result;
    while (!text.empty())
    {
        auto const size = utf8_size(text);
        auto const character = size == 0 ? std::string_view{"\xef\xbf\xbd"} : text.substr(0, size);
        if (result.size() + character.size() > most)
            break;
        result += character;
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
