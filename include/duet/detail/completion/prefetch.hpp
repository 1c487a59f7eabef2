// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_COMPLETION_PREFETCH_HPP
#define DUET_DETAIL_COMPLETION_PREFETCH_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Have the processor bring memory into its cache while the program goes on. The memory need not exist.
[[gnu::always_inline]] inline void prefetch(void const* begin, std::size_t size) noexcept
{
    constexpr std::size_t line = 64;
    auto const first = reinterpret_cast<std::uintptr_t>(begin);
    for (std::size_t place = 0; place < size; place += line)
        __builtin_prefetch(reinterpret_cast<void const*>(first + place), 1);
}

/// Fetch two lines of what the pointer at this place points to. If there is no pointer, what is fetched is of no use.
inline void prefetch_target(void const* place) noexcept
{
    void const* target;
    std::memcpy(&target, place, sizeof target);
    prefetch(target, 2 * 64);
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
