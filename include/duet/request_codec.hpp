// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_REQUEST_CODEC_HPP
#define DUET_REQUEST_CODEC_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// A message with the id that tells which request it is, or answers.
struct tagged_message
{
    std::uint64_t id = 0;
    std::string_view body;  ///< a part of the message that was decoded
};

/// What a codec of requests has to supply. It says where the id of a request stands in its message, and in that of the
/// answer; it does no I/O.
///
/// - `encode(id, body)`: the message, as a std::string. It may throw what refuses the body.
/// - `decode(message)`: its id and body; nothing if the message has no id. It does not throw.
template <class T>
concept request_codec = std::copy_constructible<T> && requires(T const& one, std::uint64_t id, std::string_view message)
{
    {
        one.encode(id, message)
        } -> std::same_as<std::string>;
    {
        one.decode(message)
        } -> std::same_as<std::optional<tagged_message>>;
};

/// The id stands before the body, as eight bytes, the highest first.
struct id_prefix
{
    static constexpr std::size_t bytes = 8;

    static std::string encode(std::uint64_t id, std::string_view body)
    {
        char head[bytes];
        for (std::size_t i = 0; i < bytes; ++i)
            head[i] = static_cast<char>(static_cast<unsigned char>(id >> (8 * (bytes - 1 - i))));
        std::string result;
        result.reserve(bytes + body.size());
        result.append(head, bytes).append(body);
        return result;
    }

    static std::optional<tagged_message> decode(std::string_view message) noexcept
    {
        if (message.size() < bytes)
            return {};
        tagged_message result{0, message.substr(bytes)};
        for (std::size_t i = 0; i < bytes; ++i)
            result.id = result.id << 8 | static_cast<unsigned char>(message[i]);
        return result;
    }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
