// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_WHOLE_OR_END_HPP
#define DUET_WHOLE_OR_END_HPP

#include <duet/detail/config.hpp>

namespace duet {
inline namespace DUET_ABI {

/// What session::read_or_end() completes with: the whole buffer, or the peer's FIN in its place. clang warns if a
/// program does not ask which.
class [[nodiscard]] whole_or_end
{
public:
    constexpr whole_or_end() noexcept = default;
    constexpr explicit whole_or_end(bool whole) noexcept : whole_{whole} {}

    /// True: the whole buffer was read. False: the peer's FIN came before its first byte.
    constexpr explicit operator bool() const noexcept { return whole_; }

private:
    bool whole_ = false;
};

}  // namespace DUET_ABI
}  // namespace duet

#endif
