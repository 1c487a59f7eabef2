// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef EXAMPLES_LIVE_FRAME_NUMBERS_HPP
#define EXAMPLES_LIVE_FRAME_NUMBERS_HPP

#include <cstdint>
#include <string>
#include <string_view>

namespace example {

/// Four bytes, the highest first.
inline std::string number_bytes(std::uint32_t number)
{
    std::string result;
    for (int shift = 24; shift >= 0; shift -= 8)
        result += static_cast<char>(number >> shift & 0xff);
    return result;
}

/// Of at least four bytes.
inline std::uint32_t number_in(std::string_view bytes)
{
    std::uint32_t result = 0;
    for (char const byte : bytes.substr(0, 4))
        result = result << 8 | static_cast<unsigned char>(byte);
    return result;
}

}  // namespace example

#endif
