// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_WIRE_PCAPNG_BLOCK_HPP
#define DUET_DETAIL_WIRE_PCAPNG_BLOCK_HPP

// A block of a pcapng file (draft-ietf-opsawg-pcapng, 3.1), in little-endian order.

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include <duet/detail/trace/utf8.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

enum class pcapng_type : std::uint32_t
{
    section_header = 0x0a0d0d0a,
    interface_description = 1,
    enhanced_packet = 6,
};

enum class pcapng_option : std::uint16_t
{
    end = 0,
    comment = 1,
    interface_name = 2,
    interface_description = 3,
    section_application = 4,
    interface_time_resolution = 9,
};

class pcapng_block
{
public:
    explicit pcapng_block(pcapng_type type)
    {
        put32(static_cast<std::uint32_t>(type));
        put32(0);  // the length, which is not known yet
    }

    void put16(std::uint32_t value)
    {
        bytes_ += static_cast<char>(value & 0xffU);
        bytes_ += static_cast<char>(value >> 8U & 0xffU);
    }

    void put32(std::uint32_t value)
    {
        put16(value);
        put16(value >> 16U);
    }

    void put_bytes(std::span<std::byte const> bytes)
    {
        bytes_.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
        pad();
    }

    void put_option(pcapng_option option, std::string_view value)
    {
        put16(static_cast<std::uint16_t>(option));
        put16(static_cast<std::uint32_t>(value.size()));
        bytes_ += value;
        pad();
        has_options_ = true;
    }

    /// Nothing if it is empty.
    void put_text(pcapng_option option, std::string_view text)
    {
        if (!text.empty())
            put_option(option, displayable(text, 0xffff));
    }

    void write(std::ostream& out)
    {
        if (has_options_)
            put32(static_cast<std::uint32_t>(pcapng_option::end));
        auto const length = static_cast<std::uint32_t>(bytes_.size() + 4);
        put32(length);
        bytes_.replace(4, 4, bytes_, bytes_.size() - 4, 4);
        out.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    }

private:
    void pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }

    std::string bytes_;
    bool has_options_ = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
