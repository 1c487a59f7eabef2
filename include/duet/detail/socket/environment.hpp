// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_SOCKET_ENVIRONMENT_HPP
#define DUET_DETAIL_SOCKET_ENVIRONMENT_HPP

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// An environment variable; empty if it is not set.
inline std::string_view in_environment(char const* name) noexcept
{
    char const* const text = std::getenv(name);
    return text ? text : std::string_view{};
}

/// The value of an environment variable as an integer; -1 if it is not one.
inline std::int64_t number_in_environment(char const* name) noexcept
{
    auto const text = in_environment(name);
    std::int64_t value = -1;
    auto const result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc{} && result.ptr == text.data() + text.size() ? value : -1;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
