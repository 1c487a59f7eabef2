// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_PROXY_SIGNATURE_HPP
#define DUET_DETAIL_PROXY_SIGNATURE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

// What the writer and the parser of PROXY headers share.

/// The first twelve bytes of version 2.
inline constexpr std::string_view proxy_signature{"\r\n\r\n\0\r\nQUIT\n", 12};

/// The signature, the version and command, the family and transport, and the length of the rest.
inline constexpr std::size_t proxy_fixed_size = 16;
inline constexpr std::size_t proxy_largest_rest = 65535;

/// The longest line of version 1, with CR LF.
inline constexpr std::size_t proxy_longest_line = 107;

inline constexpr std::size_t proxy_unix_path_size = 108;
inline constexpr std::size_t proxy_checksum_size = 4;

inline constexpr auto crc32c_table = []
{
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte)
    {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit)
            value = value >> 1 ^ ((value & 1) != 0 ? std::uint32_t{0x82f63b78} : 0);
        table[byte] = value;
    }
    return table;
}();

/// A checksum of bytes that may come in parts (RFC 4960, appendix B).
class crc32c
{
public:
    void add(std::string_view bytes) noexcept
    {
        for (char const each : bytes)
            state_ = crc32c_table[(state_ ^ static_cast<std::uint8_t>(each)) & 0xff] ^ state_ >> 8;
    }

    std::uint32_t value() const noexcept { return ~state_; }

private:
    std::uint32_t state_ = 0xffffffff;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
