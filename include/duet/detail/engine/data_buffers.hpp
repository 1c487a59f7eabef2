// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_DATA_BUFFERS_HPP
#define DUET_DETAIL_ENGINE_DATA_BUFFERS_HPP

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <ranges>
#include <type_traits>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

template <class Data>
inline constexpr bool is_literal = std::is_array_v<std::remove_reference_t<Data>>&&
    std::is_same_v<std::remove_extent_t<std::remove_reference_t<Data>>, char const>;

/// Contiguous elements whose bytes are their value.
template <class Data>
concept plain_bytes = std::ranges::contiguous_range<Data> && std::ranges::sized_range<Data> &&
    std::is_trivially_copyable_v<std::ranges::range_value_t<Data>> &&
    !std::is_pointer_v<std::ranges::range_value_t<Data>>;

/// The buffers of what a program writes: a sequence of buffers as it is, or the bytes of a string, a view or an array.
template <class Data>
auto buffers_of(Data&& data)
{
    if constexpr (boost::asio::is_const_buffer_sequence<std::remove_cvref_t<Data>>::value)
        return std::remove_cvref_t<Data>(data);
    else if constexpr (is_literal<Data>)
    {
        // A literal is text; its final NUL is not a part of it.
        auto const size = std::size(data);
        return boost::asio::const_buffer{data, size > 0 && data[size - 1] == '\0' ? size - 1 : size};
    }
    else if constexpr (plain_bytes<Data>)
    {
        static_assert(std::ranges::borrowed_range<Data>,
            "duet: write() sends from the program's memory, and this temporary is gone before that: give it a name");
        using element = std::ranges::range_value_t<Data>;
        return boost::asio::const_buffer{std::ranges::data(data), std::ranges::size(data) * sizeof(element)};
    }
    else
    {
        static_assert(plain_bytes<Data>,
            "duet: write() takes asio's buffers, or a string, a string_view, or a span, array or vector of trivially "
            "copyable elements");
        return boost::asio::const_buffer{};
    }
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
