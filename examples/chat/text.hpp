// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_CHAT_TEXT_HPP
#define EXAMPLES_CHAT_TEXT_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace chat {

/// Letters, digits, '-' and '_', and not too many: nothing that could look like a line of the server.
bool is_name(std::string_view text, std::size_t most) noexcept;

/// What may be shown on the terminals of others: '?' in place of each control character, which could move a cursor or
/// worse, and of each byte that is not UTF-8.
std::string printable(std::string_view text);

}  // namespace chat

#endif
