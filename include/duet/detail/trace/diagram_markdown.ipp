// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_MARKDOWN_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_MARKDOWN_IPP

#include <cstddef>
#include <string_view>

#include <duet/detail/trace/diagram_markdown.hpp>
#include <duet/detail/trace/printable.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

inline bool is_word(std::string_view text, std::size_t at) noexcept
{
    if (at >= text.size())
        return false;
    auto const each = static_cast<unsigned char>(text[at]);
    return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9') || each >= 0x80;
}

/// Entities stand for HTML, and for what makes a link without brackets; a backslash keeps the rest from being markup.
/// An underscore within a word is none.
inline std::string markdown_text(std::string_view text)
{
    auto const clean = printable(text);
    std::string result;
    for (std::size_t at = 0; at != clean.size(); ++at)
    {
        char const each = clean[at];
        auto const rest = std::string_view(clean).substr(at);
        bool const within = each == '_' && at != 0 && is_word(clean, at - 1) && is_word(clean, at + 1);
        bool const links = rest.starts_with("://") || (each == '.' && at != 0 && (clean[at - 1] | 0x20) == 'w');
        if (std::string_view("<>&\"@").find(each) != std::string_view::npos || links)
            result += "&#" + std::to_string(static_cast<int>(each)) + ";";
        else if (std::string_view("\\`*_{}[]|~#!$^").find(each) != std::string_view::npos && !within)
            (result += '\\') += each;
        else
            result += each;
    }
    return result;
}

inline std::string markdown_cell(std::vector<std::string> const& lines)
{
    std::string result;
    for (auto const& line : lines)
        (result += result.empty() ? "" : "<br>") += markdown_text(line);
    return result;
}

DUET_DECL std::string draw_markdown(std::vector<conversation_row> const& rows)
{
    std::string result = "| call | segments | states | what the program sees |\n|---|---|---|---|\n";
    for (auto const& row : rows)
    {
        for (auto const& cell :
            {markdown_cell(row.calls), markdown_cell(row.segments), markdown_text(row.states), markdown_cell(row.seen)})
            result += "| " + cell + (cell.empty() ? "" : " ");
        result += "|\n";
    }
    return result;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
