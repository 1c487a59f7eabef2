// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_MOBILE_WIRE_HPP
#define EXAMPLES_MOBILE_WIRE_HPP

// What the two sides say to each other: frames behind their size in four bytes.
//
//   kind (1 byte) | number (8) | acknowledged (8) | text | CRC-32 of all before it (4)
//
// Numbers are big-endian. `acknowledged` is in every frame: the number of the last message that the sender's program
// has heard.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <duet/frame_layout.hpp>

namespace example {

enum class frame_kind : std::uint8_t
{
    begin = 1,  ///< client: a new conversation. Text: its id. Number: how often the client has connected for it
    resume,     ///< client: the same, for a conversation that the server must know
    welcome,    ///< server: the answer to both
    refused,    ///< server: the other answer. Text: why
    data,       ///< a message, and its number: 1, 2, 3, ...
    beat,       ///< an acknowledgement, or a sign of life
    bye,        ///< client: it has said and heard everything, the server may forget it
};

struct frame
{
    frame_kind kind;
    std::uint64_t number = 0;
    std::uint64_t acknowledged = 0;
    std::string_view text{};
};

/// An id is the only proof that a client is who it was: random, and known to nobody else.
inline constexpr std::size_t id_size = 16;
inline constexpr std::size_t most_text = 1024;
inline constexpr std::size_t most_frame = 4 + 17 + most_text + 4;

inline constexpr duet::length_prefix on_the_wire{.bytes = 4};

/// Append the frame with its size.
void append(frame const& what, std::string& to);

/// The frame in one message of the framing; nothing if it is none. A checksum that is wrong shows an accident, not an
/// attack: against that, use a duet::tls_session.
std::optional<frame> decode(std::string_view bytes);

}  // namespace example

#endif
