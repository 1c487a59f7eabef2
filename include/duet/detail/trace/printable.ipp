// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_PRINTABLE_IPP
#define DUET_DETAIL_TRACE_PRINTABLE_IPP

#include <algorithm>
#include <array>
#include <cstdio>

#include <duet/detail/trace/printable.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

DUET_DECL character first_character(std::string_view text) noexcept
{
    auto const size = utf8_size(text);
    if (size == 0)
        return {};
    auto const byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    if (size == 1)
        return {static_cast<char32_t>(byte(0)), 1};
    auto code = static_cast<char32_t>(byte(0) & (0xFFU >> (size + 1)));
    for (std::size_t at = 1; at != size; ++at)
        code = static_cast<char32_t>(code << 6U | (byte(at) & 0x3FU));
    return {code, size};
}

struct character_range
{
    char32_t first;
    char32_t last;
};

template <std::size_t Count>
bool is_in(std::array<character_range, Count> const& ranges, char32_t code) noexcept
{
    return std::any_of(
        ranges.begin(), ranges.end(), [&](auto const& range) { return code >= range.first && code <= range.last; });
}

/// Controls, separators of lines, marks of direction, what has no width, private use, and what is no character.
inline bool is_hidden(char32_t code) noexcept
{
    static constexpr std::array<character_range, 14> ranges{{{0, 0x1F}, {0x7F, 0x9F}, {0xAD, 0xAD}, {0x61C, 0x61C},
        {0x180E, 0x180E}, {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F}, {0xE000, 0xF8FF}, {0xFEFF, 0xFEFF},
        {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0xE0FFF}, {0xF0000, 0x10FFFF}}};
    return is_in(ranges, code);
}

inline bool is_wide(char32_t code) noexcept
{
    static constexpr std::array<character_range, 10> ranges{
        {{0x1100, 0x115F}, {0x2E80, 0x303E}, {0x3041, 0x33FF}, {0x3400, 0x4DBF}, {0x4E00, 0xA4CF}, {0xAC00, 0xD7A3},
            {0xF900, 0xFAFF}, {0xFE30, 0xFE6F}, {0xFF00, 0xFF60}, {0x1F300, 0x3FFFD}}};
    return is_in(ranges, code);
}

inline bool combines(char32_t code) noexcept
{
    static constexpr std::array<character_range, 5> ranges{
        {{0x300, 0x36F}, {0x483, 0x489}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE2F}}};
    return is_in(ranges, code);
}

inline std::string spelled(char32_t code)
{
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), code < 0x100 ? "\\x%02x" : "\\u{%x}", static_cast<unsigned>(code));
    return text.data();
}

DUET_DECL std::string printable(std::string_view text)
{
    std::string result;
    while (!text.empty())
    {
        auto const next = first_character(text);
        if (is_hidden(next.code))
            result += spelled(next.code);
        else if (utf8_size(text) == 0)
            result += "\xEF\xBF\xBD";
        else
            result += text.substr(0, next.size);
        text.remove_prefix(next.size);
    }
    return result;
}

DUET_DECL std::string ascii(std::string_view text)
{
    std::string result;
    while (!text.empty())
    {
        auto const next = first_character(text);
        if (next.code >= 0x80 || is_hidden(next.code))
            result += utf8_size(text) == 0 ? "?" : spelled(next.code);
        else
            result += static_cast<char>(next.code);
        text.remove_prefix(next.size);
    }
    return result;
}

DUET_DECL std::size_t columns(std::string_view text) noexcept
{
    std::size_t result = 0;
    while (!text.empty())
    {
        auto const next = first_character(text);
        result += is_wide(next.code) ? 2U : combines(next.code) ? 0U : 1U;
        text.remove_prefix(next.size);
    }
    return result;
}

DUET_DECL std::string shortened(std::string_view text, std::size_t width, std::string_view ellipsis)
{
    if (columns(text) <= width)
        return std::string(text);
    auto const end = columns(ellipsis);
    if (width < end)
        return "";
    std::string result;
    std::size_t used = end;
    while (!text.empty())
    {
        auto const size = first_character(text).size;
        used += columns(text.substr(0, size));
        if (used > width)
            break;
        result += text.substr(0, size);
        text.remove_prefix(size);
    }
    return result.append(ellipsis);
}

DUET_DECL std::vector<std::string> wrapped(std::string_view text, std::size_t width)
{
    std::vector<std::string> result;
    while (columns(text) > width)
    {
        std::size_t size = 0;
        for (std::size_t used = 0; size < text.size();)
        {
            auto const next = first_character(text.substr(size)).size;
            used += columns(text.substr(size, next));
            if (used > width && size != 0)
                break;
            size += next;
        }
        auto const space = text.substr(0, size + 1).rfind(' ');
        auto const cut = space != text.npos && space != 0 ? space : size;
        result.emplace_back(text.substr(0, cut));
        text.remove_prefix(cut);
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
    if (!text.empty())
        result.emplace_back(text);
    return result;
}

DUET_DECL std::string xml(std::string_view text)
{
    std::string result;
    for (char const each : printable(text))
        switch (each)
        {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '"':
            result += "&quot;";
            break;
        case '\'':
            result += "&#39;";
            break;
        default:
            result += each;
        }
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
