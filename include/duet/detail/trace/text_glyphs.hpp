// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_TEXT_GLYPHS_HPP
#define DUET_DETAIL_TRACE_TEXT_GLYPHS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// What a picture is drawn with.
struct text_glyphs
{
    char const* inferred;
    char const* observed;
    char const* to_server;
    char const* to_client;
    char const* open;      // a lifeline that may still send
    char const* finished;  // one that has sent its FIN
    char const* down;      // an arrow on its way to the next line, to the right
    char const* up;        // the same, to the left
    char const* crossing;
    char const* lost;
    char const* way_to_server;
    char const* way_to_client;
    char const* ellipsis;
};

inline constexpr text_glyphs ascii_glyphs{"-", "=", ">", "<", "|", ":", "\\", "/", "X", "x", ">", "<", "..."};
inline constexpr text_glyphs unicode_glyphs{"\u254C", "\u2501", "\u25B6", "\u25C0", "\u2502", "\u250A", "\u2572",
    "\u2571", "\u2573", "\u2717", "\u203A", "\u2039", "\u2026"};

enum class ink : std::uint8_t
{
    plain,
    faint,
    state,
    to_server,
    to_client,
    bad,
    strong,
};

inline char const* ink_code(ink value) noexcept
{
    static constexpr std::array<char const*, 7> codes{
        "", "\033[2m", "\033[36m", "\033[32m", "\033[35m", "\033[31m", "\033[1m"};
    return codes[static_cast<std::size_t>(value)];
}

struct inked
{
    std::string text{};
    ink colour = ink::plain;
};

/// The space between the lifelines: each cell has one glyph.
struct wire_line
{
    std::vector<inked> cells;
    std::array<std::vector<inked>, 2> sides{};  // at most one line each
    std::array<bool, 2> finished{};
    std::string time{};
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
