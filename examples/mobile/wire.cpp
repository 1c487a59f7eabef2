// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#include "wire.hpp"

#include <boost/crc.hpp>

namespace example {
namespace {

constexpr std::size_t head_size = 17;
constexpr std::size_t checksum_size = 4;

void append_number(std::uint64_t number, std::size_t bytes, std::string& to)
{
    for (std::size_t left = bytes; left > 0; --left)
        to += static_cast<char>(number >> 8 * (left - 1) & 0xff);
}

std::uint64_t read_number(std::string_view bytes)
{
    std::uint64_t result = 0;
    for (char const byte : bytes)
        result = result << 8 | static_cast<unsigned char>(byte);
    return result;
}

std::uint32_t checksum(std::string_view bytes)
{
    boost::crc_32_type sum;
    sum.process_bytes(bytes.data(), bytes.size());
    return sum.checksum();
}

}  // namespace

void append(frame const& what, std::string& to)
{
    std::string body;
    body.reserve(head_size + what.text.size() + checksum_size);
    append_number(static_cast<std::uint64_t>(what.kind), 1, body);
    append_number(what.number, 8, body);
    append_number(what.acknowledged, 8, body);
    body += what.text;
    append_number(checksum(body), checksum_size, body);
    to += std::string_view{on_the_wire.head(body)};
    to += body;
}

std::optional<frame> decode(std::string_view bytes)
{
    if (bytes.size() < head_size + checksum_size)
        return {};
    auto const body = bytes.substr(0, bytes.size() - checksum_size);
    if (read_number(bytes.substr(body.size())) != checksum(body))
        return {};
    auto const kind = static_cast<unsigned char>(body.front());
    if (kind < static_cast<unsigned>(frame_kind::begin) || kind > static_cast<unsigned>(frame_kind::bye))
        return {};
    return frame{static_cast<frame_kind>(kind), read_number(body.substr(1, 8)), read_number(body.substr(9, 8)),
        body.substr(head_size)};
}

}  // namespace example
