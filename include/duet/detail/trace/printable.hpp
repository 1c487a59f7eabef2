// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_PRINTABLE_HPP
#define DUET_DETAIL_TRACE_PRINTABLE_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <duet/detail/trace/utf8.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The first character of `text`, and how many bytes it takes. Byte for byte U+FFFD where it is not UTF-8.
struct character
{
    char32_t code = 0xFFFD;
    std::size_t size = 1;
};

DUET_DECL character first_character(std::string_view text) noexcept;

/// Peers supply text, and a terminal obeys it. This is the same text as one line of valid UTF-8: control characters,
/// and those that change the direction of text or cannot be seen, are spelled as \x1b or \u{202e}.
DUET_DECL std::string printable(std::string_view text);

/// As printable(), and all in ASCII.
DUET_DECL std::string ascii(std::string_view text);

/// The columns that a terminal needs for printable text: two for East Asian characters and emoji, none for what
/// combines.
DUET_DECL std::size_t columns(std::string_view text) noexcept;

/// At most that many columns of the text; if something had to go, its end is `ellipsis`.
DUET_DECL std::string shortened(std::string_view text, std::size_t width, std::string_view ellipsis);

/// Printable text in lines of at most that many columns, split at spaces where there are any.
DUET_DECL std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// For XML and HTML, in text and in attributes.
DUET_DECL std::string xml(std::string_view text);

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#if !defined(DUET_SEPARATE_COMPILATION)
#include <duet/detail/trace/printable.ipp>
#endif

#endif
