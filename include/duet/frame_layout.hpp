// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_FRAME_LAYOUT_HPP
#define DUET_FRAME_LAYOUT_HPP

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <duet/detail/config.hpp>
#include <duet/error.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What a framing finds at the begin of some bytes: the sizes of the frame's parts, as far as they can be known. If the
/// bytes end before the frame does, they are the least sizes that it may still have, and their sum is more than there
/// are bytes. So a reader refuses a frame beyond its limit before it has taken memory for it.
struct frame_layout
{
    std::uint64_t head = 0;  ///< bytes before the message
    std::uint64_t body = 0;  ///< the message
    std::uint64_t tail = 0;  ///< bytes behind it
    bool malformed = false;  ///< no frame begins like this

    /// The size of the whole frame, or the largest number if it is larger than that.
    constexpr std::uint64_t total() const noexcept
    {
        auto const most = std::numeric_limits<std::uint64_t>::max();
        auto const around = head > most - tail ? most : head + tail;
        return body > most - around ? most : around + body;
    }
};

/// What a framing has to supply. It says where frames begin and end, and does no I/O; it may be used from several
/// threads at once. `bytes` begin where a frame begins.
///
/// - `layout(bytes, seen)`: the frame there. `seen`: the first `seen` bytes were shown before, and were no whole frame;
///   a search for an end need not begin anew. It is never called without a byte.
/// - `accepts(body)`: true if one frame can carry this message, so that the peer reads the same one.
/// - `head(body)`: what is written before it: what a std::string_view can be made of. It is called only for a message
///   that it accepts.
/// - `tail()`: what is written behind it: a std::string_view of, or a reference to, what lives as long as the framing.
template <class T>
concept framing = std::move_constructible<T> && requires(T const& one, std::string_view bytes, std::size_t seen)
{
    {
        one.layout(bytes, seen)
    }
    noexcept->std::same_as<frame_layout>;
    {
        one.accepts(bytes)
        } -> std::convertible_to<bool>;
    {
        one.head(bytes)
        } -> std::convertible_to<std::string_view>;
    {
        one.tail()
        } -> std::convertible_to<std::string_view>;
    requires std::is_lvalue_reference_v<decltype(one.tail())> ||
        std::is_same_v<std::remove_cv_t<decltype(one.tail())>, std::string_view>;
};

/// The few bytes before a message.
class frame_head
{
public:
    static constexpr std::size_t most = 10;

    constexpr frame_head() noexcept = default;

    constexpr void append(unsigned char byte) noexcept { bytes_[size_++] = static_cast<char>(byte); }

    /// The first `size` bytes of a number of eight, the highest first: at most 8, and nothing was appended before.
    constexpr void set(std::uint64_t number, std::size_t size) noexcept
    {
        // Written out, so that compilers make one store of it.
        bytes_[0] = static_cast<char>(number >> 56 & 0xff);
        bytes_[1] = static_cast<char>(number >> 48 & 0xff);
        bytes_[2] = static_cast<char>(number >> 40 & 0xff);
        bytes_[3] = static_cast<char>(number >> 32 & 0xff);
        bytes_[4] = static_cast<char>(number >> 24 & 0xff);
        bytes_[5] = static_cast<char>(number >> 16 & 0xff);
        bytes_[6] = static_cast<char>(number >> 8 & 0xff);
        bytes_[7] = static_cast<char>(number & 0xff);
        size_ = size;
    }

    constexpr operator std::string_view() const noexcept { return {bytes_, size_}; }

    /// Copy `most` bytes, of which those behind the head mean nothing. Returns where the head ends.
    char* copy_all(char* to) const noexcept
    {
        std::memcpy(to, bytes_, most);
        return to + size_;
    }

private:
    char bytes_[most]{};
    std::size_t size_ = 0;
};

/// Before each message stands its size, as a binary number of so many bytes.
struct length_prefix
{
    unsigned bytes = 4;                    ///< 1 to 8
    std::endian order = std::endian::big;  ///< which byte comes first
    bool includes_itself = false;          ///< the number counts its own bytes, too

    constexpr frame_layout layout(std::string_view from, std::size_t) const noexcept
    {
        if (bytes < 1 || bytes > 8)
            return {.malformed = true};
        if (from.size() < bytes)
            return {.head = bytes};
        auto const number = order == std::endian::big ? number_highest_first(from) : number_lowest_first(from);
        if (!includes_itself)
            return {.head = bytes, .body = number};
        if (number < bytes)
            return {.malformed = true};
        return {.head = bytes, .body = number - bytes};
    }

    /// False if its size does not fit into the number.
    constexpr bool accepts(std::string_view body) const noexcept
    {
        if (bytes < 1 || bytes > 8)
            return false;
        return bytes == 8 || number_for(body) >> (8 * bytes) == 0;
    }

    constexpr frame_head head(std::string_view body) const noexcept
    {
        frame_head result;
        auto const number = number_for(body);
        if (order == std::endian::big)
            result.set(number << (64 - 8 * bytes), bytes);
        else
            for (unsigned i = 0; i < bytes; ++i)
                result.append(static_cast<unsigned char>(number >> (8 * i)));
        return result;
    }

    static constexpr std::string_view tail() noexcept { return {}; }

private:
    /// The number that `from` begins with, the highest byte first.
    constexpr std::uint64_t number_highest_first(std::string_view from) const noexcept
    {
        auto const at = [&](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(from[i])}; };
        if (from.size() >= 8) [[likely]]  // written out, so that compilers make one load of it
            return (at(0) << 56 | at(1) << 48 | at(2) << 40 | at(3) << 32 | at(4) << 24 | at(5) << 16 | at(6) << 8 |
                       at(7)) >>
                   (64 - 8 * bytes);
        std::uint64_t result = 0;
        for (unsigned i = 0; i < bytes; ++i)
            result = result << 8 | at(i);
        return result;
    }

    /// The same, the lowest byte first.
    constexpr std::uint64_t number_lowest_first(std::string_view from) const noexcept
    {
        std::uint64_t result = 0;
        for (unsigned i = bytes; i > 0; --i)
            result = result << 8 | static_cast<unsigned char>(from[i - 1]);
        return result;
    }

    constexpr std::uint64_t number_for(std::string_view body) const noexcept
    {
        return body.size() + (includes_itself ? bytes : 0U);
    }
};

/// Before each message stands its size, seven bits a byte, the lowest first, and the highest bit of a byte says that
/// one more follows (LEB128, as in Protocol Buffers). A number that does not fit into 64 bits is malformed.
struct varint_prefix
{
    static constexpr frame_layout layout(std::string_view from, std::size_t) noexcept
    {
        std::uint64_t number = 0;
        for (std::size_t i = 0; i < frame_head::most; ++i)
        {
            if (i == from.size())
                return {.head = i + 1};
            auto const byte = static_cast<unsigned char>(from[i]);
            if (i + 1 == frame_head::most && byte > 1)
                break;
            number |= std::uint64_t{byte & 0x7fU} << (7 * i);
            if (byte < 0x80)
                return {.head = i + 1, .body = number};
        }
        return {.malformed = true};
    }

    static constexpr bool accepts(std::string_view) noexcept { return true; }

    static constexpr frame_head head(std::string_view body) noexcept
    {
        frame_head result;
        std::uint64_t number = body.size();
        for (; number >= 0x80; number >>= 7)
            result.append(static_cast<unsigned char>(number | 0x80U));
        result.append(static_cast<unsigned char>(number));
        return result;
    }

    static constexpr std::string_view tail() noexcept { return {}; }
};

/// Behind each message stands this text, which no message contains.
class delimiter
{
public:
    /// An empty one is refused where it is used, as malformed.
    explicit delimiter(std::string text) : text_{std::move(text)} {}

    frame_layout layout(std::string_view from, std::size_t seen) const noexcept
    {
        if (text_.empty())
            return {.malformed = true};
        auto const overlap = text_.size() - 1;  // it may be split between what was seen and what was not
        auto const found = from.find(text_, seen > overlap ? seen - overlap : 0);
        if (found != std::string_view::npos)
            return {.body = found, .tail = text_.size()};
        return {.body = from.size() - begun_at_end_of(from, std::min(overlap, from.size())), .tail = text_.size()};
    }

    /// False if the peer would find the end before the message ends.
    bool accepts(std::string_view body) const noexcept
    {
        if (text_.empty() || body.find(text_) != std::string_view::npos)
            return false;
        std::string_view const text{text_};
        for (std::size_t size = 1; size < text.size(); ++size)
            if (body.ends_with(text.substr(0, size)) && text.starts_with(text.substr(size)))
                return false;
        return true;
    }

    static constexpr std::string_view head(std::string_view) noexcept { return {}; }

    std::string_view tail() const noexcept { return text_; }

private:
    /// The largest part of the delimiter that `from` ends with.
    std::size_t begun_at_end_of(std::string_view from, std::size_t size) const noexcept
    {
        while (size > 0 && !from.ends_with(std::string_view{text_}.substr(0, size)))
            --size;
        return size;
    }

    std::string text_;
};

/// How lines end.
enum class line_end : std::uint8_t
{
    either,  ///< LF or CR LF; LF is written
    lf,      ///< LF; a CR before it belongs to the line
    crlf,    ///< CR LF; a single CR or LF belongs to the line
};

/// Each message is a line, and has no end of a line in it.
struct lines
{
    line_end end = line_end::either;

    constexpr frame_layout layout(std::string_view from, std::size_t seen) const noexcept
    {
        auto const found = end == line_end::crlf ? from.find("\r\n", seen > 0 ? seen - 1 : 0) : from.find('\n', seen);
        auto const size = found == std::string_view::npos ? from.size() : found;
        if (end == line_end::crlf)
            return {.body = size - (size < from.size() ? 0U : ends_with_cr(from)), .tail = 2};
        auto const cr = end == line_end::either ? ends_with_cr(from.substr(0, size)) : 0U;
        return {.body = size - cr, .tail = cr + 1};
    }

    constexpr bool accepts(std::string_view body) const noexcept
    {
        if (end == line_end::crlf)
            return body.find("\r\n") == std::string_view::npos;
        return body.find('\n') == std::string_view::npos && (end == line_end::lf || ends_with_cr(body) == 0);
    }

    static constexpr std::string_view head(std::string_view) noexcept { return {}; }

    constexpr std::string_view tail() const noexcept { return end == line_end::crlf ? "\r\n" : "\n"; }

private:
    static constexpr unsigned ends_with_cr(std::string_view text) noexcept { return text.ends_with('\r') ? 1 : 0; }
};

/// Each message has so many bytes. 0 is malformed.
struct fixed_size
{
    std::uint64_t size = 0;

    constexpr frame_layout layout(std::string_view, std::size_t) const noexcept
    {
        return {.body = size, .malformed = size == 0};
    }

    constexpr bool accepts(std::string_view body) const noexcept { return size > 0 && body.size() == size; }

    static constexpr std::string_view head(std::string_view) noexcept { return {}; }

    static constexpr std::string_view tail() noexcept { return {}; }
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
