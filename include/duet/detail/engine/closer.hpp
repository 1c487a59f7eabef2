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
inline namespace v0 {
namespace detail {

/// What close() reads and throws away, within its limit.
class closer
{
public:
    explicit closer(std::size_t limit) noexcept : limit_{limit} {}

    /// How much to ask for next. One byte over the limit tells more input from the peer's FIN. One turn is bounded, so
    /// that a flood has to queue.
    std::size_t wanted() const noexcept { return std::min(room(), one_turn - 1) + 1; }

    /// False: that is more than the limit.
    bool discard(std::size_t size) noexcept
    {
        bool const fits = size <= room();
        discarded_ += size;
        return fits;
    }

    std::uint64_t discarded() const noexcept { return discarded_; }

    /// A wait for more input to discard is under way.
    bool discarding = false;

    /// The FIN could not be sent: the connection was gone before.
    bool fin_refused = false;

private:
    static constexpr std::size_t one_turn = 256 * 1024;

    std::size_t room() const noexcept
    {
        return limit_ - static_cast<std::size_t>(std::min<std::uint64_t>(discarded_, limit_));
    }

    std::size_t limit_;
    std::uint64_t discarded_ = 0;
};

}  // namespace detail
}  // namespace v0
}  // namespace duet

#endif
