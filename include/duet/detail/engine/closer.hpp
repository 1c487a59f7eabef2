// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_ENGINE_CLOSER_HPP
#define DUET_DETAIL_ENGINE_CLOSER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <duet/close_report.hpp>
#include <duet/error.hpp>
#include <duet/lifecycle.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// Counts the input that close() reads and discards, and checks it against the limit.
class closer
{
public:
    /// How many bytes to discard next. Asking for one byte more than the limit allows distinguishes more input from the
    /// peer's FIN. The amount per turn is bounded, so that a flood of input cannot block the executor.
    std::size_t wanted(std::size_t limit) const noexcept { return std::min(room(limit), one_turn - 1) + 1; }

    /// Count discarded bytes. False: the limit is exceeded.
    bool discard(std::size_t size, std::size_t limit) noexcept
    {
        bool const fits = size <= room(limit);
        discarded_ += size;
        return fits;
    }

    std::uint64_t discarded() const noexcept { return discarded_; }

private:
    static constexpr std::size_t one_turn = 256 * 1024;

    std::size_t room(std::size_t limit) const noexcept
    {
        return limit - static_cast<std::size_t>(std::min<std::uint64_t>(discarded_, limit));
    }

    std::uint64_t discarded_ = 0;

public:
    /// A wait for more input to discard is under way.
    bool discarding = false;

    /// The FIN could not be sent, because the connection was already gone.
    bool fin_refused = false;
};

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
